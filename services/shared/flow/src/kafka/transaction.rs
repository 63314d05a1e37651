//! One transactional producer, and the protocol of its transactions:
//!
//! ```text
//!   begin ─▶ produce… ─▶ all delivered ─▶ send offsets ─▶ commit ─▶ Ok
//!      └─────────┴────────────┴────────────────┴───────────┴──▶ abort ─▶ Err, class Retry: the same may be tried again
//!                                                    fatal ──▶ Err, class Fatal: only a new process helps
//! ```
//!
//! Every call says what its error asks for: fatal, abort, or the same call again. Commit and abort are called without a
//! timeout, as librdkafka recommends: any other leaves its state and the coordinator's apart.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::util::Timeout;
use tracing::debug;

use super::client::{Logs, flow_error, is_too_large, is_unknown_topic};
use super::convert::output_headers;
use crate::error::FlowError;
use crate::record::Output;

/// How long to wait before the same call is made again.
const AGAIN: Duration = Duration::from_millis(100);
/// How long to wait for deliveries before looking at what else happened.
const DELIVERY_POLL: Duration = Duration::from_millis(2);

/// Writes transactions, one at a time: it belongs to one thread.
pub(super) struct TransactionalProducer {
    producer: BaseProducer<Deliveries>,
    /// After this the coordinator has aborted whatever was open.
    patience: Duration,
}

/// Input offsets that enter a transaction, and the group's member that read them.
pub(super) struct Offsets {
    pub(super) next: TopicPartitionList,
    pub(super) member: ConsumerGroupMetadata,
}

/// Why a transaction was not committed, and which output was refused, when one was.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: FlowError,
    pub(super) refused: Option<usize>,
}

impl From<FlowError> for Failed {
    fn from(error: FlowError) -> Self {
        Self { error, refused: None }
    }
}

/// What an error of one call asks for.
enum Broken {
    Abort(FlowError),
    Fatal(FlowError),
}

impl TransactionalProducer {
    /// Takes over the id: fences an older holder and ends its open transaction, before this returns.
    pub(super) fn start(config: &ClientConfig, transaction_timeout: Duration) -> Result<Self, FlowError> {
        let producer: BaseProducer<Deliveries> = config
            .create_with_context(Deliveries::default())
            .map_err(|error| flow_error("starting a producer", &error))?;
        producer
            .init_transactions(transaction_timeout)
            .map_err(|error| flow_error("taking over a transactional id", &error))?;
        Ok(Self { producer, patience: transaction_timeout * 2 })
    }

    /// Serves the client's events while no transaction is open; an error when it is beyond repair.
    pub(super) fn idle(&self) -> Result<(), FlowError> {
        self.producer.poll(Duration::ZERO);
        match self.producer.client().fatal_error() {
            None => Ok(()),
            Some((code, detail)) => match flow_error("writing", &KafkaError::Global(code)) {
                fenced @ FlowError::Fenced { .. } => Err(fenced),
                _ => Err(FlowError::Client { doing: "writing", detail }),
            },
        }
    }

    /// Writes all outputs and moves the offsets, or neither. `abandon` is asked on the way whether to abort.
    pub(super) fn run(
        &self,
        outputs: &[&Output],
        offsets: Option<&Offsets>,
        abandon: &dyn Fn() -> bool,
    ) -> Result<(), Failed> {
        self.producer.context().forget();
        match self.call("beginning a transaction", || self.producer.begin_transaction()) {
            Ok(()) => {}
            Err(Broken::Abort(error) | Broken::Fatal(error)) => return Err(error.into()),
        }
        let failed = match self.write(outputs, offsets, abandon) {
            Ok(()) => match self.call("committing", || self.producer.commit_transaction(Timeout::Never)) {
                Ok(()) => return Ok(()),
                Err(Broken::Fatal(error)) => return Err(error.into()),
                Err(Broken::Abort(error)) => Failed::from(error),
            },
            Err((Broken::Fatal(error), refused)) => return Err(Failed { error, refused }),
            Err((Broken::Abort(error), refused)) => Failed { error, refused },
        };
        debug!(error = %failed.error, "aborting");
        match self.call("aborting", || self.producer.abort_transaction(Timeout::Never)) {
            Ok(()) => Err(failed),
            // Neither committed nor aborted: only a new holder of the id can tell, by ending it.
            Err(Broken::Abort(error) | Broken::Fatal(error)) => {
                let detail = format!("cannot abort after {}: {error}", failed.error);
                Err(FlowError::Client { doing: "aborting", detail }.into())
            }
        }
    }

