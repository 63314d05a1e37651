//! One transactional producer, and the protocol of its transactions:
//!
//! ```text
//!   begin ─▶ produce… ─▶ all delivered ─▶ send offsets ─▶ commit ─▶ Ok
//!      └─────────┴────────────┴────────────────┴───────────┴──▶ abort ─▶ Err, class Retry: the same may be tried again
//!                                                    fatal ──▶ Err, class Fatal: only a new process helps
//! ```
//!
//! Every call says what its error asks for: fatal, abort, or the same call again. Commit and abort
//! are called without a timeout, as librdkafka recommends: any other leaves its state and the
//! coordinator's apart. Both wait for delivery reports, so these are served by a thread of their
//! own: nobody else would while the call blocks.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use precis_base::lock::locked;
use precis_chaos::{Point, pass};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::util::Timeout;
use tracing::{debug, info, warn};

use super::client::{Logs, flow_error, is_too_large, is_unknown_topic};
use super::convert::output_headers;
use crate::error::FlowError;
use crate::values::Output;

/// How long to wait before the same call is made again.
const RETRY_DELAY: Duration = Duration::from_millis(100);
/// How often to look whether everything is delivered.
const DELIVERY_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Writes transactions, one at a time: it belongs to one thread.
pub(super) struct TransactionalProducer {
    producer: ThreadedProducer<Deliveries>,
    /// After this the coordinator has aborted whatever was open.
    call_timeout: Duration,
    /// A transaction was aborted.
    has_aborted: Cell<bool>,
}

/// A transactional id and the client that holds it: another one, and with it another epoch, after a
/// transaction was aborted and after a connection broke or a request timed out. While the brokers
/// are away it does not start.
///
/// - A request that was under way then may still reach its broker, and enter the next transaction
///   of the same epoch: an older offset over a newer one. Kafka 4 gives each transaction an epoch
///   of its own (KIP-890), but not to librdkafka 2.12.
/// - Where partitions had no leader for a moment (a broker was fenced and came back), librdkafka
///   2.12 may never learn of the next one, and no record of that client would be delivered again
///   (confluentinc/librdkafka#5430).
pub(super) struct Renewed {
    config: ClientConfig,
    transaction_timeout: Duration,
    producer: Option<TransactionalProducer>,
}

impl Renewed {
    /// Takes over the id, as [`TransactionalProducer::start`].
    pub(super) fn start(config: ClientConfig, transaction_timeout: Duration) -> Result<Self, FlowError> {
        let producer = Some(TransactionalProducer::start(&config, transaction_timeout)?);
        Ok(Self { config, transaction_timeout, producer })
    }

    /// The client that may begin a transaction now.
    ///
    /// # Errors
    /// A new one is needed and cannot be started: class Retry while the brokers are away.
    pub(super) fn ready(&mut self) -> Result<&TransactionalProducer, FlowError> {
        // The old one goes first: were it to notice that it is fenced, that would look like
        // somebody else's doing.
        if self.producer.take_if(|producer| producer.is_spent()).is_some() {
            info!("a transaction was aborted, or a connection broke: the Kafka producer is replaced");
        }
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => TransactionalProducer::start(&self.config, self.transaction_timeout)?,
        };
        Ok(self.producer.insert(producer))
    }

    /// Fails when the client is beyond repair: somebody else has its id, or no other is going to
    /// take its place.
    pub(super) fn check(&self, doing: &'static str) -> Result<(), FlowError> {
        let Some(producer) = &self.producer else { return Ok(()) };
        match producer.check(doing) {
            Err(error) if producer.is_spent() && !matches!(error, FlowError::Fenced { .. }) => Ok(()),
            checked => checked,
        }
    }
}

/// Input offsets that enter a transaction, and the group's member that read them.
pub(super) struct Offsets {
    pub(super) next: TopicPartitionList,
    pub(super) member: ConsumerGroupMetadata,
}

/// What an error of one call asks for.
enum Broken {
    Abort(FlowError),
    Fatal(FlowError),
}

