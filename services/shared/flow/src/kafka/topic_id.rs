//! Which topic a name stands for. Kafka gives each topic an id (KIP-516): one that is deleted and
//! made again under the same name has another, and its offsets begin anew.
//!
//! rdkafka 0.39 has no call that tells ids, and librdkafka 2.12 goes on at the old offset when the
//! id of a topic changes. But it logs what it learns, in debug lines of the contexts `topic` and
//! `metadata`: some per partition when its metadata is refreshed, none per record. A line stands in
//! the client's queue before the first record that is fetched after it. So nothing of a new topic
//! is handed out before its id is known here. The contract tests hold the texts of these lines on a
//! real broker.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use precis_base::lock::locked;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;

use super::bounded;
use super::client::{self, ASK_TIMEOUT, Logs, flow_error, is_unknown_topic};
use crate::config::KafkaConfig;
use crate::error::{Class, FlowError};
use crate::values::PartitionId;

/// How long to wait for one more log line of a client that has answered.
const LINE_TIMEOUT: Duration = Duration::from_millis(2);
/// How librdkafka writes the id of a topic that has none: its brokers are older than Kafka 2.8, or
/// it is not known yet.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The id of one topic, as Kafka's own tools write it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TopicId(Arc<str>);

impl TopicId {
    /// Reads an id as librdkafka and this crate write it. `None`: it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/-_".contains(c);
        let is_id = text.len() == NO_ID.len() && text != NO_ID && text.chars().all(is_base64);
        // Kafka writes ids in the alphabet for addresses, librdkafka in the other.
        is_id.then(|| Self(text.replace('+', "-").replace('/', "_").into()))
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes a client tell what is read here.
pub(super) fn with_lines(mut config: ClientConfig) -> ClientConfig {
    config.set("debug", "topic,metadata").set_log_level(RDKafkaLogLevel::Debug);
    config
}

/// What one log line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A name stands for this topic now.
    Id {
        /// The topic's name.
        topic: String,
        /// Its id.
        id: TopicId,
        /// Whether this client knew it under another id before.
        changed: bool,
    },
    /// The client does not follow the leader of a partition, since it has seen a later leader
    /// epoch.
    LeaderIgnored {
        /// The topic's name.
        topic: String,
    },
    /// The client was told which brokers there are: none, or some.
    Brokers {
        /// Whether there is any.
        any: bool,
    },
    /// The client has stopped reading a partition: its next offset is not in the log.
    OutOfRange(OutOfRange),
}

/// A partition whose next offset is not in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OutOfRange {
    /// The partition.
    pub(super) partition: PartitionId,
    /// The next offset.
    pub(super) position: Option<i64>,
    /// Whether the client saw by leader epochs that the log lost its end (KIP-320).
    pub(super) is_truncated: bool,
}

impl Line {
    /// Reads a line of librdkafka 2.12. `None`: it says something else.
    pub(super) fn read(facility: &str, message: &str) -> Option<Self> {
        // The name of the thread stands first, unless `log.thread.name` is off.
        let message = match message.strip_prefix("[thrd:") {
            Some(rest) => rest.split_once("]: ")?.1,
            None => message,
        };
        match facility {
            "METADATA" if message.ends_with(" topics") => {
                let (_, counts) = message.rsplit_once(": ")?;
                let (brokers, _) = counts.split_once(" brokers, ")?;
                Some(Self::Brokers { any: brokers.parse::<u32>().ok()? > 0 })
            }
            "METADATA" => {
                let (topic, ids) = message.strip_prefix("Topic ")?.split_once(" changed id from ")?;
                let (old, id) = ids.split_once(" to ")?;
                Some(Self::Id { topic: topic.to_owned(), id: TopicId::parse(id)?, changed: old != NO_ID })
            }
            "BROKER" => {
                let (place, _) = message.split_once(": ignoring outdated metadata update")?;
                Some(Self::LeaderIgnored { topic: partition(place)?.topic.to_string() })
            }
            "OFFSET" => {
                let (place, rest) = message.split_once(": offset reset (at offset ")?;
                let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
                Some(Self::OutOfRange(OutOfRange {
                    partition: partition(place)?,
                    position: digits.and_then(|digits| digits.parse().ok()),
                    is_truncated: rest.contains("log truncation"),
                }))
            }
            _ => None,
        }
    }
}

/// Reads `topic [partition]`.
fn partition(place: &str) -> Option<PartitionId> {
    let (topic, number) = place.strip_suffix(']')?.rsplit_once(" [")?;
    Some(PartitionId { topic: topic.into(), partition: number.parse().ok()? })
}

/// Asks which topics names stand for, by a client that is replaced when it gets no answer.
pub(super) struct TopicIds {
    config: ClientConfig,
    client: Mutex<Option<BaseConsumer<Answers>>>,
}

#[derive(Default)]
struct Answers {
    ids: Mutex<HashMap<String, TopicId>>,
    lines: AtomicUsize,
}

impl TopicIds {
    /// Starts a client. Does not wait for the brokers.
    pub(super) fn open(config: &KafkaConfig) -> Result<Self, FlowError> {
        let config = with_lines(client::observer(config, None)?);
        let client = Mutex::new(Some(Self::start(&config)?));
        Ok(Self { config, client })
    }

    fn start(config: &ClientConfig) -> Result<BaseConsumer<Answers>, FlowError> {
        config.create_with_context(Answers::default()).map_err(|error| flow_error("starting a client", &error))
    }

    /// The id of a topic; `None` where the brokers have no ids. Blocks.
    ///
    /// # Errors
    /// `unknown_topic`: there is none of this name.
    pub(super) fn of(&self, topic: &str) -> Result<Option<TopicId>, FlowError> {
        let mut client = locked(&self.client);
        let asked = match client.take() {
            Some(asked) => asked,
            None => Self::start(&self.config)?,
        };
        let id = Self::ask(&asked, topic);
        match &id {
            Err(error) if error.class() == Class::Retry => bounded::end(asked)?,
            _ => *client = Some(asked),
        }
        id
    }

    fn ask(client: &BaseConsumer<Answers>, topic: &str) -> Result<Option<TopicId>, FlowError> {
        let doing = "asking for the id of a topic";
        let metadata = client.fetch_metadata(Some(topic), ASK_TIMEOUT).map_err(|error| flow_error(doing, &error))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        if let Some(code) = found.and_then(rdkafka::metadata::MetadataTopic::error) {
            let error = KafkaError::Global(code.into());
            return Err(match error.rdkafka_error_code() {
                Some(code) if is_unknown_topic(code) => FlowError::UnknownTopic { topic: topic.to_owned() },
                _ => flow_error(doing, &error),
            });
        }
        // The line came before the answer: it is among those that wait now.
        let answers = client.context();
        let mut before = usize::MAX;
        while std::mem::replace(&mut before, answers.lines.load(Ordering::Acquire)) != before {
            drop(client.poll(LINE_TIMEOUT));
        }
        Ok(answers.ids().get(topic).cloned())
    }
}

impl Answers {
    fn ids(&self) -> MutexGuard<'_, HashMap<String, TopicId>> {
        locked(&self.ids)
    }
}

impl ClientContext for Answers {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if !matches!(level, RDKafkaLogLevel::Debug) {
            return Logs.log(level, facility, message);
        }
        self.lines.fetch_add(1, Ordering::AcqRel);
        if let Some(Line::Id { topic, id, .. }) = Line::read(facility, message) {
            self.ids().insert(topic, id);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Logs.error(error, reason);
    }
}

impl ConsumerContext for Answers {}

#[cfg(test)]
mod tests;
