//! The record that a dead letter tells of: from its own topic, where it still is.
//!
//! A dead letter is only believed where nothing better is left. As long as the record lies at its
//! position, that record goes back, and the dead letter must agree with it.

use precis_flow::{Headers, Log, Record};
use precis_objects::{ObjectStore, keys};
use precis_pipeline::returns::headers_of;
use precis_schemas::DeadLetter;

use super::super::read::position;
use super::refusal::Refusal;
use crate::operations::dead_letters::record_value;

/// Key, value and headers of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Original {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Headers,
}

/// The record, or why it cannot be had. The dead letters have one id; with `from_letter` they are
/// believed where the record is gone.
pub(super) async fn original(
    letters: &[&DeadLetter],
    from_letter: bool,
    log: &dyn Log,
    store: &dyn ObjectStore,
) -> anyhow::Result<Result<Original, Refusal>> {
    let Some((first, others)) = letters.split_first() else { return Ok(Err(Refusal::Unknown)) };
    let position = position(first);
    match log.record_at(&position).await? {
        Some(record) if letters.iter().any(|letter| tells_of(letter, &record)) => {
            Ok(Ok(Original { key: record.key, value: record.value, headers: record.headers }))
        }
        Some(_) => Ok(Err(Refusal::OtherRecord { position: position.to_string() })),
        None if !from_letter => Ok(Err(Refusal::RecordGone { position: position.to_string() })),
        None if others.iter().any(|other| !is_same_record(first, other)) => {
            Ok(Err(Refusal::Ambiguous { position: position.to_string() }))
        }
        None => Ok(match record_value(first, store).await {
            Ok(value) => Ok(Original { key: first.key.clone(), value, headers: headers_of(first) }),
            Err(error) => Err(Refusal::BodyMissing(format!("{error:#}"))),
        }),
    }
}

/// Whether a dead letter is one of this record. A key that is too large, headers for which there
/// was no room, and a value that no store takes are left out of dead letters.
fn tells_of(letter: &DeadLetter, record: &Record) -> bool {
    let value = record.value.as_deref();
    let same_value = match &letter.value_ref {
        None => letter.value.as_deref() == value,
        Some(stored) => {
            let value = value.unwrap_or_default();
            i64::try_from(value.len()) == Ok(stored.size_bytes)
                && (stored.key.is_empty() || keys::hash_bytes(value) == stored.sha256)
        }
    };
    let same_key = letter.key.is_none() || letter.key == record.key;
    let mut all = record.headers.iter();
    let same_headers = headers_of(letter).iter().all(|kept| all.any(|one| one == kept));
    same_value && same_key && same_headers
}

fn is_same_record(one: &DeadLetter, other: &DeadLetter) -> bool {
    (&one.key, &one.value, &one.value_ref, &one.headers) == (&other.key, &other.value, &other.value_ref, &other.headers)
}
