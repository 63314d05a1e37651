//! The limit of the measurement: librdkafka's consume → produce loop with transactions, and nothing
//! in between. One thread forwards records unchanged, with the settings of the router's clients.
//!
//! ```text
//!   poll ─▶ (first: begin) ─▶ produce ─▶ … ─▶ N records or the interval ─▶ send offsets ─▶ commit (which waits for delivery)
//! ```

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;
use serde_json::Value;

use crate::arguments::Arguments;

/// How long the broker may take to answer the first request of the producer.
const BROKER_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Value> {
    let (brokers, output) = (arguments.text("brokers")?, arguments.text("output")?);
    let (most, most_bytes): (usize, usize) = (arguments.number("records")?, arguments.number("bytes")?);
    let interval = Duration::from_millis(arguments.number("interval-ms")?);
    let group = arguments.text("group")?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("auto.offset.reset", "earliest")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.queue.backoff.ms", "50")
        .set("fetch.wait.max.ms", "100")
        .create()?;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("transactional.id", group)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", arguments.text("compression")?)
        .set("partitioner", "murmur2_random")
        .set("delivery.report.only.error", "true")
        .create()?;
    producer.init_transactions(BROKER_TIMEOUT)?;
    consumer.subscribe(&[arguments.text("input")?])?;
    loop {
        let mut next: HashMap<i32, i64> = HashMap::new();
        let (mut taken, mut bytes, mut due) = (0, 0, None::<Instant>);
        while taken < most && bytes < most_bytes && due.is_none_or(|due| Instant::now() < due) {
            let Some(message) = consumer.poll(Duration::from_millis(if due.is_some() { 1 } else { 100 })) else {
                continue;
            };
            let message = message?;
            if due.is_none() {
                producer.begin_transaction()?;
                due = Some(Instant::now() + interval);
            }
            forward(&producer, output, &message)?;
            next.insert(message.partition(), message.offset() + 1);
            (taken, bytes) = (taken + 1, bytes + message.payload_len());
        }
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in next {
            offsets.add_partition_offset(arguments.text("input")?, partition, Offset::Offset(offset))?;
        }
        let member = consumer.group_metadata().ok_or_else(|| anyhow::anyhow!("the consumer has no group"))?;
        producer.send_offsets_to_transaction(&offsets, &member, Timeout::Never)?;
        producer.commit_transaction(Timeout::Never)?;
    }
}

fn forward(producer: &BaseProducer, output: &str, message: &impl Message) -> anyhow::Result<()> {
    let mut record = BaseRecord::<[u8], [u8]>::to(output);
    record.key = message.key();
    record.payload = message.payload();
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}
