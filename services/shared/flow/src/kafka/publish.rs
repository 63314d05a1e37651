//! Plain writes: idempotent, acknowledged by all in-sync replicas, outside of any transaction.

use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};
use tokio::sync::Mutex;

use super::client::{self, Logs, flow_error, is_too_large, is_unknown_topic};
use super::convert::output_headers;
use crate::config::KafkaConfig;
use crate::error::FlowError;
use crate::values::{Output, Position};

/// How long to wait for room in the client's queue.
const ROOM: Duration = Duration::from_millis(20);

/// Starts its producer with the first write: who only reads needs none.
#[derive(Default)]
pub(super) struct Publisher {
    producer: Mutex<Option<FutureProducer<Logs>>>,
}

impl Publisher {
    pub(super) async fn publish(&self, config: &KafkaConfig, outputs: Vec<Output>) -> Result<Vec<Position>, FlowError> {
        let producer = self.producer(config).await?;
        let mut deliveries = Vec::with_capacity(outputs.len());
        for output in &outputs {
            deliveries.push(send(&producer, output).await?);
        }
        let mut positions = Vec::with_capacity(outputs.len());
        for (output, delivery) in outputs.iter().zip(deliveries) {
            let delivered = delivery.await.map_err(|_| FlowError::Closed)?;
            if let Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut), _)) = &delivered {
                // It may never find its broker again (see `transaction::Renewed`): the next write
                // has a new one.
                self.producer.lock().await.take();
            }
            let delivered = delivered.map_err(|(error, _)| refused(output, &error))?;
            let topic = output.topic.as_str().into();
            positions.push(Position { topic, partition: delivered.partition, offset: delivered.offset });
        }
        Ok(positions)
    }

    /// The producer; a new one in place of one that is beyond repair.
    async fn producer(&self, config: &KafkaConfig) -> Result<FutureProducer<Logs>, FlowError> {
        let mut producer = self.producer.lock().await;
        if let Some(producer) = producer.as_ref().filter(|producer| producer.client().fatal_error().is_none()) {
            return Ok(producer.clone());
        }
        let started = FutureProducer::from_config_and_context(&client::producer(config)?, Logs)
            .map_err(|error| flow_error("starting a producer", &error))?;
        Ok(producer.insert(started).clone())
    }
}

/// Hands one output to the client. In order: the next one only after this.
async fn send(producer: &FutureProducer<Logs>, output: &Output) -> Result<DeliveryFuture, FlowError> {
    loop {
        let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&output.topic);
        record.key = output.key.as_deref();
        record.payload = output.value.as_deref();
        record.partition = output.partition;
        record.headers = output_headers(output);
        // The record that a failure gives back is dropped here: it cannot be held across an await.
        match producer.send_result(record).map_err(|(error, _)| error) {
            Ok(delivery) => return Ok(delivery),
            Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => tokio::time::sleep(ROOM).await,
            Err(error) => return Err(refused(output, &error)),
        }
    }
}

fn refused(output: &Output, error: &KafkaError) -> FlowError {
    let topic = output.topic.clone();
    match error.rdkafka_error_code() {
        Some(code) if is_too_large(code) => {
            FlowError::RecordTooLarge { topic, size_bytes: output.size_bytes(), limit_bytes: None }
        }
        Some(RDKafkaErrorCode::InvalidRecord) => FlowError::RecordRefused { topic, detail: error.to_string() },
        Some(code) if is_unknown_topic(code) => FlowError::UnknownTopic { topic },
        _ => flow_error("publishing", error),
    }
}
