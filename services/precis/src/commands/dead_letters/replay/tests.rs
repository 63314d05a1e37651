#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use precis_flow::{ATTEMPTS_HEADER, ORIGIN_HEADER};
use precis_objects::{DirectoryStore, ObjectStore as _};
use precis_schemas::{BodyReference, RecordHeader, Status};

use super::*;

const LIMIT: u64 = 1024 * 1024;

fn letter(value: &[u8]) -> DeadLetter {
    DeadLetter {
        id: "router/documents.acme/2/17".into(),
        stage: "router".into(),
        code: "unknown_schema".into(),
        message: String::new(),
        topic: "documents.acme".into(),
        partition: 2,
        offset: 17,
        key: Some(b"doc".to_vec()),
        value: Some(value.to_vec()),
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

async fn built(letter: DeadLetter, new_revision: bool, store: &DirectoryStore) -> Result<Record, Refusal> {
    build(&Letter { letter, action: None }, new_revision, store).await.unwrap()
}

async fn store() -> (tempfile::TempDir, DirectoryStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(folder.path(), LIMIT).await.unwrap();
    (folder, store)
}

/// A replayed record has the bytes of the dead letter, and is known by the position of its first
/// copy.
#[tokio::test]
async fn a_replayed_record_has_the_same_bytes_and_its_first_origin() {
    let (_folder, store) = store().await;
    let mut letter = letter(b"raw");
    letter.headers = vec![
        RecordHeader { name: "traceparent".into(), value: b"00-1".to_vec() },
        RecordHeader { name: ATTEMPTS_HEADER.into(), value: b"3".to_vec() },
    ];
    let record = built(letter, false, &store).await.unwrap();
    assert_eq!((record.topic.as_str(), record.partition), (topics::RETURNS, None));
    assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"doc"[..]), Some(&b"raw"[..])));
    assert_eq!(record.headers.get_str(ORIGIN_HEADER), Some("documents.acme/2/17"));
    assert_eq!(record.headers.get_str(REPLAY_HEADER), Some("router/documents.acme/2/17"));
    assert_eq!(record.headers.get_str("traceparent"), Some("00-1"));
    assert_eq!(record.headers.get(ATTEMPTS_HEADER), None);
}

#[tokio::test]
async fn an_origin_that_a_record_has_stays_its_origin() {
    let (_folder, store) = store().await;
    let mut letter = letter(b"raw");
    letter.headers = vec![RecordHeader { name: ORIGIN_HEADER.into(), value: b"documents.acme/0/1".to_vec() }];
    let publishers = built(letter.clone(), false, &store).await.unwrap();
    assert_eq!(publishers.headers.get_str(ORIGIN_HEADER), Some("documents.acme/2/17"), "what a publisher says is none");
    letter.topic = topics::RETURNS.into();
    let record = built(letter, false, &store).await.unwrap();
    assert_eq!(record.headers.get_str(ORIGIN_HEADER), Some("documents.acme/0/1"));
}

#[tokio::test]
async fn a_second_replay_is_refused() {
    let (_folder, store) = store().await;
    let action =
        DeadLetterAction { id: "x".into(), action: "replayed".into(), by: "ada".into(), at: 0, reason: String::new() };
    let found = Letter { letter: letter(b"raw"), action: Some(action) };
    let refusal = build(&found, false, &store).await.unwrap().unwrap_err();
    assert_eq!(refusal.code(), "already_replayed");
    assert!(refusal.to_string().contains("by ada"), "{refusal}");
}

#[tokio::test]
async fn a_record_whose_bytes_are_gone_or_changed_is_refused() {
    let (_folder, store) = store().await;
    let mut letter = letter(b"");
    let key = keys::dead_letter(Some("acme"), &keys::hash(""));
    letter.value = None;
    letter.value_ref = Some(BodyReference { key: key.clone(), sha256: keys::hash_bytes(b"raw"), size_bytes: 3 });
    assert_eq!(built(letter.clone(), false, &store).await.unwrap_err().code(), "body_missing");
    store.put_if_absent(&key, b"war".to_vec()).await.unwrap();
    assert_eq!(built(letter.clone(), false, &store).await.unwrap_err().code(), "body_missing");
    store.delete(&key).await.unwrap();
    store.put_if_absent(&key, b"raw".to_vec()).await.unwrap();
    assert_eq!(built(letter, false, &store).await.unwrap().value.as_deref(), Some(&b"raw"[..]));
}

