//! The embedded log: one SQLite file, for one machine with nothing installed.
//!
//! - A transaction of the log, outputs and input offsets together, is one transaction of SQLite.
//! - What was acknowledged is on disk: it survives a kill -9 and a power failure.
//! - Several processes may use the file at once. A group has one member at a time: it holds a lock
//!   on a file beside the log, which the system frees when the process dies, and an epoch in the
//!   log that every commit checks.
//! - One offset is left out after each commit, so that offset arithmetic fails here as it would on
//!   Kafka.
//!
//! Rebalances and last stable offsets are Kafka's alone.

use std::time::Duration;

use async_trait::async_trait;
use precis_base::clock::now_ms;

use self::database::Database;
use crate::config::EmbeddedConfig;
use crate::error::FlowError;
use crate::log::{Change, ExclusiveWriter, Log, PartitionLag, ReadStart, Reader, TopicChange, TopicSpec, TopicStatus};
use crate::member::{JoinRequest, Membership};
use crate::values::{Output, Position, Record};

mod database;
mod headers;
mod lock;
mod member;
mod reader;
mod schema;
mod store;
mod trim;
mod writer;

/// How often old and superseded records are removed.
const TRIM_INTERVAL: Duration = Duration::from_secs(600);

/// A log in one file.
#[derive(Debug)]
pub(crate) struct EmbeddedLog {
    database: Database,
}

impl EmbeddedLog {
    /// Opens the file, or creates it.
    pub(crate) async fn open(config: &EmbeddedConfig) -> Result<Self, FlowError> {
        let database = Database::open(&config.path).await?;
        database.write("removing old records", |transaction| trim::trim(transaction, now_ms())).await?;
        Ok(Self { database })
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    async fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicChange>, FlowError> {
        let specs = specs.to_vec();
        let ensure = move |transaction: &rusqlite::Transaction<'_>| {
            let mut changes = Vec::new();
            for spec in specs {
                let change = match store::topic_spec(transaction, &spec.name)? {
                    None => {
                        check_spec(&spec)?;
                        store::create_topic(transaction, &spec)?;
                        Change::Created
                    }
                    Some(found) => found.compare(&spec),
                };
                changes.push(TopicChange { topic: spec.name, change });
            }
            Ok(changes)
        };
        self.database.write("creating topics", ensure).await
    }

    async fn topics(&self) -> Result<Vec<TopicStatus>, FlowError> {
        self.database.read("listing topics", store::statuses).await
    }

    async fn group_lag(&self, group: &str) -> Result<Vec<PartitionLag>, FlowError> {
        let group = group.to_owned();
        self.database.read("measuring lag", move |transaction| store::lag(transaction, &group)).await
    }

    async fn publish(&self, outputs: Vec<Output>) -> Result<Vec<Position>, FlowError> {
        let publish = move |transaction: &rusqlite::Transaction<'_>| {
            outputs.iter().map(|output| store::append(transaction, output, now_ms())).collect()
        };
        self.database.write("publishing", publish).await
    }

    async fn reader(&self, topic: &str, start: ReadStart) -> Result<Box<dyn Reader>, FlowError> {
        Ok(Box::new(reader::EmbeddedReader::open(self.database.clone(), topic, start).await?))
    }

    async fn record_at(&self, position: &Position) -> Result<Option<Record>, FlowError> {
        let position = position.clone();
        let read = move |transaction: &rusqlite::Transaction<'_>| {
            let topic = store::topics(transaction)?.into_iter().find(|topic| topic.name == position.topic);
            let Some(topic) = topic else { return Ok(None) };
            let one = store::BatchLimit { records: 1, bytes: 0 };
            let found = store::read(transaction, &topic, position.partition, position.offset, one)?;
            Ok(found.into_iter().find(|record| record.offset == position.offset))
        };
        self.database.read("reading one record", read).await
    }

    async fn exclusive(&self, name: &str) -> Result<Box<dyn ExclusiveWriter>, FlowError> {
        Ok(Box::new(writer::EmbeddedWriter::take_over(self.database.clone(), name).await?))
    }

    async fn join(&self, request: JoinRequest) -> Result<Membership, FlowError> {
        member::join(self.database.clone(), request).await
    }

    fn describe(&self) -> String {
        format!("embedded log {}", self.database.path().display())
    }
}

fn check_spec(spec: &TopicSpec) -> Result<(), FlowError> {
    let problem = if spec.name.is_empty() || spec.name.contains('/') {
        "its name must not be empty and have no slash"
    } else if spec.partitions < 1 {
        "it must have at least one partition"
    } else if spec.max_message_bytes < 1 {
        "its largest record must have at least one byte"
    } else {
        return Ok(());
    };
    Err(FlowError::Config { problems: vec![format!("topic {:?}: {problem}", spec.name)] })
}

#[cfg(test)]
mod tests;
