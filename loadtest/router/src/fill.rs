//! The publisher: as fast as it can, or at a constant rate.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::{document, now_us};

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Value> {
    let (records, bytes): (u64, usize) = (arguments.number("records")?, arguments.number("bytes")?);
    let topic = arguments.text("topic")?;
    let rate: Option<f64> = arguments.optional("rate")?;
    let first: u64 = arguments.optional("first")?.unwrap_or(0);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", arguments.text("brokers")?)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("partitioner", "murmur2_random")
        // At a constant rate the time of sending counts; else a full batch does.
        .set("linger.ms", if rate.is_some() { "1" } else { "20" })
        .set("queue.buffering.max.messages", "20000")
        .set("delivery.report.only.error", "true")
        .create()?;
    let began = Instant::now();
    for index in 0..records {
        if let Some(rate) = rate {
            let due = began + Duration::from_secs_f64(index as f64 / rate);
            // Sleeps of less than a tick would all end late.
            if due > Instant::now() + Duration::from_millis(1) {
                std::thread::sleep(due - Instant::now());
            }
        }
        let number = first + index;
        let value = document::encoded(number, now_us(), bytes)?;
        let key = format!("bench-{number:09}");
        let mut record = BaseRecord::to(topic).key(&key).payload(&value);
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    producer.poll(Duration::from_millis(10));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(60))?;
    let seconds = began.elapsed().as_secs_f64();
    Ok(json!({"records": records, "seconds": seconds, "rate": records as f64 / seconds}))
}
