#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use precis_flow::{EmbeddedConfig, LogConfig, Output};

use super::*;

fn letter(stage: &str, offset: i64) -> DeadLetter {
    DeadLetter {
        id: format!("{stage}/documents.acme/0/{offset}"),
        stage: stage.into(),
        code: "unknown_schema".into(),
        message: String::new(),
        topic: "documents.acme".into(),
        partition: 0,
        offset,
        key: None,
        value: Some(b"raw".to_vec()),
        value_ref: None,
        headers: Vec::new(),
        attempts: 1,
        tenant: None,
        failed_at: 0,
    }
}

fn record(letter: &DeadLetter) -> Output {
    Output::to(topics::DEAD_LETTERS).key(letter.id.as_str()).value(codec::encode(letter).unwrap())
}

/// What is read where these records lie on `dead-letters`, and how many were left out.
async fn read(records: Vec<Output>) -> (Vec<DeadLetter>, usize) {
    let (read, skipped) = read_with_actions(records).await;
    (read.into_iter().map(|letter| letter.letter).collect(), skipped)
}

async fn read_with_actions(records: Vec<Output>) -> (Vec<Letter>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let embedded = EmbeddedConfig { path: folder.path().join("log.db") };
    let log = precis_flow::open(&LogConfig { embedded, ..LogConfig::default() }).await.unwrap();
    log.ensure_topics(&topics::all(&[], &[], 1, None)).await.unwrap();
    log.publish(records).await.unwrap();
    let read = letters(&log).await.unwrap();
    let skipped = read.skipped.count();
    (read.all, skipped)
}

/// One such record once hid all others for as long as the topic keeps it.
#[tokio::test]
async fn what_is_no_dead_letter_hides_none() {
    let nonsense = || Output::to(topics::DEAD_LETTERS).key("x").value("nonsense");
    let (one, two) = (letter("router", 1), letter("router", 2));
    let (found, skipped) = read(vec![nonsense(), record(&one), nonsense(), record(&two)]).await;
    assert_eq!((found, skipped), (vec![one, two], 2));
}

/// Nobody takes the id of another's failure by being first.
#[tokio::test]
async fn a_taken_id_hides_no_dead_letter() {
    let real = letter("router", 1);
    let stolen = DeadLetter { id: real.id.clone(), ..letter("router", 7) };
    let (found, skipped) = read(vec![record(&stolen), record(&real)]).await;
    assert_eq!((found, skipped), (vec![real.clone()], 1));
    // One of the same place that says something else is shown beside it.
    let other = DeadLetter { value: Some(b"war".to_vec()), ..real.clone() };
    let (found, _) = read(vec![record(&other), record(&real)]).await;
    assert_eq!(found, [other, real]);
}

#[tokio::test]
async fn a_failure_that_was_delivered_again_is_one() {
    let first = letter("router", 1);
    let again = DeadLetter { attempts: 2, failed_at: 9, ..first.clone() };
    assert_eq!(read(vec![record(&first), record(&again)]).await, (vec![first], 0));
}

/// Rather not replayed than twice.
#[tokio::test]
async fn an_unreadable_action_counts_for_its_key() {
    let (done, open) = (letter("router", 1), letter("router", 2));
    let action = Output::to(topics::DEAD_LETTER_ACTIONS).key(done.id.as_str()).value("nonsense");
    let (found, _) = read_with_actions(vec![record(&done), record(&open), action]).await;
    assert!(found[0].action.is_some() && found[1].action.is_none());
}
