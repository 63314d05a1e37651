//! The one writer of a name on Kafka: a transactional id, which the brokers fence.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::bounded::Step;
use super::client;
use super::transaction::TransactionalProducer;
use crate::config::KafkaConfig;
use crate::error::FlowError;
use crate::log::ExclusiveWriter;
use crate::values::Output;

type Command = (Vec<Output>, oneshot::Sender<Result<(), FlowError>>);

/// Its thread ends when it is dropped.
pub(super) struct KafkaWriter {
    name: String,
    commands: Sender<Command>,
    step: Step,
}

impl KafkaWriter {
    /// Takes the name over. Blocks: call it where that is allowed.
    pub(super) fn take_over(config: &KafkaConfig, name: &str) -> Result<Self, FlowError> {
        let id = format!("{}.exclusive.{name}", config.transactional_id_prefix);
        let transaction_timeout = Duration::from_millis(config.transaction_timeout_ms.into());
        let (step, config) = (Step::default(), client::transactional(config, &id)?);
        let producer = TransactionalProducer::start(&config, transaction_timeout, step.clone())?;
        let (commands, received) = channel();
        let thread = std::thread::Builder::new().name("precis-exclusive".to_owned());
        thread
            .spawn(move || serve(&producer, &received))
            .map_err(|error| FlowError::Unavailable { doing: "starting a thread", detail: error.to_string() })?;
        Ok(Self { name: name.to_owned(), commands, step })
    }
}

#[async_trait]
impl ExclusiveWriter for KafkaWriter {
    async fn commit(&mut self, outputs: Vec<Output>) -> Result<(), FlowError> {
        let (reply, result) = oneshot::channel();
        self.commands.send((outputs, reply)).map_err(|_| FlowError::Closed)?;
        match self.step.wait_for(&self.name, result).await.map_err(|_| FlowError::Closed)? {
            Err(FlowError::Fenced { .. }) => Err(FlowError::Fenced { name: self.name.clone() }),
            result => result,
        }
    }
}

fn serve(producer: &TransactionalProducer, commands: &Receiver<Command>) {
    while let Ok((outputs, reply)) = commands.recv() {
        let outputs: Vec<&Output> = outputs.iter().collect();
        // Whoever asked may be gone: the result is in the log all the same.
        let _ = reply.send(producer.run(&outputs, None, &|| false));
    }
}
