//! The S3 store against an endpoint that misbehaves: a tiny server in this process that speaks as
//! much S3 as a create needs.
#![allow(clippy::unwrap_used)]

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use precis_objects::claim_check::{fetch_body, put_body};
use precis_objects::{Class, ObjectStore, Put, S3Config, S3Store, StoreConfig, StoreKind};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with the next create.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// Answers with a status and S3's error code, nothing written.
    Status(u16, &'static str),
    /// Writes, then answers 500.
    WritesThenFails,
    /// Writes, then breaks the connection.
    WritesThenHangsUp,
    /// Writes as if someone else had just been there first, then answers 500.
    OtherWritesThenFails,
    /// Never answers.
    Hangs,
}

#[derive(Default)]
struct Endpoint {
    objects: Mutex<HashMap<String, Vec<u8>>>,
    faults: Mutex<VecDeque<Fault>>,
    creates: Mutex<usize>,
    ignores_the_condition: bool,
    refuses_reads: bool,
    /// Denies every read of a key that has this in it.
    denies_reads_of: Option<&'static str>,
    /// Answers every read with bytes that never end, and without their length.
    never_ends: bool,
}

impl Endpoint {
    async fn start(self) -> (Arc<Self>, S3Config) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = S3Config {
            bucket: "bucket".to_owned(),
            endpoint: Some(format!("http://{}", listener.local_addr().unwrap())),
            region: Some("us-east-1".to_owned()),
            force_path_style: true,
            attempt_timeout_ms: 500,
            max_attempts: 3,
            ..S3Config::default()
        };
        let endpoint = Arc::new(self);
        let server = Arc::clone(&endpoint);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let server = Arc::clone(&server);
                tokio::spawn(async move { server.serve(connection).await });
            }
        });
        (endpoint, config)
    }

    /// One request a connection.
    async fn serve(&self, connection: TcpStream) -> Option<()> {
        let mut connection = BufReader::new(connection);
        let mut line = String::new();
        connection.read_line(&mut line).await.ok()?;
        let (method, path) = line
            .split_once(' ')
            .map(|(method, rest)| (method.to_owned(), rest.split(['?', ' ']).next().unwrap_or_default().to_owned()))?;
        let (mut length, mut conditional) = (0, false);
        loop {
            let mut header = String::new();
            connection.read_line(&mut header).await.ok()?;
            let header = header.trim().to_ascii_lowercase();
            match header.split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("if-none-match", "*")) => conditional = true,
                Some(("expect", _)) => connection.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?,
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await.ok()?;
        if self.never_ends && method == "GET" {
            connection.get_mut().write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.ok()?;
            while connection.get_mut().write_all(&[b'x'; 1024]).await.is_ok() {}
            return None;
        }
        let (status, body) = match method.as_str() {
            "PUT" => self.create(path, body, conditional).await?,
            "GET" if self.denies_reads_of.is_some_and(|part| path.contains(part)) => (403, error_body("AccessDenied")),
            "GET" if self.refuses_reads => (400, error_body("InvalidRequest")),
            "GET" => match self.objects.lock().unwrap().get(&path) {
                Some(bytes) => (200, bytes.clone()),
                None => (404, error_body("NoSuchKey")),
            },
            "DELETE" => {
                self.objects.lock().unwrap().remove(&path);
                (204, Vec::new())
            }
            _ => (501, Vec::new()),
        };
        let head = format!("HTTP/1.1 {status} Status\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        connection.get_mut().write_all(&[head.as_bytes(), &body].concat()).await.ok()
    }

    async fn create(&self, path: String, body: Vec<u8>, conditional: bool) -> Option<(u16, Vec<u8>)> {
        *self.creates.lock().unwrap() += 1;
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            Some(Fault::Status(status, code)) => return Some((status, error_body(code))),
            Some(Fault::Hangs) => std::future::pending::<()>().await,
            Some(Fault::OtherWritesThenFails) => {
                self.objects.lock().unwrap().insert(path, b"another's".to_vec());
                return Some((500, error_body("InternalError")));
            }
            _ => {}
        }
        let mut objects = self.objects.lock().unwrap();
        if conditional && !self.ignores_the_condition && objects.contains_key(&path) {
            return Some((412, error_body("PreconditionFailed")));
        }
        objects.insert(path, body);
        match fault {
            Some(Fault::WritesThenFails) => Some((500, error_body("InternalError"))),
            Some(Fault::WritesThenHangsUp) => None,
            _ => Some((200, Vec::new())),
        }
    }
}

fn error_body(code: &str) -> Vec<u8> {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>for the test</Message></Error>").into_bytes()
}

