#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Mutex;

use precis_objects::{DirectoryConfig, StoreConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::calendar::Hour;
use crate::view::Axis;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const HOUR: i64 = 3_600_000;

/// An operators' endpoint on this machine, which answers with these statuses in turn, the last one
/// for ever.
struct Endpoint {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    async fn new(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = requests.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut text = String::new();
                while !is_whole(&text) {
                    let mut bytes = [0; 4096];
                    let count = stream.read(&mut bytes).await.unwrap();
                    text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
                }
                let status = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(text);
                    statuses[(seen.len() - 1).min(statuses.len() - 1)]
                };
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    header(head, "content-length").parse::<usize>().unwrap() <= body.len()
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or("")
}

async fn store(folder: &tempfile::TempDir) -> Arc<dyn ObjectStore> {
    let directory = DirectoryConfig { path: folder.path().join("objects") };
    precis_objects::open(&StoreConfig { directory, ..StoreConfig::default() }).await.unwrap()
}

fn webhook(url: &str, store: &Arc<dyn ObjectStore>) -> Webhook {
    Webhook::new(url, &Secret::new(SECRET), Duration::from_secs(5), store.clone()).unwrap()
}

/// The tier's index fell; the alarm was raised in this hour.
fn fell(tier: &str, hour: i64) -> QualityFell {
    QualityFell {
        kind: "precis.quality.fell",
        group: BTreeMap::from([(Axis::Tier, tier.to_owned())]),
        hour: Hour::of(hour * HOUR),
        since: Hour::of((hour - 2) * HOUR),
        documents: 300,
        index: Some(0.7),
        baseline: Some(0.8),
        change: Some(-0.125),
        interval: None,
        cause: "model",
        causes: Vec::new(),
    }
}

/// The example of the specification, <https://www.standardwebhooks.com>, as Svix documents it.
#[test]
fn the_signature_is_that_of_standard_webhooks() {
    let bytes = STANDARD.decode(SECRET.strip_prefix(SECRET_PREFIX).unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
    let body = br#"{"test": 2432232314}"#;
    let signature = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[tokio::test]
async fn an_alarm_is_told_until_it_is_taken_and_then_never_again() {
    let folder = tempfile::tempdir().unwrap();
    let (store, endpoint) = (store(&folder).await, Endpoint::new(&[500, 200]).await);
    let (one, other) = (webhook(&endpoint.url, &store), webhook(&endpoint.url, &store));
    assert_eq!(one.tell(&fell("gpu", 500)).await.unwrap(), Told::Now);
    for again in [&one, &other] {
        assert_eq!(again.tell(&fell("gpu", 500)).await.unwrap(), Told::Before);
        // The windows moved on, and the test alarms an hour earlier or later: the same fall.
        assert_eq!(again.tell(&fell("gpu", 499)).await.unwrap(), Told::Before);
        assert_eq!(again.tell(&fell("gpu", 510)).await.unwrap(), Told::Before);
    }
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 2, "refused once, taken once");
    assert_eq!(header(&requests[0], "webhook-id"), header(&requests[1], "webhook-id"));
    let (head, body) = requests[1].split_once("\r\n\r\n").unwrap();
    let timestamp = header(head, "webhook-timestamp").parse().unwrap();
    assert_eq!(
        header(head, "webhook-signature"),
        signature(&one.key, header(head, "webhook-id"), timestamp, body.as_bytes())
    );
    let told: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((told["type"].as_str(), told["group"]["tier"].as_str()), (Some("precis.quality.fell"), Some("gpu")));
    assert_eq!((told["hour"].as_str(), told["cause"].as_str()), (Some("1970-01-21T20:00Z"), Some("model")));
    // Another group, and another day.
    assert_eq!(one.tell(&fell("mid", 500)).await.unwrap(), Told::Now);
    assert_eq!(one.tell(&fell("gpu", 530)).await.unwrap(), Told::Now);
}

/// A controller that died between its claim and its note: the next one sends under the same id once
/// the claim is old.
#[tokio::test]
async fn an_old_claim_keeps_nobody_from_telling() {
    let folder = tempfile::tempdir().unwrap();
    let (store, endpoint) = (store(&folder).await, Endpoint::new(&[204]).await);
    let hook = webhook(&endpoint.url, &store);
    let claim = |hour: i64| format!("{}.claim-0", keys::alarm(&fell("gpu", hour).group_name(), hour));
    store.put_if_absent(&claim(500), now_ms().to_string().into_bytes()).await.unwrap();
    assert_eq!(hook.tell(&fell("gpu", 500)).await.unwrap(), Told::Before);
    let old = (now_ms() - CLAIM_MS).to_string().into_bytes();
    store.put_if_absent(&claim(900), old).await.unwrap();
    assert_eq!(hook.tell(&fell("gpu", 900)).await.unwrap(), Told::Now);
    assert_eq!(endpoint.requests().len(), 1);
}

#[tokio::test]
async fn an_address_in_clear_text_or_without_a_secret_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let new = |url: &str, secret: &str| Webhook::new(url, &Secret::new(secret), Duration::from_secs(1), store.clone());
    for (url, secret) in [
        ("http://example.org/hook", SECRET),
        ("ftp://127.0.0.1/", SECRET),
        ("hook", SECRET),
        ("https://a.org", "whsec_?"),
    ] {
        assert!(new(url, secret).is_err(), "{url} {secret}");
    }
    assert!(new("https://example.org/hook", "any text").is_ok());
    assert!(Webhook::of(&WebhookSettings::default(), store.clone()).unwrap().is_none());
    let without = WebhookSettings { url: Some("https://example.org/hook".to_owned()), ..WebhookSettings::default() };
    let error = Webhook::of(&without, store).err().unwrap().to_string();
    assert!(error.contains(SECRET_VARIABLE), "{error}");
}
