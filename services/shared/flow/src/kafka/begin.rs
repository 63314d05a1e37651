//! How the reading of a partition begins: asks the brokers for what [`Start::decide`] needs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use precis_base::lock::locked;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

use super::client::{ASK_TIMEOUT, flow_error, is_unknown_topic};
use super::convert;
use super::rebalance::{Callbacks, MemberContext};
use super::start::{Again, Committed, Found, Start};
use super::topic_id::{OutOfRange, TopicId};
use crate::error::{Class, FlowError};
use crate::values::PartitionId;

/// How long to wait before a log that seems to end too early is looked at again.
const TRUNCATION_RECHECK: Duration = Duration::from_secs(1);

/// The topics of the partitions that are read, for what is committed in them.
#[derive(Default)]
pub(super) struct TopicsRead(Mutex<HashMap<PartitionId, TopicId>>);

impl TopicsRead {
    /// Before its epoch starts.
    pub(super) fn set(&self, partition: &PartitionId, id: Option<TopicId>) {
        let mut ids = locked(&self.0);
        match id {
            Some(id) => ids.insert(partition.clone(), id),
            None => ids.remove(partition),
        };
    }

    pub(super) fn get(&self, partition: &PartitionId) -> Option<TopicId> {
        locked(&self.0).get(partition).cloned()
    }

    /// Whether a partition is read as one of another topic than this. One whose topic was not known
    /// is one of this.
    pub(super) fn is_other(&self, partition: &PartitionId, id: &TopicId) -> bool {
        let mut ids = locked(&self.0);
        ids.entry(partition.clone()).or_insert_with(|| id.clone()) != id
    }
}

/// How the reading of a partition begins.
pub(super) struct Begin {
    pub(super) start: Start,
    pub(super) end: i64,
    pub(super) committed: Option<Committed>,
    pub(super) topic_id: Option<TopicId>,
}

/// What is known of a partition that is read anew, beside what the brokers tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Cause {
    /// Its next offset was not in the log.
    pub(super) out_of_range: Option<OutOfRange>,
    /// Another topic has its name than the one that was read.
    pub(super) is_recreated: bool,
}

impl MemberContext {
    /// How each partition begins, or why it does not, asked once. A partition alone fails with
    /// `offsets_lost`, or with `unknown_topic` when its topic is gone.
    pub(super) fn ask(
        &self,
        consumer: &BaseConsumer<Callbacks>,
        partitions: &[PartitionId],
        cause: &Cause,
    ) -> Result<Vec<Result<Begin, FlowError>>, FlowError> {
        let unavailable = |error: KafkaError| flow_error("reading committed offsets", &error);
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let asked = convert::partition_list(partitions);
        let committed = consumer.committed_offsets(asked, ASK_TIMEOUT).map_err(unavailable)?;
        let mut topic_ids = HashMap::new();
        let mut begins = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let found = committed.find_partition(&partition.topic, partition.partition);
            let found = found.ok_or_else(|| FlowError::Internal { detail: format!("no answer for {partition}") })?;
            found.error().map_err(unavailable)?;
            let topic_id = match topic_ids.get(&partition.topic) {
                Some(id) => Ok(Option::clone(id)),
                None => self.topic_id(&partition.topic),
            };
            let begin = topic_id.and_then(|topic_id| {
                topic_ids.insert(Arc::clone(&partition.topic), topic_id.clone());
                self.begin(consumer, partition, convert::committed(&found), topic_id, cause)
            });
            begins.push(match begin {
                Err(error) if error.class() == Class::Retry => return Err(error),
                begin => begin,
            });
            self.heartbeat.beat();
        }
        Ok(begins)
    }

    /// The topic that is read under this name, or will be.
    fn topic_id(&self, topic: &str) -> Result<Option<TopicId>, FlowError> {
        let of_reader = self.reading().id(topic);
        of_reader.map_or_else(|| self.topic_ids.of(topic), |id| Ok(Some(id)))
    }

    fn begin(
        &self,
        consumer: &BaseConsumer<Callbacks>,
        partition: &PartitionId,
        committed: Option<Committed>,
        topic_id: Option<TopicId>,
        cause: &Cause,
    ) -> Result<Begin, FlowError> {
        let out_of_range = cause.out_of_range.as_ref();
        let mut is_second_look = false;
        loop {
            let ends = consumer.fetch_watermarks(&partition.topic, partition.partition, ASK_TIMEOUT);
            let (low, end) = ends.map_err(|error| match error.rdkafka_error_code() {
                Some(code) if is_unknown_topic(code) => FlowError::UnknownTopic { topic: partition.topic.to_string() },
                _ => flow_error("reading where partitions start", &error),
            })?;
            let found = Found {
                topic_id: topic_id.clone(),
                low,
                end,
                is_recreated: cause.is_recreated,
                is_truncated: out_of_range.is_some_and(|found| found.is_truncated),
                position: out_of_range.and_then(|found| found.position),
            };
            let start = Start::decide(&self.group, partition, committed.as_ref(), &found)?;
            // A leader that has just come may not know yet how far its log is committed.
            let is_doubtful = matches!(start, Start::Again { why: Again::Truncated, .. });
            if is_doubtful && !is_second_look {
                is_second_look = true;
                std::thread::sleep(TRUNCATION_RECHECK);
                continue;
            }
            return Ok(Begin { start, end, committed, topic_id });
        }
    }
}
