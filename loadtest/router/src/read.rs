//! The readers, of committed records only.
//!
//! `count` counts the output and says when it was written; `latency` measures how long after its
//! sending a record can be read.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::{document, now_us};

/// How long a reader waits for metadata, and for the next record.
const BROKER_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a reader that has all its records waits for more: a surplus record is a fault, too.
const QUIET_PERIOD: Duration = Duration::from_millis(500);
/// Share of the records of a paced run that is not measured: clients still connect then, and caches
/// and branches are cold.
const WARM_UP_SHARE: f64 = 0.2;

/// Reads the topic to its end, and compares it with the numbers 0 to `records`.
pub(crate) fn count(arguments: &Arguments) -> anyhow::Result<Value> {
    let records: usize = arguments.number("records")?;
    let mut seen = vec![0_u32; records];
    let (mut first_ms, mut last_ms, mut total, mut bytes) = (i64::MAX, i64::MIN, 0_usize, 0_usize);
    let mut unknown = 0;
    read(arguments, |message| {
        let value = message.payload().unwrap_or_default();
        (total, bytes) = (total + 1, bytes + value.len());
        match document::mark(value).and_then(|(number, _)| seen.get_mut(number as usize)) {
            Some(times) => *times += 1,
            None => unknown += 1,
        }
        let written = message.timestamp().to_millis().unwrap_or(0);
        (first_ms, last_ms) = (first_ms.min(written), last_ms.max(written));
        total < records
    })?;
    let missing = seen.iter().filter(|times| **times == 0).count();
    let repeated = seen.iter().filter(|times| **times > 1).count();
    let seconds = last_ms.saturating_sub(first_ms) as f64 / 1000.0;
    Ok(
        json!({"records": total, "missing": missing, "repeated": repeated, "unknown": unknown, "bytes": bytes, "seconds": seconds}),
    )
}

/// Reads records as they are committed, until `records` of them came: how long after its sending
/// each could be read.
pub(crate) fn latency(arguments: &Arguments) -> anyhow::Result<Value> {
    let records: usize = arguments.number("records")?;
    let mut found = Vec::with_capacity(records);
    read(arguments, |message| {
        let now = now_us();
        if let Some((number, sent)) = document::mark(message.payload().unwrap_or_default()) {
            found.push((number, now.saturating_sub(sent)));
        }
        found.len() < records
    })?;
    let from = (records as f64 * WARM_UP_SHARE) as u64;
    let mut latencies: Vec<u64> = found.into_iter().filter(|(number, _)| *number >= from).map(|(_, us)| us).collect();
    latencies.sort_unstable();
    let ms = |share: f64| {
        latencies
            .get(((latencies.len() as f64 * share) as usize).min(latencies.len() - 1))
            .map(|us| *us as f64 / 1000.0)
    };
    anyhow::ensure!(!latencies.is_empty(), "no record was read");
    Ok(json!({"records": latencies.len(), "p50_ms": ms(0.5), "p99_ms": ms(0.99), "max_ms": ms(1.0)}))
}

/// Passes on the committed records of a topic from its beginning, until the caller has enough and
/// no more come.
fn read(arguments: &Arguments, mut take: impl FnMut(&BorrowedMessage<'_>) -> bool) -> anyhow::Result<()> {
    let topic = arguments.text("topic")?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", arguments.text("brokers")?)
        .set("group.id", "precis-bench-reader")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "5")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), BROKER_TIMEOUT)?;
    let found = metadata.topics().first().context("no such topic")?;
    let mut partitions = TopicPartitionList::new();
    for partition in found.partitions() {
        partitions.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&partitions)?;
    let (mut last, mut enough) = (Instant::now(), false);
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                last = Instant::now();
                enough = !take(&message);
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error.into()),
            None if enough && last.elapsed() > QUIET_PERIOD => return Ok(()),
            // Missing records are reported by the caller.
            None if last.elapsed() > BROKER_TIMEOUT => return Ok(()),
            // Errors that are not fatal pass by themselves.
            Some(Err(_)) | None => {}
        }
    }
}
