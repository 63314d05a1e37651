//! A scripted provider in this process.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use http_body::{Frame, SizeHint};
use serde_json::Value;

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// An ordinary HTTP answer.
    Http { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// Announces the whole body, sends the first half and closes.
    Half(Vec<u8>),
    /// Says nothing and keeps the connection open.
    Hangs,
    /// Says nothing and closes the connection.
    Closes,
    /// Answers after a delay.
    Late(Duration, Box<Self>),
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

/// The server: scripted answers first, then the default one.
pub(crate) struct Faults {
    pub(crate) url: String,
    script: Mutex<VecDeque<Answer>>,
    default_answer: Answer,
    seen: Mutex<Vec<Seen>>,
    billed: AtomicU64,
}

impl Faults {
    pub(crate) async fn start(script: Vec<Answer>, default_answer: Answer) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let faults = Arc::new(Self {
            url,
            script: Mutex::new(script.into()),
            default_answer,
            seen: Mutex::default(),
            billed: AtomicU64::new(0),
        });
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&faults));
        tokio::spawn(async move { axum::serve(listener, app).await });
        faults
    }

    /// Number of requests whose work the provider has done, whether or not the answer arrived.
    pub(crate) fn billed(&self) -> u64 {
        self.billed.load(Ordering::SeqCst)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// Half of what it announces, and then an error, which closes the connection.
struct HalfBody {
    half: Option<Bytes>,
    whole: u64,
    /// Time for the first half to leave.
    pause: Pin<Box<tokio::time::Sleep>>,
}

impl http_body::Body for HalfBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.half.take() {
            Some(half) => Poll::Ready(Some(Ok(Frame::data(half)))),
            None => self.pause.as_mut().poll(context).map(|()| Some(Err(io::Error::other("as told")))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.whole)
    }
}

async fn answer(State(faults): State<Arc<Faults>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let body = serde_json::from_slice(&body).unwrap();
    faults.seen.lock().unwrap().push(Seen { path: uri.path().to_owned(), headers, body });
    let next = faults.script.lock().unwrap().pop_front();
    let mut answer = next.unwrap_or_else(|| faults.default_answer.clone());
    let mut status = &answer;
    while let Answer::Late(_, late) = status {
        status = &**late;
    }
    if matches!(status, Answer::Http { status: 200, .. } | Answer::Half(_) | Answer::Closes) {
        faults.billed.fetch_add(1, Ordering::SeqCst);
    }
    while let Answer::Late(wait, late) = answer {
        tokio::time::sleep(wait).await;
        answer = *late;
    }
    match answer {
        Answer::Http { status, headers, body } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
        Answer::Half(body) => {
            let half = Some(Bytes::from(body[..body.len() / 2].to_vec()));
            let pause = Box::pin(tokio::time::sleep(Duration::from_millis(50)));
            Response::new(Body::new(HalfBody { half, whole: body.len() as u64, pause }))
        }
        Answer::Hangs => std::future::pending().await,
        // Ends the connection's task.
        Answer::Closes => std::panic::resume_unwind(Box::new("as told")),
        Answer::Late(..) => unreachable!("waited for above"),
    }
}
