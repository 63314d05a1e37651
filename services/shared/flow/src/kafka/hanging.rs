//! Transactions that nobody ends: readers of committed records stand still at them, and so do
//! members whose offsets they hold. Brokers end what clients leave open, but have been seen to
//! forget it (KAFKA-20734).

use std::time::{Duration, Instant};

use rdkafka::consumer::BaseConsumer;

use super::admin;
use super::client::{self, Logs, flow_error};
use crate::config::KafkaConfig;
use crate::error::FlowError;
use crate::values::Position;

/// Where groups' offsets lie, those of open transactions too.
const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// How long after its time a broker may take to end a transaction: it looks every 10 s.
const END_GRACE: Duration = Duration::from_secs(15);
/// How often to look whether it has.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Where a transaction is open now and stays so for longer than one may: the first offset that
/// cannot be read. Blocks, as long as that where there is one.
pub(super) fn find(
    config: &KafkaConfig,
    observer: &BaseConsumer<Logs>,
    topics: &[String],
) -> Result<Vec<Position>, FlowError> {
    let mut client = client::observer(config, None)?;
    client.set("isolation.level", "read_uncommitted");
    let of_all: BaseConsumer<Logs> =
        client.create_with_context(Logs).map_err(|error| flow_error("starting a client", &error))?;
    let mut open = Vec::new();
    let ours = |name: &str| name == OFFSETS_TOPIC || topics.iter().any(|topic| topic == name);
    for (topic, partitions) in admin::names_where(observer, ours)? {
        for partition in partitions {
            let (_, end) = admin::ends_of(&of_all, &topic, partition)?;
            let (_, stable) = admin::ends_of(observer, &topic, partition)?;
            if stable < end {
                open.push(Position { topic: topic.as_str().into(), partition, offset: stable });
            }
        }
    }
    let deadline = Instant::now() + Duration::from_millis(config.transaction_timeout_ms.into()) + END_GRACE;
    while !open.is_empty() && Instant::now() < deadline {
        std::thread::sleep(POLL_INTERVAL);
        let mut still = Vec::new();
        for position in open {
            if admin::ends_of(observer, &position.topic, position.partition)?.1 == position.offset {
                still.push(position);
            }
        }
        open = still;
    }
    Ok(open)
}
