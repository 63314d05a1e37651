//! The dead letters and the operators' actions, as they lie on their topics.
//!
//! Whoever may write to `dead-letters` can write nonsense there. It hides nothing: what cannot be
//! read, or is not what a stage writes, is left out and told, and of several dead letters with one
//! id each that says something else is there.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use precis_flow::{Log, Position};
use precis_pipeline::topics;
use precis_schemas::{DeadLetter, DeadLetterAction, codec};

use crate::follow::{Skipped, read_to_end};

/// A dead letter, with the operator's action where there is one.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) letter: DeadLetter,
    pub(super) action: Option<DeadLetterAction>,
}

/// What the topic `dead-letters` holds.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// Oldest first. A failure that was delivered again is one dead letter.
    pub(super) all: Vec<Letter>,
    /// Records that are no dead letters.
    pub(super) skipped: Skipped,
}

impl Letters {
    /// Those with this id: more than one where they say different things of one record.
    pub(super) fn of_id<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Letter> {
        self.all.iter().filter(move |letter| letter.letter.id == id)
    }
}

/// Reads both topics to their ends.
///
/// # Errors
/// The log's.
pub(super) async fn letters(log: &Arc<dyn Log>) -> anyhow::Result<Letters> {
    let mut read = Letters::default();
    let mut by_id: HashMap<String, Vec<usize>> = HashMap::new();
    read_to_end(log, topics::DEAD_LETTERS, |record| {
        let Some(value) = record.value.as_deref() else { return Ok(()) };
        match genuine(value) {
            Err(why) => read.skipped.add(&record, why),
            Ok(letter) => {
                let same_id = by_id.entry(letter.id.clone()).or_default();
                if !same_id.iter().any(|at| is_same_failure(&read.all[*at].letter, &letter)) {
                    same_id.push(read.all.len());
                    read.all.push(Letter { letter, action: None });
                }
            }
        }
        Ok(())
    })
    .await?;
    let actions = actions(log).await?;
    for letter in &mut read.all {
        letter.action = actions.get(&letter.letter.id).cloned();
    }
    Ok(read)
}

/// Where the record of a dead letter lies.
pub(super) fn position(letter: &DeadLetter) -> Position {
    Position { topic: letter.topic.as_str().into(), partition: letter.partition, offset: letter.offset }
}

/// The dead letter in these bytes, if it is one that a stage may have written: its id names the
/// record that it tells of, so that nobody can take the id of another.
fn genuine(value: &[u8]) -> Result<DeadLetter, String> {
    let letter: DeadLetter = codec::decode(value).map_err(|error| format!("it cannot be read: {error}"))?;
    if letter.id == format!("{}/{}", letter.stage, position(&letter)) {
        return Ok(letter);
    }
    Err(format!(
        "its id, {}, is not the one of the record that it tells of; no stage writes such a dead letter",
        letter.id
    ))
}

/// Whether two dead letters with one id say the same, but for when and how often.
fn is_same_failure(one: &DeadLetter, other: &DeadLetter) -> bool {
    let same_record = (&one.key, &one.value, &one.value_ref, &one.headers)
        == (&other.key, &other.value, &other.value_ref, &other.headers);
    same_record && (&one.code, &one.message, &one.tenant) == (&other.code, &other.message, &other.tenant)
}

/// The actions of operators, by the id of their dead letter. One that cannot be read counts for the
/// id that is its key: a dead letter is rather not replayed than twice.
async fn actions(log: &Arc<dyn Log>) -> anyhow::Result<BTreeMap<String, DeadLetterAction>> {
    let mut actions = BTreeMap::new();
    read_to_end(log, topics::DEAD_LETTER_ACTIONS, |record| {
        let Some(value) = record.value.as_deref() else { return Ok(()) };
        let action = codec::decode(value).unwrap_or_else(|_| DeadLetterAction {
            id: String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned(),
            action: "unreadable".to_owned(),
            by: format!("whoever wrote {}, which cannot be read", record.position()),
            at: record.timestamp_ms,
            reason: String::new(),
        });
        actions.insert(action.id.clone(), action);
        Ok(())
    })
    .await?;
    Ok(actions)
}

#[cfg(test)]
mod tests;
