//! Topics read from outside of any group: to their end, or followed until documents have ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use precis_flow::{FlowError, Log, Position, ReadStart, Reader, Record};
use precis_pipeline::settle::REPEAT_HEADER;
use precis_pipeline::topics;
use precis_schemas::{DeadLetter, Outcome, codec};

/// How long one read waits for a record before the end of the topic is asked for.
const READ_TIMEOUT: Duration = Duration::from_millis(200);

/// Calls `each` with every record that a topic holds now. A topic that does not exist holds none.
///
/// # Errors
/// The log's, and those of `each`.
pub async fn read_to_end(
    log: &Arc<dyn Log>,
    topic: &str,
    mut each: impl FnMut(Record) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = match log.reader(topic, ReadStart::Beginning).await {
        Err(FlowError::UnknownTopic { .. }) => return Ok(()),
        reader => reader.with_context(|| format!("topic {topic} cannot be read"))?,
    };
    loop {
        match reader.next(READ_TIMEOUT).await? {
            Some(record) => each(record)?,
            None if reader.caught_up() => return Ok(()),
            None => {}
        }
    }
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
    /// Without one: the record could not be used.
    DeadLetter(Box<DeadLetter>),
}

/// Waits for the ends of published documents. Made before they are published, so that none is
/// missed.
pub struct Follower {
    tenant: String,
    outcomes: Box<dyn Reader>,
    dead_letters: Box<dyn Reader>,
    /// Documents without an end, by id.
    open: HashMap<String, Option<Position>>,
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
        })
    }

    /// Waits for this document, which was published at a position.
    pub fn expect(&mut self, document_id: &str, position: Option<Position>) {
        self.open.insert(document_id.to_owned(), position);
    }

    /// How many documents have not ended.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The next end of a document that is waited for, with its id; `None` when there was none
    /// within `timeout`. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The log's; an outcome that this build cannot read.
    pub async fn next(&mut self, timeout: Duration) -> anyhow::Result<Option<(String, Ending)>> {
        let record = tokio::select! {
            record = self.outcomes.next(timeout) => record?,
            record = self.dead_letters.next(timeout) => record?,
        };
        let Some(record) = record else { return Ok(None) };
        if &*record.topic == topics::DEAD_LETTERS { self.dead_letter(&record) } else { self.outcome(&record) }
    }

    fn outcome(&mut self, record: &Record) -> anyhow::Result<Option<(String, Ending)>> {
        let value = record.value.as_deref().unwrap_or_default();
        let outcome: Outcome = codec::decode(value).with_context(|| format!("outcome {}", record.position()))?;
        if outcome.tenant != self.tenant || self.open.remove(&outcome.document_id).is_none() {
            return Ok(None);
        }
        let repeat = record.headers.get(REPEAT_HEADER).is_some();
        Ok(Some((outcome.document_id.clone(), Ending::Outcome { outcome: Box::new(outcome), repeat })))
    }

    /// A dead letter ends a document only when its record on `documents` was at fault: later stages
    /// leave an outcome as well.
    fn dead_letter(&mut self, record: &Record) -> anyhow::Result<Option<(String, Ending)>> {
        let value = record.value.as_deref().unwrap_or_default();
        let letter: DeadLetter = codec::decode(value).with_context(|| format!("dead letter {}", record.position()))?;
        let at = Position { topic: letter.topic.as_str().into(), partition: letter.partition, offset: letter.offset };
        let id = self.open.iter().find(|(_, position)| position.as_ref() == Some(&at)).map(|(id, _)| id.clone());
        Ok(id.map(|id| {
            self.open.remove(&id);
            (id, Ending::DeadLetter(Box::new(letter)))
        }))
    }
}
