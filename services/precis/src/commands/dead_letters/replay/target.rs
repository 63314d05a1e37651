//! Where a replayed record goes, and the headers that it has there: the one place that decides it.
//!
//! A dead letter is data that others wrote, and the operator who replays it may write to more
//! topics than they may. So a dead letter does not choose the topic: its record goes where its
//! stage reads, and to no other topic.

use precis_flow::{ATTEMPTS_HEADER, Headers, ORIGIN_HEADER};
use precis_pipeline::identity::REPLAY_HEADER;
use precis_pipeline::topics;
use precis_schemas::DeadLetter;

use super::super::read::position;
use super::refusal::Refusal;

/// Where a record goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) topic: String,
    /// `None`: the key chooses.
    pub(super) partition: Option<i32>,
    pub(super) headers: Headers,
}

/// Where the record of a dead letter goes as it was, with these headers: into its own partition. Its
/// headers say that it is a replay, and at which position its first copy is.
pub(super) fn replay_target(letter: &DeadLetter, mut headers: Headers) -> Result<Target, Refusal> {
    if !topics::is_read_by(&letter.stage, &letter.topic) {
        return Err(Refusal::TopicNotAllowed { topic: letter.topic.clone(), stage: letter.stage.clone() });
    }
    if headers.get(ORIGIN_HEADER).is_none() {
        headers.push(ORIGIN_HEADER, position(letter).to_string());
    }
    // The record starts over: its earlier attempts were used up.
    headers.remove(ATTEMPTS_HEADER);
    headers.set(REPLAY_HEADER, letter.id.as_bytes());
    Ok(Target { topic: letter.topic.clone(), partition: Some(letter.partition), headers })
}

/// Where the next revision of a tenant's document goes: it is a new document.
pub(super) fn revision_target(letter: &DeadLetter, tenant: &str) -> Result<Target, Refusal> {
    if !topics::is_read_by(&letter.stage, &letter.topic) || !topics::is_valid_name(tenant) {
        return Err(Refusal::TopicNotAllowed { topic: letter.topic.clone(), stage: letter.stage.clone() });
    }
    let headers = Headers::new().with(REPLAY_HEADER, letter.id.as_bytes());
    Ok(Target { topic: topics::documents(tenant), partition: None, headers })
}
