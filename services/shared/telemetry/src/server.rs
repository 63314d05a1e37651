//! HTTP server for operators: `/metrics`, `/livez`, `/readyz`, `/info`.
//!
//! Health answers 200 or 503 with the components' reasons as JSON, for probes and for people alike.
//! No page here sends a request to a broker, a store or a provider. Nobody is asked who they are:
//! the address belongs on the network of the services and their monitoring alone. What strangers
//! there can take from the process is bounded ([`connections`]).

mod connections;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{Health, Recorder, TelemetryError};
use connections::Limits;

/// What `/info` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Name of the service.
    pub service: String,
    /// Its version.
    pub version: String,
    /// Further facts, such as the model or the log that the service runs on; no secrets.
    pub details: BTreeMap<String, String>,
}

impl Info {
    /// A service of this build.
    pub fn new(service: impl Into<String>) -> Self {
        Self { service: service.into(), version: env!("CARGO_PKG_VERSION").to_owned(), details: BTreeMap::new() }
    }

    /// The same with one more detail.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }
}

/// A running server. Dropping it stops it, even in the middle of an answer.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct ServerState {
    recorder: Recorder,
    health: Health,
    info: Info,
}

/// Serves health and metrics on `address`; port 0 takes a free port. Returns once the server
/// listens.
///
/// # Errors
/// [`TelemetryError::Listen`] when the address cannot be listened on.
pub async fn serve(
    address: SocketAddr,
    recorder: Recorder,
    health: Health,
    info: Info,
) -> Result<Server, TelemetryError> {
    serve_within(address, ServerState { recorder, health, info }, Limits::default()).await
}

async fn serve_within(address: SocketAddr, state: ServerState, limits: Limits) -> Result<Server, TelemetryError> {
    let failed = |source| TelemetryError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/info", get(info_page))
        .with_state(state);
    let task = tokio::spawn(connections::serve(listener, router, limits));
    Ok(Server { address, task })
}

impl Server {
    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening; when this returns the port is free.
    pub async fn stop(mut self) {
        self.task.abort();
        // The task ends as cancelled, as intended.
        drop((&mut self.task).await);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn metrics(State(shared): State<ServerState>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.recorder.render()).into_response()
}

async fn livez(State(shared): State<ServerState>) -> Response {
    let report = shared.health.report();
    (status(report.live), Json(report)).into_response()
}

async fn readyz(State(shared): State<ServerState>) -> Response {
    let report = shared.health.report();
    (status(report.ready), Json(report)).into_response()
}

async fn info_page(State(shared): State<ServerState>) -> Response {
    Json(shared.info).into_response()
}

fn status(good: bool) -> StatusCode {
    if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

#[cfg(test)]
mod tests;
