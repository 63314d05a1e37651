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
        self.fatal("writing")
    }

    /// Writes all outputs and moves the offsets, or neither. `abandon` is asked on the way whether to abort.
    pub(super) fn run(
        &self,
        outputs: &[&Output],
        offsets: Option<&Offsets>,
        abandon: &dyn Fn() -> bool,
    ) -> Result<(), Failed> {
        drop(self.producer.context().take_failures());
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
        let failures = self.producer.context().take_failures();
        match culprit(&failures, outputs) {
            None => Ok(()),
            Some((index, code)) => Err(self.refused(index, outputs[index], &KafkaError::MessageProduction(code))),
        }
    }

    /// What a failed output means for its transaction.
    fn refused(&self, index: usize, output: &Output, error: &KafkaError) -> (Broken, Option<usize>) {
        // Once the client is beyond repair it purges what it holds: why is what counts.
        if let Err(fatal) = self.fatal("writing") {
            return (Broken::Fatal(fatal), None);
        }
        let (topic, size_bytes) = (output.topic.clone(), output.size_bytes());
        let (error, refused) = match error.rdkafka_error_code() {
            Some(code) if is_too_large(code) => {
                (FlowError::RecordTooLarge { topic, size_bytes, limit_bytes: None }, Some(index))
            }
            Some(RDKafkaErrorCode::InvalidRecord) => {
                (FlowError::RecordRefused { topic, detail: error.to_string() }, Some(index))
            }
            Some(code) if is_unknown_topic(code) => (FlowError::UnknownTopic { topic }, None),
            _ => (flow_error("writing", error), None),
        };
        (Broken::Abort(error), refused)
    }

    /// Fails when the client is beyond repair.
    fn fatal(&self, doing: &'static str) -> Result<(), FlowError> {
        let Some((code, detail)) = self.producer.client().fatal_error() else { return Ok(()) };
        match flow_error(doing, &KafkaError::Global(code)) {
            fenced @ FlowError::Fenced { .. } => Err(fenced),
            _ => Err(FlowError::Client { doing, detail }),
        }
    }

    /// Makes one call of the protocol, again as long as its error asks for just that.
    fn call(&self, doing: &'static str, call: impl Fn() -> KafkaResult<()>) -> Result<(), Broken> {
        let deadline = Instant::now() + self.patience;
        loop {
            let Err(error) = call() else { return Ok(()) };
            let meaning = flow_error(doing, &error);
            let KafkaError::Transaction(transaction) = &error else {
                return Err(match self.fatal(doing) {
                    Err(fatal) => Broken::Fatal(fatal),
                    Ok(()) => Broken::Abort(meaning),
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
    fn take_failures(&self) -> Vec<(usize, RDKafkaErrorCode)> {
        std::mem::take(&mut self.failures.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The failure that explains the others. A broker refuses a batch as a whole: of those that it calls too large, the
/// largest is; and what failed because another one did explains nothing.
fn culprit(failures: &[(usize, RDKafkaErrorCode)], outputs: &[&Output]) -> Option<(usize, RDKafkaErrorCode)> {
    let rank = |(index, code): &(usize, RDKafkaErrorCode)| {
        let size_bytes = if is_too_large(*code) { outputs[*index].size_bytes() } else { 0 };
        let consequence = matches!(
            code,
            RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight | RDKafkaErrorCode::InvalidDifferentRecord
        );
        (!consequence, size_bytes, std::cmp::Reverse(*index))
    };
    failures.iter().copied().max_by_key(rank)
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