impl TransactionalProducer {
    /// Takes over the id: fences an older holder and ends its open transaction, before this
    /// returns.
    pub(super) fn start(config: &ClientConfig, transaction_timeout: Duration) -> Result<Self, FlowError> {
        let producer: ThreadedProducer<Deliveries> = config
            .create_with_context(Deliveries::default())
            .map_err(|error| flow_error("starting a producer", &error))?;
        producer
            .init_transactions(transaction_timeout)
            .map_err(|error| flow_error("taking over a transactional id", &error))?;
        Ok(Self { producer, call_timeout: transaction_timeout * 2, has_aborted: Cell::new(false) })
    }

    /// Fails when the client is beyond repair.
    fn check(&self, doing: &'static str) -> Result<(), FlowError> {
        let Some((code, detail)) = self.producer.client().fatal_error() else { return Ok(()) };
        match flow_error(doing, &KafkaError::Global(code)) {
            fenced @ FlowError::Fenced { .. } => Err(fenced),
            _ => Err(FlowError::Client { doing, detail }),
        }
    }

    /// Whether the next transaction should have another epoch.
    fn is_spent(&self) -> bool {
        self.has_aborted.get() || self.producer.context().is_shaken.load(Ordering::Acquire)
    }

    /// Writes all outputs and moves the offsets, or neither. `abandon` is asked on the way whether
    /// to abort.
    pub(super) fn run(
        &self,
        outputs: &[&Output],
        offsets: Option<&Offsets>,
        abandon: &dyn Fn() -> bool,
    ) -> Result<(), FlowError> {
        drop(self.producer.context().take_failures());
        match self.call("beginning a transaction", || self.producer.begin_transaction()) {
            Ok(()) => {}
            Err(Broken::Abort(error) | Broken::Fatal(error)) => return Err(error),
        }
        let (error, may_be_committed) = match self.write(outputs, offsets, abandon) {
            Err(error) => (error, false),
            Ok(()) => match self.call("committing", || self.producer.commit_transaction(Timeout::Never)) {
                Ok(()) => {
                    pass(Point::AfterCommit);
                    return Ok(());
                }
                Err(error) => (error, true),
            },
        };
        match error {
            Broken::Fatal(error) => Err(error),
            Broken::Abort(error) => Err(self.abort(error, may_be_committed)),
        }
    }

    /// Ends the open transaction after `error`, and says what came of it all.
    fn abort(&self, error: FlowError, may_be_committed: bool) -> FlowError {
        debug!(%error, "aborting");
        self.has_aborted.set(true);
        match self.call("aborting", || self.producer.abort_transaction(Timeout::Never)) {
            Ok(()) => error,
            Err(Broken::Fatal(fenced @ FlowError::Fenced { .. })) => fenced,
            // Nobody asked for a commit: the client that takes this one's place ends whatever is
            // open before it begins.
            Err(Broken::Abort(second) | Broken::Fatal(second)) if !may_be_committed => {
                warn!(%error, %second, "cannot abort: left to the next Kafka producer");
                error
            }
            // Perhaps committed: only the group's offsets tell, and they are read by whoever joins
            // next.
            Err(Broken::Abort(second) | Broken::Fatal(second)) => {
                let detail = format!("cannot abort after: {error}; because: {second}");
                FlowError::Client { doing: "aborting", detail }
            }
        }
    }

    fn write(&self, outputs: &[&Output], offsets: Option<&Offsets>, abandon: &dyn Fn() -> bool) -> Result<(), Broken> {
        for (index, output) in outputs.iter().enumerate() {
            self.produce(index, output)?;
        }
        self.deliver(outputs, abandon)?;
        pass(Point::AfterProduce);
        if let Some(offsets) = offsets {
            pass(Point::BeforeSendOffsets);
            self.call("sending offsets", || {
                self.producer.send_offsets_to_transaction(&offsets.next, &offsets.member, Timeout::Never)
            })?;
        }
        pass(Point::BeforeCommit);
        if abandon() { Err(abandoned()) } else { Ok(()) }
    }

