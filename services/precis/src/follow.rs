//! Topics read from outside of any group: to their end, or followed until documents have ended.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use precis_flow::{FlowError, Log, Position, ReadStart, Reader, Record};
use precis_pipeline::settle::REPEAT_HEADER;
use precis_pipeline::topics;
use precis_schemas::{CodecError, DeadLetter, Outcome, codec};
use precis_telemetry::Shutdown;

use crate::output::Output;

/// How long one read waits for a record before the end of the topic is asked for.
const READ_TIMEOUT: Duration = Duration::from_millis(200);
/// Records that are named where they are left out; the others are counted.
const MAX_SKIPPED_NAMED: usize = 3;
/// How often a command that watches a topic checks whether anybody still reads its stdout.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Records of a topic that a command leaves out because they are not what the topic holds. One of
/// them must not hide the others: whoever may write to the topic could stop the command with it.
#[derive(Debug, Default)]
pub struct Skipped(Vec<(Position, String)>);

impl Skipped {
    /// Leaves a record out.
    pub fn add(&mut self, record: &Record, why: impl Display) {
        self.0.push((record.position(), why.to_string()));
    }

    /// How many were left out.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Says what was left out.
    pub fn tell(&self, out: &Output) {
        for (position, why) in self.0.iter().take(MAX_SKIPPED_NAMED) {
            out.note(format_args!("{position} is left out: {why}"));
        }
        let more = self.0.len().saturating_sub(MAX_SKIPPED_NAMED);
        if more > 0 {
            out.note(format_args!("{more} more records are left out"));
        }
    }
}

/// Calls `each` with every record that a topic holds now, and returns whether the topic exists. One
/// that does not holds no record.
///
/// # Errors
/// The log's, and those of `each`.
pub async fn read_to_end(
    log: &Arc<dyn Log>,
    topic: &str,
    mut each: impl FnMut(Record) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let mut reader = match log.reader(topic, ReadStart::Beginning).await {
        Err(FlowError::UnknownTopic { .. }) => return Ok(false),
        reader => reader.with_context(|| format!("topic {topic} cannot be read"))?,
    };
    loop {
        match reader.next(READ_TIMEOUT).await? {
            Some(record) => each(record)?,
            None if reader.caught_up() => return Ok(true),
            None => {}
        }
    }
}

/// Calls `each` with every record of a topic, from its start or from now on, until the command is
/// interrupted or nobody reads stdout any more.
///
/// # Errors
/// The log's, and those of `each`.
pub async fn watch(
    log: &Arc<dyn Log>,
    topic: &str,
    start: ReadStart,
    out: &Output,
    mut each: impl FnMut(Record) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = log.reader(topic, start).await?;
    let stop = Shutdown::from_signals()?;
    while !stop.is_cancelled() && !out.is_closed() {
        let record = tokio::select! {
            record = reader.next(WATCH_INTERVAL) => record?,
            () = stop.cancelled() => break,
        };
        if let Some(record) = record {
            each(record)?;
        }
    }
    Ok(())
}

/// How a published document ended.
#[derive(Debug)]
pub enum Ending {
    /// With an outcome; `repeat`: it had been settled before this publication.
    Outcome {
        /// The outcome.
        outcome: Box<Outcome>,
        /// Settled before.
        repeat: bool,
    },
    /// Without an outcome: the record could not be used.
    DeadLetter(Box<DeadLetter>),
}

/// Waits for the ends of published documents. It is made before the documents are published, so
/// that no end is missed.
pub struct Follower {
    tenant: String,
    outcomes: Box<dyn Reader>,
    dead_letters: Box<dyn Reader>,
    /// Documents without an end, by id.
    open: HashMap<String, Option<Position>>,
    skipped: Skipped,
}

impl Follower {
    /// Follows what comes from now on.
    ///
    /// # Errors
    /// The log's.
    pub async fn new(log: &Arc<dyn Log>, tenant: &str) -> Result<Self, FlowError> {
        Ok(Self {
            tenant: tenant.to_owned(),
            outcomes: log.reader(topics::SUMMARIES, ReadStart::End).await?,
            dead_letters: log.reader(topics::DEAD_LETTERS, ReadStart::End).await?,
            open: HashMap::new(),
            skipped: Skipped::default(),
        })
    }

    /// Waits for this document too, which was published at this position.
    pub fn expect(&mut self, document_id: &str, position: Option<Position>) {
        self.open.insert(document_id.to_owned(), position);
    }

    /// How many documents have not ended.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The records that were no outcome and no dead letter, to be told once the wait is over.
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    /// The next end of a document that is waited for, with its id; `None` when there was none
    /// within `timeout`. A record that cannot be read is skipped: whoever may write to the topic
    /// could end the wait with it. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The log's.
    pub async fn next(&mut self, timeout: Duration) -> anyhow::Result<Option<(String, Ending)>> {
        let record = tokio::select! {
            record = self.outcomes.next(timeout) => record?,
            record = self.dead_letters.next(timeout) => record?,
        };
        let Some(record) = record else { return Ok(None) };
        let is_letter = &*record.topic == topics::DEAD_LETTERS;
        let ending = if is_letter { self.dead_letter(&record) } else { self.outcome(&record) };
        Ok(ending.unwrap_or_else(|why| {
            self.skipped.add(&record, why);
            None
        }))
    }

    fn outcome(&mut self, record: &Record) -> Result<Option<(String, Ending)>, CodecError> {
        let outcome: Outcome = codec::decode(record.value.as_deref().unwrap_or_default())?;
        if outcome.tenant != self.tenant || self.open.remove(&outcome.document_id).is_none() {
            return Ok(None);
        }
        let repeat = record.headers.get(REPEAT_HEADER).is_some();
        Ok(Some((outcome.document_id.clone(), Ending::Outcome { outcome: Box::new(outcome), repeat })))
    }

    /// A dead letter ends a document only when the record on `documents` could not be used: a dead
    /// letter of a later stage is followed by an outcome.
    fn dead_letter(&mut self, record: &Record) -> Result<Option<(String, Ending)>, CodecError> {
        let letter: DeadLetter = codec::decode(record.value.as_deref().unwrap_or_default())?;
        let at = Position { topic: letter.topic.as_str().into(), partition: letter.partition, offset: letter.offset };
        let id = self.open.iter().find(|(_, position)| position.as_ref() == Some(&at)).map(|(id, _)| id.clone());
        Ok(id.map(|id| {
            self.open.remove(&id);
            (id, Ending::DeadLetter(Box::new(letter)))
        }))
    }
}

#[cfg(test)]
mod tests;