/// A store whose next creates meet these faults.
async fn facing(faults: &[Fault]) -> (Arc<Endpoint>, S3Store) {
    let endpoint = Endpoint { faults: Mutex::new(faults.iter().copied().collect()), ..Endpoint::default() };
    let (endpoint, config) = endpoint.start().await;
    (endpoint, S3Store::connect(&config, 1024).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs credentials in the environment: make test sets them"]
async fn an_endpoint_that_ignores_the_condition_is_refused_at_start() {
    let (_endpoint, s3) = Endpoint { ignores_the_condition: true, ..Endpoint::default() }.start().await;
    let config = StoreConfig { kind: StoreKind::S3, s3, ..StoreConfig::default() };
    let error = precis_objects::open(&config).await.err().unwrap();
    assert_eq!((error.code(), error.class()), ("store_not_conditional", Class::Fatal), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs credentials in the environment: make test sets them"]
async fn an_endpoint_that_honours_the_condition_is_accepted() {
    let (endpoint, s3) = Endpoint::default().start().await;
    precis_objects::open(&StoreConfig { kind: StoreKind::S3, s3, ..StoreConfig::default() }).await.unwrap();
    assert!(endpoint.objects.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs credentials in the environment: make test sets them"]
async fn a_create_that_landed_before_its_answer_was_lost_is_ours() {
    for fault in [Fault::WritesThenFails, Fault::WritesThenHangsUp] {
        let (endpoint, store) = facing(&[fault]).await;
        assert_eq!(store.put_if_absent("a", b"ours".to_vec()).await.unwrap(), Put::Created);
        assert_eq!(*endpoint.creates.lock().unwrap(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs credentials in the environment: make test sets them"]
async fn a_create_that_lost_while_its_answer_was_lost_is_not_ours() {
    let (_endpoint, store) = facing(&[Fault::OtherWritesThenFails]).await;
    assert_eq!(store.put_if_absent("a", b"ours".to_vec()).await.unwrap(), Put::Exists);
    assert_eq!(store.get("a").await.unwrap().unwrap(), b"another's");
}

/// The last attempt landed, its answer was lost, and no attempt is left.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs credentials in the environment: make test sets them"]
async fn a_create_that_landed_unseen_is_found_by_reading() {
    let down = Fault::Status(500, "InternalError");
    let (_endpoint, store) = facing(&[down, down, Fault::WritesThenFails]).await;
    assert_eq!(store.put_if_absent("a", b"ours".to_vec()).await.unwrap(), Put::Created);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs credentials in the environment: make test sets them"]
async fn conflicts_overload_and_hanging_are_tried_again() {
    for fault in [
        Fault::Status(409, "ConditionalRequestConflict"),
        Fault::Status(503, "SlowDown"),
        Fault::Status(500, "InternalError"),
        Fault::Hangs,
    ] {
        let (endpoint, store) = facing(&[fault]).await;
        assert_eq!(store.put_if_absent("a", b"ours".to_vec()).await.unwrap(), Put::Created);
        assert_eq!(*endpoint.creates.lock().unwrap(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs credentials in the environment: make test sets them"]
async fn an_endpoint_that_stays_down_is_unavailable() {
    let (endpoint, store) = facing(&[Fault::Status(500, "InternalError"); 3]).await;
    let error = store.put_if_absent("a", b"ours".to_vec()).await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("store_unavailable", Class::RetryDependency), "{error}");
    assert_eq!(*endpoint.creates.lock().unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs credentials in the environment: make test sets them"]
async fn a_refused_credential_waits_as_denied_and_is_not_hammered() {
    for fault in
        [Fault::Status(403, "AccessDenied"), Fault::Status(400, "ExpiredToken"), Fault::Status(404, "NoSuchBucket")]
    {
        let (endpoint, store) = facing(&[fault]).await;
        let error = store.put_if_absent("a", b"ours".to_vec()).await.unwrap_err();
        assert_eq!((error.code(), error.class()), ("store_denied", Class::RetryDependency), "{error}");
        assert_eq!(*endpoint.creates.lock().unwrap(), 1);
    }
}

/// As S3 does for one that needs another key, or where nothing is and listing is not allowed. Where
/// the process may read nothing at all, its credentials are to blame, and everything waits.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs credentials in the environment: make test sets them"]
async fn a_denied_body_concerns_its_record_alone() {
    for (denied, code) in [("bodies/", "body_unreadable"), ("", "store_denied")] {
        let probed = Endpoint::default().start().await.1;
        let endpoint = Endpoint { denies_reads_of: Some(denied), ..Endpoint::default() };
        let store = S3Store::connect(&probed, 1024).await.unwrap();
        let reference = put_body(&store, "acme", "a", 0, b"text".to_vec()).await.unwrap();
        let (_endpoint, config) = endpoint.start().await;
        let store = S3Store::connect(&config, 1024).await;
        let error = match store {
            Ok(store) => fetch_body(&store, "acme", &reference, 100).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.code(), code, "{error}");
    }
}

/// As S3 does for one that a publisher encrypted with a key of its own (SSE-C). No publisher may
/// end a service by it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs credentials in the environment: make test sets them"]
async fn a_body_that_the_store_refuses_concerns_its_record_alone() {
    let (_endpoint, config) = Endpoint { refuses_reads: true, ..Endpoint::default() }.start().await;
    let store = S3Store::connect(&config, 1024).await.unwrap();
    let reference = put_body(&store, "acme", "a", 0, b"text".to_vec()).await.unwrap();
    let error = fetch_body(&store, "acme", &reference, 100).await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("body_unreadable", Class::RetryRecord), "{error}");
}

/// A hostile endpoint must not be able to fill the memory.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs credentials in the environment: make test sets them"]
async fn a_body_without_a_length_is_read_up_to_the_limit() {
    let (_endpoint, config) = Endpoint { never_ends: true, ..Endpoint::default() }.start().await;
    // Time is not what ends it.
    let config = S3Config { attempt_timeout_ms: 3_600_000, ..config };
    let store = S3Store::connect(&config, 1024).await.unwrap();
    assert_eq!(store.get("a").await.unwrap_err().code(), "object_too_large");
    assert_eq!(store.get_range("a", 0..10).await.unwrap_err().code(), "object_too_large");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs credentials in the environment: make test sets them"]
async fn nobody_listening_is_unavailable() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = S3Config {
        bucket: "bucket".to_owned(),
        endpoint: Some(format!("http://{address}")),
        max_attempts: 1,
        ..S3Config::default()
    };
    let store = S3Store::connect(&config, 1024).await.unwrap();
    assert_eq!(store.put_if_absent("a", vec![1]).await.unwrap_err().code(), "store_unavailable");
    assert_eq!(store.get("a").await.unwrap_err().code(), "store_unavailable");
    assert_eq!(store.list("a", 1).await.unwrap_err().code(), "store_unavailable");
}
