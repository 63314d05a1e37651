//! The connections of the server, bounded in number, in time and in bytes.
//!
//! Whoever can reach the port can open connections and send nothing. Such connections must neither
//! take the process's descriptors nor keep a probe out. So a connection that does not say in time
//! what it wants is closed, and where there are [`MAX_CONNECTIONS`] a new one closes the oldest: a
//! page takes milliseconds, so that the oldest has either been answered or never will be.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Time for a request's headers, from the connection or from the answer before it.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections at one time.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// Largest request, headers included; no page takes a body.
const MAX_REQUEST_BYTES: usize = 16 * 1024;
/// How long nothing is accepted after the system could not accept, such as for want of descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_secs(1);

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) header_timeout: Duration,
    pub(super) max_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { header_timeout: HEADER_TIMEOUT, max_connections: MAX_CONNECTIONS }
    }
}

/// Serves the pages until the future is dropped, and then stops in the middle of an answer.
pub(super) async fn serve(listener: TcpListener, pages: Router, limits: Limits) {
    let pages = pages.layer(from_fn(without_body));
    let mut connections = JoinSet::new();
    let mut oldest_first: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "no connection for metrics and health can be accepted now");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        oldest_first.retain(|connection| !connection.is_finished());
        if oldest_first.len() >= limits.max_connections
            && let Some(oldest) = oldest_first.pop_front()
        {
            oldest.abort();
        }
        oldest_first.push_back(connections.spawn(answer(stream, pages.clone(), limits.header_timeout)));
    }
}

/// Answers the requests of one connection.
async fn answer(stream: TcpStream, pages: Router, header_timeout: Duration) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(MAX_REQUEST_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(pages));
    // That the other side broke off, or was too slow, is of no interest to anybody here.
    drop(connection.await);
}

/// Refuses requests with a body, which no page reads.
async fn without_body(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    (StatusCode::PAYLOAD_TOO_LARGE, [("connection", "close")], "this page takes no body\n").into_response()
}

/// Whether accepting failed because of the connection that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
