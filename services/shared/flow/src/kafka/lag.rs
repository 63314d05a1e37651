//! How far a group is behind, in earnest: transaction markers lie at the end of nearly every
//! partition, so the offsets alone say 1 for ever. Where they differ, the partition is read from
//! the committed offset on: an end without a record before it is no lag.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{self, ASK_TIMEOUT, Logs, flow_error};
use super::{admin, convert};
use crate::config::KafkaConfig;
use crate::error::FlowError;
use crate::log::PartitionLag;
use crate::values::PartitionId;

/// How long to look for a record in the partitions of one topic.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Lag by topic and partition. Blocks.
pub(super) fn of_group(
    config: &KafkaConfig,
    observer: &BaseConsumer<Logs>,
    of_group: &BaseConsumer<Logs>,
) -> Result<Vec<PartitionLag>, FlowError> {
    let mut lags = Vec::new();
    for (partition, committed) in committed(observer, of_group)? {
        let (_, end) = admin::ends_of(observer, &partition.topic, partition.partition)?;
        lags.push(PartitionLag { partition, committed, end, lag: (end - committed).max(0) });
    }
    let mut behind: HashMap<String, Vec<&mut PartitionLag>> = HashMap::new();
    for lag in lags.iter_mut().filter(|lag| lag.lag > 0) {
        behind.entry(lag.partition.topic.to_string()).or_default().push(lag);
    }
    for (topic, partitions) in behind {
        let mut partitions: HashMap<i32, _> =
            partitions.into_iter().map(|lag| (lag.partition.partition, lag)).collect();
        look_for_records(config, &topic, &mut partitions)?;
    }
    Ok(lags)
}

/// Every partition in which the group has committed, by topic and partition.
fn committed(
    observer: &BaseConsumer<Logs>,
    of_group: &BaseConsumer<Logs>,
) -> Result<Vec<(PartitionId, i64)>, FlowError> {
    let mut asked = TopicPartitionList::new();
    for (topic, partitions) in admin::names(observer)? {
        for partition in partitions {
            asked.add_partition(&topic, partition);
        }
    }
    if asked.count() == 0 {
        return Ok(Vec::new());
    }
    let doing = "reading committed offsets";
    let answer = of_group.committed_offsets(asked, ASK_TIMEOUT).map_err(|error| flow_error(doing, &error))?;
    let mut committed = Vec::new();
    for element in answer.elements() {
        element.error().map_err(|error| flow_error(doing, &error))?;
        if let Offset::Offset(offset) = element.offset() {
            let partition = PartitionId { topic: element.topic().into(), partition: element.partition() };
            committed.push((partition, offset));
        }
    }
    committed.sort();
    Ok(committed)
}

/// Corrects the lag of each partition of one topic by its first record. One that does not answer
/// keeps what it has.
fn look_for_records(
    config: &KafkaConfig,
    topic: &str,
    partitions: &mut HashMap<i32, &mut PartitionLag>,
) -> Result<(), FlowError> {
    let doing = "looking for records";
    let failed = |error: KafkaError| flow_error(doing, &error);
    let mut client = client::reader(config)?;
    // One record a partition is enough.
    client.set("fetch.message.max.bytes", "1024").set("queued.min.messages", "1");
    let reader: BaseConsumer<Logs> = client.create_with_context(Logs).map_err(failed)?;
    let mut starts = TopicPartitionList::new();
    for (partition, lag) in &*partitions {
        starts.add_partition_offset(topic, *partition, Offset::Offset(lag.committed)).map_err(failed)?;
    }
    reader.assign(&starts).map_err(failed)?;
    let deadline = Instant::now() + READ_TIMEOUT;
    while !partitions.is_empty() && Instant::now() < deadline {
        let answered = match reader.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => partitions.remove(&message.partition()).map(|lag| {
                lag.lag = lag.end.saturating_sub(message.offset()).max(1);
                message.partition()
            }),
            Some(Err(KafkaError::PartitionEOF(partition))) => partitions.remove(&partition).map(|lag| {
                lag.lag = 0;
                partition
            }),
            Some(Err(_)) | None => None,
        };
        if let Some(partition) = answered {
            let answered = PartitionId { topic: topic.into(), partition };
            reader.pause(&convert::partition_list([&answered])).map_err(failed)?;
        }
    }
    Ok(())
}
