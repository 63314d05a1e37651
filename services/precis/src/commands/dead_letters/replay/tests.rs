#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use precis_flow::{ATTEMPTS_HEADER, EmbeddedConfig, LogConfig, ORIGIN_HEADER};
use precis_objects::{DirectoryStore, ObjectStore as _};
use precis_pipeline::identity::REPLAY_HEADER;
use precis_schemas::{BodyReference, RecordHeader, Status};

use super::super::read::position;
use super::*;

const LIMIT: u64 = 1024 * 1024;
const TOPIC: &str = "documents.acme";

/// A log with the topics of a deployment, and a store.
struct World {
    _folder: tempfile::TempDir,
    log: Arc<dyn Log>,
    store: DirectoryStore,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let embedded = EmbeddedConfig { path: folder.path().join("log.db") };
        let log = precis_flow::open(&LogConfig { embedded, ..LogConfig::default() }).await.unwrap();
        log.ensure_topics(&topics::all(&["acme".into()], &["gpu".into()], 3, None)).await.unwrap();
        let store = DirectoryStore::open(&folder.path().join("objects"), LIMIT).await.unwrap();
        Self { _folder: folder, log, store }
    }

    /// A record on a topic, and the dead letter that a stage writes of it.
    async fn rejected(&self, stage: &str, topic: &str, record: Record) -> DeadLetter {
        let record = Record { topic: topic.to_owned(), partition: Some(0), ..record };
        let position = self.log.publish(vec![record.clone()]).await.unwrap().remove(0);
        let header = |(name, value): (&str, &[u8])| RecordHeader { name: name.to_owned(), value: value.to_vec() };
        DeadLetter {
            id: format!("{stage}/{position}"),
            stage: stage.to_owned(),
            topic: topic.to_owned(),
            partition: position.partition,
            offset: position.offset,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record.headers.iter().map(header).collect(),
            ..letter()
        }
    }

    async fn document(&self, document: &Document) -> DeadLetter {
        self.rejected("router", TOPIC, Record::to(TOPIC).key("doc").value(codec::encode(document).unwrap())).await
    }

    async fn raw(&self) -> DeadLetter {
        self.rejected("router", TOPIC, Record::to(TOPIC).key("doc").value("raw")).await
    }

    async fn build(&self, letters: &[DeadLetter], args: &ReplayArgs) -> Result<Record, Refusal> {
        let found: Vec<Letter> = letters.iter().map(|letter| Letter { letter: letter.clone(), action: None }).collect();
        build(&found.iter().collect::<Vec<_>>(), args, &*self.log, &self.store).await.unwrap()
    }

    async fn refusal(&self, letter: DeadLetter, args: &ReplayArgs) -> &'static str {
        self.build(&[letter], args).await.unwrap_err().code()
    }
}

fn args() -> ReplayArgs {
    let why = Why { reason: String::new(), by: None };
    ReplayArgs { ids: Vec::new(), all: false, filter: Filter::default(), new_revision: false, from_letter: false, why }
}

fn as_revision() -> ReplayArgs {
    ReplayArgs { new_revision: true, ..args() }
}

fn from_letter() -> ReplayArgs {
    ReplayArgs { from_letter: true, ..args() }
}

/// A dead letter whose record is not on the log.
fn letter() -> DeadLetter {
    DeadLetter {
        id: "router/documents.acme/2/1000017".into(),
        stage: "router".into(),
        code: "unknown_schema".into(),
        message: String::new(),
        topic: TOPIC.into(),
        partition: 2,
        offset: 1_000_017,
        key: Some(b"doc".to_vec()),
        value: Some(b"raw".to_vec()),
        value_ref: None,
        headers: Vec::new(),
        attempts: 3,
        tenant: None,
        failed_at: 0,
    }
}

fn document() -> Document {
    Document { document_id: "doc".into(), revision: 4, text: Some("text".into()), ..Document::default() }
}

/// A replayed record has the bytes of the record itself, and is known by the position of its first
/// copy.
#[tokio::test]
async fn a_replayed_record_has_the_same_bytes_and_its_first_origin() {
    let world = World::new().await;
    let record = Record::to(TOPIC).key("doc").value("raw").header("traceparent", "00-1").header(ATTEMPTS_HEADER, "3");
    let letter = world.rejected("router", TOPIC, record).await;
    let record = world.build(std::slice::from_ref(&letter), &args()).await.unwrap();
    assert_eq!((record.topic.as_str(), record.partition), (topics::RETURNS, None));
    assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"doc"[..]), Some(&b"raw"[..])));
    assert_eq!(record.headers.get_str(ORIGIN_HEADER), Some(position(&letter).to_string().as_str()));
    assert_eq!(record.headers.get_str(REPLAY_HEADER), Some(letter.id.as_str()));
    assert_eq!(record.headers.get_str("traceparent"), Some("00-1"));
    assert_eq!(record.headers.get(ATTEMPTS_HEADER), None);
}

