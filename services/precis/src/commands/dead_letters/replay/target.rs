//! Where a replayed record goes, and the headers that it has there: the one place that decides it.
//!
//! A dead letter is data that others wrote, and the operator who replays it may write to more
//! topics than they may. So a dead letter does not choose the topic: its record goes where its
//! stage reads, and to no other topic.

use precis_flow::Headers;
use precis_pipeline::identity::REPLAY_HEADER;
use precis_pipeline::returns::{self, Target};
use precis_pipeline::topics;
use precis_schemas::DeadLetter;

use super::refusal::Refusal;

/// Where the record of a dead letter goes as it was, with these headers.
pub(super) fn replay_target(letter: &DeadLetter, headers: Headers) -> Result<Target, Refusal> {
    if !topics::is_read_by(&letter.stage, &letter.topic) {
        return Err(Refusal::TopicNotAllowed { topic: letter.topic.clone(), stage: letter.stage.clone() });
    }
    Ok(returns::replay_target(letter, headers))
}

/// Where the next revision of a tenant's document goes: it is a new document.
pub(super) fn revision_target(letter: &DeadLetter, tenant: &str) -> Result<Target, Refusal> {
    if !topics::is_read_by(&letter.stage, &letter.topic) || !topics::is_valid_name(tenant) {
        return Err(Refusal::TopicNotAllowed { topic: letter.topic.clone(), stage: letter.stage.clone() });
    }
    let headers = Headers::new().with(REPLAY_HEADER, letter.id.as_bytes());
    Ok(Target { topic: topics::documents(tenant), partition: None, headers })
}
