//! One record by its position, as a dead letter names it.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::Instant;
use tracing::debug;

use super::admin;
use super::client::{self, Logs, flow_error};
use super::convert::Records;
use crate::config::KafkaConfig;
use crate::error::FlowError;
use crate::values::{Position, Record};

/// How long the brokers may take to hand over one record.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one poll waits for the record.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The committed record at a position; `None` where there is none. Blocks.
pub(super) fn read(
    config: &KafkaConfig,
    observer: &BaseConsumer<Logs>,
    position: &Position,
) -> Result<Option<Record>, FlowError> {
    let Position { topic, partition, offset } = position;
    let known = admin::names(observer)?;
    if !known.iter().any(|(name, partitions)| *name == **topic && partitions.contains(partition)) {
        return Ok(None);
    }
    let (low, high) = admin::ends_of(observer, topic, *partition)?;
    if !(low..high).contains(offset) {
        return Ok(None);
    }
    let failed = |error: KafkaError| flow_error("reading one record", &error);
    let consumer: BaseConsumer<Logs> = client::reader(config)?.create_with_context(Logs).map_err(failed)?;
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(topic, *partition, Offset::Offset(*offset)).map_err(failed)?;
    consumer.assign(&start).map_err(failed)?;
    let deadline = Instant::now() + READ_TIMEOUT;
    while Instant::now() < deadline {
        match consumer.poll(POLL_INTERVAL) {
            None => {}
            // Another offset: the record was removed, or the place holds the end of a transaction.
            Some(Ok(message)) => {
                return Ok((message.offset() == *offset).then(|| Records::default().record(&message)));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(failed(error)),
            Some(Err(error)) => debug!(%position, %error, "the reader of one record reports an error and goes on"),
        }
    }
    let detail = format!("{position} was not read within {} s", READ_TIMEOUT.as_secs());
    Err(FlowError::Unavailable { doing: "reading one record", detail })
}