#[tokio::test]
async fn an_origin_that_a_record_has_stays_its_origin() {
    let world = World::new().await;
    let with_origin = || Record::to("").key("doc").value("raw").header(ORIGIN_HEADER, "documents.acme/0/1");
    let publishers = world.rejected("router", TOPIC, with_origin()).await;
    let record = world.build(std::slice::from_ref(&publishers), &args()).await.unwrap();
    let position = position(&publishers).to_string();
    assert_eq!(record.headers.get_str(ORIGIN_HEADER), Some(position.as_str()), "what a publisher says is none");
    let returned = world.rejected("router", topics::RETURNS, with_origin()).await;
    let record = world.build(&[returned], &args()).await.unwrap();
    assert_eq!(record.headers.get_str(ORIGIN_HEADER), Some("documents.acme/0/1"));
}

/// Whoever can write to `dead-letters` must not have an operator write for them.
#[tokio::test]
async fn a_forged_topic_is_refused_whatever_it_is() {
    let world = World::new().await;
    for (stage, topic) in [
        ("router", topics::CONTROL),
        ("router", topics::AUDIT),
        ("router", topics::SUMMARIES),
        ("router", topics::LEDGER),
        ("router", topics::DEAD_LETTERS),
        ("router", topics::DEAD_LETTER_ACTIONS),
        ("router", "work.gpu"),
        ("work.gpu", TOPIC),
        ("control", topics::CONTROL),
        ("nobody", "elsewhere"),
    ] {
        let forged = DeadLetter {
            id: format!("{stage}/{topic}/2/1000017"),
            stage: stage.into(),
            topic: topic.into(),
            ..letter()
        };
        for args in [args(), as_revision(), from_letter()] {
            assert_eq!(world.refusal(forged.clone(), &args).await, "topic_not_allowed", "{stage} {topic}");
        }
    }
}

#[tokio::test]
async fn a_dead_letter_that_differs_from_its_record_is_refused() {
    let world = World::new().await;
    let true_letter = world.raw().await;
    let forged = [
        DeadLetter { value: Some(b"war".to_vec()), ..true_letter.clone() },
        DeadLetter { value: None, ..true_letter.clone() },
        DeadLetter { key: Some(b"other".to_vec()), ..true_letter.clone() },
        DeadLetter { headers: vec![RecordHeader { name: "a".into(), value: b"b".to_vec() }], ..true_letter.clone() },
    ];
    for forged in forged {
        for args in [args(), from_letter()] {
            assert_eq!(world.refusal(forged.clone(), &args).await, "other_record");
        }
        // The true one with the same id is replayed whichever came first.
        let record = world.build(&[forged, true_letter.clone()], &args()).await.unwrap();
        assert_eq!(record.value.as_deref(), Some(&b"raw"[..]));
    }
}

/// What a dead letter had no room for comes from the record.
#[tokio::test]
async fn key_headers_and_value_that_were_left_out_come_back() {
    let world = World::new().await;
    let record = Record::to(TOPIC).key("doc").value("raw").header("a", "b").header("c", "d");
    let whole = world.rejected("router", TOPIC, record.clone()).await;
    let first = DeadLetter { headers: whole.headers[..1].to_vec(), ..whole.clone() };
    let last = DeadLetter { headers: whole.headers[1..].to_vec(), ..whole.clone() };
    let turned = DeadLetter { headers: whole.headers.iter().rev().cloned().collect(), ..whole.clone() };
    assert_eq!(world.refusal(turned, &args()).await, "other_record");
    let bare = DeadLetter { key: None, headers: Vec::new(), ..whole };
    let nowhere = BodyReference { key: String::new(), sha256: String::new(), size_bytes: 3 };
    let empty = DeadLetter { value: None, value_ref: Some(nowhere), ..bare.clone() };
    for letter in [bare, empty, first, last] {
        let record = world.build(&[letter], &args()).await.unwrap();
        assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"doc"[..]), Some(&b"raw"[..])));
        assert_eq!((record.headers.get_str("a"), record.headers.get_str("c")), (Some("b"), Some("d")));
    }
}

