//! Reads one topic of the embedded log from a start on, and follows it.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::database::Database;
use super::store::{self, BatchLimit, Topic};
use crate::error::FlowError;
use crate::log::{ReadStart, Reader};
use crate::values::Record;

const BATCH: BatchLimit = BatchLimit { records: 256, bytes: 4 * 1024 * 1024 };

pub(super) struct EmbeddedReader {
    database: Database,
    topic: Topic,
    /// The next offset to read, by partition.
    next: Vec<i64>,
    fetched: VecDeque<Record>,
    changes: watch::Receiver<u64>,
    end_reached: Option<Instant>,
    /// Whether to tell of the next end that is reached at once.
    tell_end: bool,
}

impl EmbeddedReader {
    pub(super) async fn open(database: Database, name: &str, start: ReadStart) -> Result<Self, FlowError> {
        let name = name.to_owned();
        let find = move |transaction: &rusqlite::Transaction<'_>| {
            let found = store::topics(transaction)?.into_iter().find(|topic| *topic.name == *name);
            let topic = found.ok_or(FlowError::UnknownTopic { topic: name })?;
            let mut next = Vec::new();
            for partition in 0..topic.partitions {
                let (low, end) = store::ends(transaction, topic.id, partition)?;
                next.push(if start == ReadStart::End { end } else { low });
            }
            Ok((topic, next))
        };
        let (topic, next) = database.read("opening a reader", find).await?;
        let changes = database.changes();
        Ok(Self { database, topic, next, fetched: VecDeque::new(), changes, end_reached: None, tell_end: true })
    }

    /// Reads what there is. Nothing of it counts as read before it lies in `fetched`, so that a
    /// dropped future loses nothing.
    async fn fetch(&mut self) -> Result<(), FlowError> {
        self.changes.mark_unchanged();
        let asked = Instant::now();
        let (topic, next) = (self.topic.clone(), self.next.clone());
        let read = move |transaction: &rusqlite::Transaction<'_>| {
            let mut records = Vec::new();
            for (partition, from) in next.into_iter().enumerate() {
                records.extend(store::read(transaction, &topic, partition as i32, from, BATCH)?);
            }
            Ok(records)
        };
        let records = self.database.read("reading", read).await?;
        if records.is_empty() {
            self.end_reached = Some(asked);
        }
        for record in &records {
            self.next[record.partition as usize] = record.offset + 1;
        }
        self.fetched.extend(records);
        Ok(())
    }
}

#[async_trait]
impl Reader for EmbeddedReader {
    async fn next(&mut self, timeout: Duration) -> Result<Option<Record>, FlowError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(record) = self.fetched.pop_front() {
                return Ok(Some(record));
            }
            self.fetch().await?;
            if !self.fetched.is_empty() {
                continue;
            }
            if std::mem::take(&mut self.tell_end) {
                return Ok(None);
            }
            match timeout_at(deadline, self.changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(FlowError::Closed),
                Err(_) => return Ok(None),
            }
        }
    }

    fn recheck_end(&mut self) {
        self.tell_end = true;
    }

    fn end_reached(&self) -> Option<Instant> {
        self.end_reached
    }
}