    fn write(
        &self,
        outputs: &[&Output],
        offsets: Option<&Offsets>,
        abandon: &dyn Fn() -> bool,
    ) -> Result<(), (Broken, Option<usize>)> {
        let whole = |broken: Broken| (broken, None);
        for (index, output) in outputs.iter().enumerate() {
            self.produce(index, output)?;
        }
        self.deliver(outputs, abandon)?;
        if let Some(offsets) = offsets {
            self.call("sending offsets", || {
                self.producer.send_offsets_to_transaction(&offsets.next, &offsets.member, Timeout::Never)
            })
            .map_err(whole)?;
        }
        if abandon() {
            let detail = "partitions were lost on the way".to_owned();
            return Err(whole(Broken::Abort(FlowError::Unavailable { doing: "committing", detail })));
        }
        Ok(())
    }

    /// Hands one output to the client, and waits for room when it has none.
    fn produce(&self, index: usize, output: &Output) -> Result<(), (Broken, Option<usize>)> {
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(&output.topic, index);
        record.key = output.key.as_deref();
        record.payload = output.value.as_deref();
        record.partition = output.partition;
        record.headers = output_headers(output);
        let deadline = Instant::now() + self.patience;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused))
                    if Instant::now() < deadline =>
                {
                    record = refused;
                    self.producer.poll(AGAIN);
                }
                Err((error, _)) => return Err(self.refused(index, output, &error)),
            }
        }
    }

    /// Waits until every output is acknowledged. The client gives up on each by itself, after `message.timeout.ms`.
    fn deliver(&self, outputs: &[&Output], abandon: &dyn Fn() -> bool) -> Result<(), (Broken, Option<usize>)> {
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(DELIVERY_POLL);
            if abandon() {
                let detail = "partitions were lost on the way".to_owned();
                return Err((Broken::Abort(FlowError::Unavailable { doing: "writing", detail }), None));
            }
        }
        match self.producer.context().first_failure() {
            None => Ok(()),
            Some((index, code)) => Err(self.refused(index, outputs[index], &KafkaError::MessageProduction(code))),
        }
    }

    /// What a failed output means for its transaction.
    fn refused(&self, index: usize, output: &Output, error: &KafkaError) -> (Broken, Option<usize>) {
        let topic = output.topic.clone();
        let (error, refused) = match error.rdkafka_error_code() {
            Some(code) if is_too_large(code) => {
                let size_bytes = output.size_bytes();
                (FlowError::RecordTooLarge { topic, size_bytes, limit_bytes: None }, Some(index))
            }
            Some(code) if is_unknown_topic(code) => (FlowError::UnknownTopic { topic }, None),
            _ => (flow_error("writing", error), None),
        };
        if self.producer.client().fatal_error().is_some() {
            return (Broken::Fatal(error), refused);
        }
        (Broken::Abort(error), refused)
    }

    /// Makes one call of the protocol, again as long as its error asks for just that.
    fn call(&self, doing: &'static str, call: impl Fn() -> KafkaResult<()>) -> Result<(), Broken> {
        let deadline = Instant::now() + self.patience;
        loop {
            let Err(error) = call() else { return Ok(()) };
            let meaning = flow_error(doing, &error);
            let KafkaError::Transaction(transaction) = &error else {
                return Err(if self.producer.client().fatal_error().is_some() {
                    Broken::Fatal(meaning)
                } else {
                    Broken::Abort(meaning)
                });
            };
            if transaction.is_fatal() {
                return Err(Broken::Fatal(meaning));
            }
            if transaction.txn_requires_abort() {
                return Err(Broken::Abort(meaning));
            }
            if transaction.is_retriable() && Instant::now() < deadline {
                debug!(%error, doing, "again");
                std::thread::sleep(AGAIN);
                continue;
            }
            return Err(Broken::Abort(meaning));
        }
    }
}

/// Which outputs of the open transaction were not delivered.
#[derive(Debug, Default)]
struct Deliveries {
    failures: Mutex<Vec<(usize, RDKafkaErrorCode)>>,
    logs: Logs,
}

impl Deliveries {
    fn forget(&self) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The failure that explains the others: one that is not just their consequence.
    fn first_failure(&self) -> Option<(usize, RDKafkaErrorCode)> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let consequence =
            |code: RDKafkaErrorCode| matches!(code, RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight);
        failures.iter().find(|(_, code)| !consequence(*code)).or(failures.first()).copied()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.logs.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.logs.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        if let Err((error, _)) = result {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
            self.failures.lock().unwrap_or_else(PoisonError::into_inner).push((index, code));
        }
    }
}