#[tokio::test]
async fn an_expired_record_is_replayed_only_where_that_is_asked_for() {
    let world = World::new().await;
    let refusal = world.build(&[letter()], &args()).await.unwrap_err();
    assert_eq!(refusal.code(), "record_gone");
    assert!(refusal.to_string().contains("--from-letter"), "{refusal}");
    let record = world.build(&[letter()], &from_letter()).await.unwrap();
    let expected = (topics::RETURNS, None, Some(&b"raw"[..]));
    assert_eq!((record.topic.as_str(), record.partition, record.value.as_deref()), expected);
    // Of two that differ neither is believed.
    let other = DeadLetter { value: Some(b"war".to_vec()), ..letter() };
    assert_eq!(world.build(&[letter(), other], &from_letter()).await.unwrap_err().code(), "ambiguous_id");
}

#[tokio::test]
async fn a_second_replay_is_refused() {
    let world = World::new().await;
    let action =
        DeadLetterAction { id: "x".into(), action: "replayed".into(), by: "ada".into(), at: 0, reason: String::new() };
    let found = Letter { letter: world.raw().await, action: Some(action) };
    let refusal = build(&[&found], &args(), &*world.log, &world.store).await.unwrap().unwrap_err();
    assert_eq!(refusal.code(), "already_replayed");
    assert!(refusal.to_string().contains("by ada"), "{refusal}");
}

#[tokio::test]
async fn a_record_whose_bytes_are_gone_or_changed_is_refused() {
    let world = World::new().await;
    let key = keys::dead_letter(Some("acme"), &keys::hash(""));
    let value_ref = BodyReference { key: key.clone(), sha256: keys::hash_bytes(b"raw"), size_bytes: 3 };
    let letter = DeadLetter { value: None, value_ref: Some(value_ref.clone()), ..letter() };
    assert_eq!(world.refusal(letter.clone(), &from_letter()).await, "body_missing");
    world.store.put_if_absent(&key, b"war".to_vec()).await.unwrap();
    assert_eq!(world.refusal(letter.clone(), &from_letter()).await, "body_missing");
    world.store.delete(&key).await.unwrap();
    world.store.put_if_absent(&key, b"raw".to_vec()).await.unwrap();
    let record = world.build(std::slice::from_ref(&letter), &from_letter()).await.unwrap();
    assert_eq!(record.value.as_deref(), Some(&b"raw"[..]));
    // Another object of the store, such as a key or another tenant's result.
    world.store.put_if_absent("keys/router", b"raw".to_vec()).await.unwrap();
    let elsewhere = BodyReference { key: "keys/router".into(), ..value_ref };
    let letter = DeadLetter { value_ref: Some(elsewhere), ..letter };
    assert_eq!(world.refusal(letter, &from_letter()).await, "body_missing");
}

#[tokio::test]
async fn a_document_whose_body_is_gone_is_refused() {
    let world = World::new().await;
    let body = claim_check::put_body(&world.store, "acme", "doc", 4, b"long text".to_vec()).await.unwrap();
    let letter = world.document(&Document { text: None, body: Some(body.clone()), ..document() }).await;
    assert!(world.build(std::slice::from_ref(&letter), &args()).await.is_ok());
    world.store.delete(&body.key).await.unwrap();
    assert_eq!(world.refusal(letter, &args()).await, "body_missing");
}

#[tokio::test]
async fn a_settled_document_is_only_replayed_as_its_next_revision() {
    let world = World::new().await;
    let letter = world.document(&document()).await;
    let outcome = failed_outcome();
    world.store.put_if_absent(&keys::result("acme", "doc", 4), codec::encode(&outcome).unwrap()).await.unwrap();
    let refusal = world.build(std::slice::from_ref(&letter), &args()).await.unwrap_err();
    assert_eq!(refusal, Refusal::Settled { status: "failed", revision: 4 });

    let record = world.build(&[letter], &as_revision()).await.unwrap();
    let again: Document = codec::decode(record.value.as_deref().unwrap()).unwrap();
    assert_eq!((again.revision, again.text.as_deref()), (5, Some("text")));
    assert_eq!((record.topic.as_str(), record.headers.get(ORIGIN_HEADER)), (TOPIC, None));
}

/// A copy that was tried again is its tenant's document like any other.
#[tokio::test]
async fn letter_of_a_returned_document_has_a_next_revision() {
    let world = World::new().await;
    let record = Record::to("").value(codec::encode(&document()).unwrap()).header(ORIGIN_HEADER, "documents.acme/0/1");
    let letter = world.rejected("router", topics::RETURNS, record).await;
    assert_eq!(world.build(&[letter], &as_revision()).await.unwrap().topic, TOPIC);
}