    /// Hands one output to the client, and waits for room when it has none.
    fn produce(&self, index: usize, output: &Output) -> Result<(), Broken> {
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(&output.topic, index);
        record.key = output.key.as_deref();
        record.payload = output.value.as_deref();
        record.partition = output.partition;
        record.headers = output_headers(output);
        let deadline = Instant::now() + self.call_timeout;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), given_back))
                    if Instant::now() < deadline =>
                {
                    record = given_back;
                    std::thread::sleep(RETRY_DELAY);
                }
                Err((error, _)) => return Err(self.undelivered(output, &error)),
            }
        }
    }

    /// Waits until every output is acknowledged. The client gives up on each by itself, after
    /// `message.timeout.ms`.
    fn deliver(&self, outputs: &[&Output], abandon: &dyn Fn() -> bool) -> Result<(), Broken> {
        while self.producer.in_flight_count() > 0 {
            if abandon() {
                return Err(abandoned());
            }
            std::thread::sleep(DELIVERY_POLL_INTERVAL);
        }
        match root_cause(&self.producer.context().take_failures()) {
            None => Ok(()),
            Some((index, code)) => Err(self.undelivered(outputs[index], &KafkaError::MessageProduction(code))),
        }
    }

    /// What an output that was not delivered means for its transaction.
    fn undelivered(&self, output: &Output, error: &KafkaError) -> Broken {
        // Once the client is beyond repair it purges what it holds: why is what counts.
        if let Err(fatal) = self.check("writing") {
            return Broken::Fatal(fatal);
        }
        let (topic, size_bytes) = (output.topic.clone(), output.size_bytes());
        Broken::Abort(match error.rdkafka_error_code() {
            Some(code) if is_too_large(code) => FlowError::RecordTooLarge { topic, size_bytes, limit_bytes: None },
            Some(RDKafkaErrorCode::InvalidRecord) => FlowError::RecordRefused { topic, detail: error.to_string() },
            Some(code) if is_unknown_topic(code) => FlowError::UnknownTopic { topic },
            _ => flow_error("writing", error),
        })
    }

    /// Makes one call of the protocol, again as long as its error asks for just that.
    fn call(&self, doing: &'static str, call: impl Fn() -> KafkaResult<()>) -> Result<(), Broken> {
        let deadline = Instant::now() + self.call_timeout;
        loop {
            let Err(error) = call() else { return Ok(()) };
            let meaning = flow_error(doing, &error);
            let KafkaError::Transaction(transaction) = &error else {
                return Err(match self.check(doing) {
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
                std::thread::sleep(RETRY_DELAY);
                continue;
            }
            return Err(Broken::Abort(meaning));
        }
    }
}

/// Which outputs of the open transaction were not delivered, and whether anything went wrong with
/// the client's connections.
#[derive(Debug, Default)]
struct Deliveries {
    failures: Mutex<Vec<(usize, RDKafkaErrorCode)>>,
    is_shaken: AtomicBool,
    logs: Logs,
}

impl Deliveries {
    fn take_failures(&self) -> Vec<(usize, RDKafkaErrorCode)> {
        std::mem::take(&mut locked(&self.failures))
    }
}

/// A failure that explains the others, rather than being explained by them. Which output of a batch
/// is to blame it does not tell: a broker refuses a batch as a whole.
fn root_cause(failures: &[(usize, RDKafkaErrorCode)]) -> Option<(usize, RDKafkaErrorCode)> {
    let consequence = |code: RDKafkaErrorCode| {
        matches!(
            code,
            RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight | RDKafkaErrorCode::InvalidDifferentRecord
        )
    };
    failures.iter().find(|(_, code)| !consequence(*code)).or(failures.first()).copied()
}

fn abandoned() -> Broken {
    let detail = "partitions were lost on the way".to_owned();
    Broken::Abort(FlowError::Unavailable { doing: "committing", detail })
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // A connection that broke, a request that timed out. One that cannot be made is another
        // matter: a broker that is away for hours is tried again and again.
        if facility == "REQTMOUT" || facility == "FAIL" && message.contains("in state UP") {
            self.is_shaken.store(true, Ordering::Release);
        }
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
            locked(&self.failures).push((index, code));
        }
    }
}

#[cfg(test)]
mod tests;
