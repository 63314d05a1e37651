//! A provider that answers as it is told to, in this process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use serde_json::Value;

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// An ordinary HTTP answer.
    Http { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// Announces the whole body, sends the first half and closes.
    Half(Vec<u8>),
    /// Sends the head of an answer and nothing more.
    Hangs,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Http { status, headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Http { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap()
    }
}

/// The server: scripted answers first, then the standing one.
pub(crate) struct Faults {
    pub(crate) url: String,
    script: Mutex<VecDeque<Answer>>,
    standing: Answer,
    seen: Mutex<Vec<Seen>>,
}

impl Faults {
    pub(crate) async fn start(script: Vec<Answer>, standing: Answer) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let faults = Arc::new(Self { url, script: Mutex::new(script.into()), standing, seen: Mutex::default() });
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&faults));
        tokio::spawn(async move { axum::serve(listener, app).await });
        faults
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn answer(State(faults): State<Arc<Faults>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let body = serde_json::from_slice(&body).unwrap();
    faults.seen.lock().unwrap().push(Seen { path: uri.path().to_owned(), headers, body });
    let next = faults.script.lock().unwrap().pop_front();
    match next.unwrap_or_else(|| faults.standing.clone()) {
        Answer::Http { status, headers, body } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
        Answer::Half(body) => {
            let half = body[..body.len() / 2].to_vec();
            Response::builder().header("content-length", body.len()).body(Body::from(half)).unwrap()
        }
        Answer::Hangs => std::future::pending().await,
    }
}