/// Whoever may write to a work topic cannot have an operator publish in any tenant's name, whatever
/// its record was rejected for.
#[tokio::test]
async fn unproved_letter_is_no_document_of_anybody() {
    let world = World::new().await;
    let keys = RoutingKeys::open(&world.store).await.unwrap();
    let proved = keys.prove(Record::to("work.gpu").value("work"));
    let borrowed = Record { value: Some(b"other".to_vec()), ..proved.clone() };
    let ours = world.rejected("work.gpu", "work.gpu", proved).await;
    assert_eq!(world.refusal(ours, &as_revision()).await, "no_document", "it is only a word");
    for forged in [borrowed, Record::to("work.gpu").value("work")] {
        let letter = world.rejected("work.gpu", "work.gpu", forged).await;
        assert_eq!(world.refusal(letter, &as_revision()).await, "unproved");
    }
}

/// Publishers choose revisions.
#[tokio::test]
async fn the_last_revision_there_can_be_has_none_after_it() {
    let world = World::new().await;
    let letter = world.document(&Document { revision: i64::MAX, ..document() }).await;
    assert_eq!(world.refusal(letter, &as_revision()).await, "last_revision");
    assert!(Refusal::Settled { status: "failed", revision: i64::MAX }.to_string().contains("never changes"));
}

/// A routed document names its tenant itself.
#[tokio::test]
async fn a_tenant_that_is_no_name_gets_no_topic() {
    let world = World::new().await;
    let routed = RoutedDocument {
        tenant: "a/../b".into(),
        document: codec::encode(&document()).unwrap(),
        ..serde_json::from_value(serde_json::json!({
            "tenant": "", "document_id": "doc", "revision": 4, "document": [], "tier": "gpu", "routed_at": 0,
            "origin": { "topic": TOPIC, "partition": 0, "offset": 1 },
            "request_digest": "", "request_fingerprint": "", "policy_digest": "",
            "decision": { "score": 0.5, "chosen": "gpu", "reason": "", "policy_digest": "" },
        }))
        .unwrap()
    };
    let keys = RoutingKeys::open(&world.store).await.unwrap();
    let record = keys.prove(Record::to("work.gpu").value(codec::encode(&routed).unwrap()));
    let letter = world.rejected("work.gpu", "work.gpu", record).await;
    assert_eq!(world.refusal(letter, &as_revision()).await, "topic_not_allowed");
}

#[test]
fn broken_dead_letters_are_survived() {
    let raw = RecordHeader { name: "traceparent".into(), value: b"00-1".to_vec() };
    let value = Some(codec::encode(&document()).unwrap());
    let of_a_document = DeadLetter { headers: vec![raw], value, ..letter() };
    let valid = [of_a_document, letter()].map(|letter| codec::encode(&letter).unwrap());
    precis_fuzz::survives("dead-letter-replay", &valid, |bytes| {
        let Ok(letter) = codec::decode::<DeadLetter>(bytes) else { return };
        if let Ok(target) = replay_target(&letter, precis_flow::Headers::new()) {
            assert!(topics::is_read_by(&letter.stage, &target.topic));
            assert_eq!(target.headers.get(REPLAY_HEADER), Some(letter.id.as_bytes()));
        }
        if let Some(subject) = Subject::of(&letter, letter.value.as_deref()) {
            let before = subject.document.revision;
            if let Ok(record) = next_revision(&letter, subject).unwrap() {
                let document: Document = codec::decode(record.value.as_deref().unwrap()).unwrap();
                assert!(document.revision > before);
            }
        }
    });
}

#[tokio::test]
async fn what_is_no_document_has_no_next_revision() {
    let world = World::new().await;
    let letter = world.raw().await;
    assert_eq!(world.refusal(letter, &as_revision()).await, "no_document");
}

fn failed_outcome() -> Outcome {
    let json = serde_json::json!({
        "tenant": "acme", "document_id": "doc", "revision": 4, "status": "failed", "cost": "0",
        "origin": { "topic": "documents.acme", "partition": 2, "offset": 17 },
        "request_digest": "", "request_fingerprint": "", "policy_digest": "", "submitted_at": 0, "settled_at": 0,
    });
    let outcome: Outcome = serde_json::from_value(json).unwrap();
    assert_eq!(outcome.status, Status::Failed);
    outcome
}