#[tokio::test]
async fn a_document_whose_body_is_gone_is_refused() {
    let (_folder, store) = store().await;
    let mut document = document();
    document.text = None;
    let body = claim_check::put_body(&store, "acme", "doc", 4, b"long text".to_vec()).await.unwrap();
    document.body = Some(body.clone());
    let letter = letter(&codec::encode(&document).unwrap());
    assert!(built(letter.clone(), false, &store).await.is_ok());
    store.delete(&body.key).await.unwrap();
    assert_eq!(built(letter, false, &store).await.unwrap_err().code(), "body_missing");
}

#[tokio::test]
async fn a_settled_document_is_only_replayed_as_its_next_revision() {
    let (_folder, store) = store().await;
    let letter = letter(&codec::encode(&document()).unwrap());
    let outcome = failed_outcome();
    store.put_if_absent(&keys::result("acme", "doc", 4), codec::encode(&outcome).unwrap()).await.unwrap();
    let refusal = built(letter.clone(), false, &store).await.unwrap_err();
    assert_eq!(refusal, Refusal::Settled { status: "failed", revision: 4 });

    let record = built(letter, true, &store).await.unwrap();
    let again: Document = codec::decode(record.value.as_deref().unwrap()).unwrap();
    assert_eq!((again.revision, again.text.as_deref()), (5, Some("text")));
    assert_eq!((record.topic.as_str(), record.headers.get(ORIGIN_HEADER)), ("documents.acme", None));
}

/// A copy that was tried again is its tenant's document like any other.
#[tokio::test]
async fn letter_of_a_returned_document_has_a_next_revision() {
    let (_folder, store) = store().await;
    let mut letter = letter(&codec::encode(&document()).unwrap());
    letter.topic = topics::RETURNS.into();
    letter.headers = vec![RecordHeader { name: ORIGIN_HEADER.into(), value: b"documents.acme/0/1".to_vec() }];
    let record = built(letter, true, &store).await.unwrap();
    assert_eq!(record.topic, "documents.acme");
}

/// Whoever may write to a work topic cannot have an operator publish in any tenant's name, whatever
/// its record was rejected for.
#[tokio::test]
async fn unproved_letter_is_no_document_of_anybody() {
    let (_folder, store) = store().await;
    let keys = RoutingKeys::open(&store).await.unwrap();
    let proved = keys.prove(Record::to("work.gpu").value("work"));
    let header = |(name, value): (&str, &[u8])| RecordHeader { name: name.into(), value: value.into() };
    let of = |value: &[u8], headers| DeadLetter { topic: "work.gpu".into(), headers, ..letter(value) };
    let ours = of(b"work", proved.headers.iter().map(header).collect());
    assert_eq!(built(ours.clone(), true, &store).await.unwrap_err().code(), "no_document", "it is only a word");
    for forged in [DeadLetter { value: Some(b"other".to_vec()), ..ours }, of(b"work", Vec::new())] {
        assert_eq!(built(forged, true, &store).await.unwrap_err(), Refusal::Unproved);
    }
}

/// Publishers choose revisions.
#[tokio::test]
async fn the_last_revision_there_can_be_has_none_after_it() {
    let (_folder, store) = store().await;
    let last = Document { revision: i64::MAX, ..document() };
    let refusal = built(letter(&codec::encode(&last).unwrap()), true, &store).await.unwrap_err();
    assert_eq!(refusal.code(), "last_revision");
    assert!(Refusal::Settled { status: "failed", revision: i64::MAX }.to_string().contains("never changes"));
}

#[test]
fn broken_dead_letters_are_survived() {
    let raw = RecordHeader { name: "traceparent".into(), value: b"00-1".to_vec() };
    let of_a_document = DeadLetter { headers: vec![raw], ..letter(&codec::encode(&document()).unwrap()) };
    let valid = [of_a_document, letter(b"raw")].map(|letter| codec::encode(&letter).unwrap());
    precis_fuzz::survives("dead-letter-replay", &valid, |bytes| {
        let Ok(letter) = codec::decode::<DeadLetter>(bytes) else { return };
        let record = returns::replayed(&letter, letter.value.clone());
        assert_eq!(record.headers.get(REPLAY_HEADER), Some(letter.id.as_bytes()));
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
    let (_folder, store) = store().await;
    assert_eq!(built(letter(b"raw"), true, &store).await.unwrap_err().code(), "no_document");
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
