//! One transactional producer, and the protocol of its transactions:
//!
//! ```text
//!   begin ─▶ produce… ─▶ all delivered ─▶ send offsets ─▶ commit ─▶ Ok
//!      └─────────┴────────────┴────────────────┴───────────┴──▶ abort ─▶ Err, class Retry: the same may be tried again
//!                                                    fatal ──▶ Err, class Fatal: only a new process helps
//! ```
//!
//! Every call says what its error asks for: fatal, abort, or the same call again. Commit and abort
//! wait for delivery reports, so these are served by a thread of their own: nobody else would while
//! the call blocks.
//!
//! Every call has a bound, since a client may wait for ever for a broker that is back long ago. At
//! twice the transaction's timeout the coordinator has aborted whatever was open and not asked to
//! commit. Then, by the call that got no answer:
//!
//! | call | the transaction | what follows |
//! | --- | --- | --- |
//! | writing, sending offsets, aborting | is not committed: nobody asked for it | class Retry: the next client takes the id over, which ends the transaction, and the same is tried again |
//! | committing | is committed or not, as the coordinator decided | `commit_unknown`: the member leaves its group. Whoever joins next takes the id over, which ends the transaction, and reads what is committed |

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
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

use super::bounded::{self, Step, within};
use super::client::{Logs, flow_error, is_too_large, is_unknown_topic};
use super::convert::output_headers;
use super::topic_id::Line;
use crate::error::FlowError;
use crate::values::Output;

/// How long to wait before the same call is made again.
const RETRY_DELAY: Duration = Duration::from_millis(100);
/// How often to look whether everything is delivered.
const DELIVERY_POLL_INTERVAL: Duration = Duration::from_millis(1);
/// How many clients may be left to themselves: as many as brokers may be fenced in days.
const MAX_STUCK_CLIENTS: usize = 16;

/// Writes transactions, one at a time: it belongs to one thread.
pub(super) struct TransactionalProducer {
    producer: ThreadedProducer<Deliveries>,
    /// After twice this the coordinator has aborted whatever was open.
    transaction_timeout: Duration,
    step: Step,
    /// A transaction was aborted.
    has_aborted: Cell<bool>,
    /// A call did not come back, and goes on in the client.
    is_stuck: Cell<bool>,
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
/// - A client that was told of no broker may have given up all that it knew, for ever.
/// - A call that did not come back occupies its client for as long as it does not.
pub(super) struct Renewed {
    config: ClientConfig,
    transaction_timeout: Duration,
    step: Step,
    producer: Option<TransactionalProducer>,
    /// How many clients were left to themselves with a call that did not come back.
    stuck: usize,
}

impl Renewed {
    /// Takes over the id, as [`TransactionalProducer::start`].
    pub(super) fn start(config: ClientConfig, transaction_timeout: Duration, step: Step) -> Result<Self, FlowError> {
        let producer = Some(TransactionalProducer::start(&config, transaction_timeout, step.clone())?);
        Ok(Self { config, transaction_timeout, step, producer, stuck: 0 })
    }

    /// The client that may begin a transaction now.
    ///
    /// # Errors
    /// A new one is needed and cannot be started: class Retry while the brokers are away. Too many
    /// did not come back: class Fatal, since each keeps its memory and threads.
    pub(super) fn ready(&mut self) -> Result<&TransactionalProducer, FlowError> {
        // The old one goes first: were it to notice that it is fenced, that would look like
        // somebody else's doing.
        if let Some(spent) = self.producer.take_if(|producer| producer.is_spent()) {
            info!("a transaction was aborted, or a connection broke: the Kafka producer is replaced");
            self.step.begin("closing the last Kafka producer");
            self.stuck += usize::from(spent.is_stuck.get());
            bounded::end(spent)?;
        }
        if self.stuck > MAX_STUCK_CLIENTS {
            let detail = format!("{} Kafka producers did not come back", self.stuck);
            return Err(FlowError::Client { doing: "replacing a Kafka producer", detail });
        }
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => TransactionalProducer::start(&self.config, self.transaction_timeout, self.step.clone())?,
        };
        Ok(self.producer.insert(producer))
    }

    /// Fails when the client is beyond repair: somebody else has its id, or no other is going to
    /// take its place.
    pub(super) fn check(&self, doing: &'static str) -> Result<(), FlowError> {
        let Some(producer) = &self.producer else { return Ok(()) };
        match producer.check(doing) {
            // The coordinator ends what it left open, and that alone fences it.
            Err(_) if producer.is_stuck.get() => Ok(()),
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
    /// No answer came in time: the call goes on in the client.
    NoAnswer(FlowError),
}

impl TransactionalProducer {
    /// Takes over the id: fences an older holder and ends its open transaction, before this
    /// returns.
    pub(super) fn start(config: &ClientConfig, transaction_timeout: Duration, step: Step) -> Result<Self, FlowError> {
        step.begin("taking over a transactional id");
        let producer: ThreadedProducer<Deliveries> = config
            .create_with_context(Deliveries::default())
            .map_err(|error| flow_error("starting a producer", &error))?;
        producer
            .init_transactions(transaction_timeout)
            .map_err(|error| flow_error("taking over a transactional id", &error))?;
        let (has_aborted, is_stuck) = (Cell::new(false), Cell::new(false));
        Ok(Self { producer, transaction_timeout, step, has_aborted, is_stuck })
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
        self.has_aborted.get() || self.is_stuck.get() || self.producer.context().is_shaken.load(Ordering::Acquire)
    }

    /// Writes all outputs and moves the offsets, or neither. `abandon` is asked on the way whether
    /// to abort.
    pub(super) fn run(
        &self,
        outputs: &[&Output],
        offsets: Option<Offsets>,
        abandon: &dyn Fn() -> bool,
    ) -> Result<(), FlowError> {
        drop(self.producer.context().take_failures());
        let deadline = Instant::now() + self.transaction_timeout * 2;
        match self.call("beginning a transaction", deadline, |_| self.producer.begin_transaction()) {
            Ok(()) => {}
            Err(Broken::Abort(error) | Broken::Fatal(error) | Broken::NoAnswer(error)) => return Err(error),
        }
        match self.write(outputs, offsets, deadline, abandon) {
            Ok(()) => self.commit(deadline),
            Err(Broken::Abort(error)) => Err(self.abort(error, false)),
            Err(Broken::Fatal(error)) => Err(error),
            Err(Broken::NoAnswer(error)) => {
                warn!(%error, "the Kafka client does not come back: left to the next Kafka producer");
                Err(error)
            }
        }
    }

    /// Commits the open transaction. However late that began, there is time for a coordinator that
    /// moves.
    fn commit(&self, deadline: Instant) -> Result<(), FlowError> {
        let deadline = deadline.max(Instant::now() + self.transaction_timeout);
        match self.call("committing", deadline, |left| self.producer.commit_transaction(left)) {
            Ok(()) => {
                pass(Point::AfterCommit);
                Ok(())
            }
            Err(Broken::Abort(error)) => Err(self.abort(error, true)),
            Err(Broken::Fatal(error)) => Err(error),
            Err(Broken::NoAnswer(error)) => {
                self.is_stuck.set(true);
                Err(FlowError::CommitUnknown { detail: error.to_string() })
            }
        }
    }

    /// Ends the open transaction after `error`, and says what came of it all.
    fn abort(&self, error: FlowError, may_be_committed: bool) -> FlowError {
        debug!(%error, "aborting");
        self.has_aborted.set(true);
        let deadline = Instant::now() + self.transaction_timeout;
        match self.call("aborting", deadline, |left| self.producer.abort_transaction(left)) {
            Ok(()) => error,
            Err(Broken::Fatal(fenced @ FlowError::Fenced { .. })) => fenced,
            // Nobody asked for a commit: the client that takes this one's place ends whatever is
            // open before it begins.
            Err(Broken::Abort(second) | Broken::Fatal(second) | Broken::NoAnswer(second)) if !may_be_committed => {
                warn!(%error, %second, "cannot abort: left to the next Kafka producer");
                error
            }
            // Perhaps committed: only the group's offsets tell, and they are read by whoever joins
            // next.
            Err(Broken::Abort(second) | Broken::Fatal(second) | Broken::NoAnswer(second)) => {
                FlowError::CommitUnknown { detail: format!("{error}; and aborting failed: {second}") }
            }
        }
    }

    fn write(
        &self,
        outputs: &[&Output],
        offsets: Option<Offsets>,
        deadline: Instant,
        abandon: &dyn Fn() -> bool,
    ) -> Result<(), Broken> {
        self.step.begin("writing");
        for (index, output) in outputs.iter().enumerate() {
            self.produce(index, output, deadline)?;
        }
        self.deliver(outputs, deadline, abandon)?;
        pass(Point::AfterProduce);
        if let Some(offsets) = offsets {
            pass(Point::BeforeSendOffsets);
            self.send_offsets(offsets, deadline)?;
        }
        pass(Point::BeforeCommit);
        if abandon() { Err(abandoned()) } else { Ok(()) }
    }

    /// The one call that keeps to no timeout of its own: see [`bounded`](super::bounded).
    fn send_offsets(&self, offsets: Offsets, deadline: Instant) -> Result<(), Broken> {
        let (doing, offsets, began) = ("sending offsets", Arc::new(offsets), Instant::now());
        let sent = self.call(doing, deadline, |left| {
            let (producer, offsets) = (self.producer.clone(), Arc::clone(&offsets));
            let send = move || producer.send_offsets_to_transaction(&offsets.next, &offsets.member, Timeout::Never);
            within(left, "precis-offsets", send).ok().flatten().unwrap_or_else(|| {
                self.is_stuck.set(true);
                Err(KafkaError::Canceled)
            })
        });
        match sent {
            Err(_) if self.is_stuck.get() => {
                let detail = format!("the Kafka client gave no answer for {} s", began.elapsed().as_secs());
                Err(Broken::NoAnswer(FlowError::Unavailable { doing, detail }))
            }
            // The client is free again: it can abort.
            Err(Broken::NoAnswer(error)) => Err(Broken::Abort(error)),
            sent => sent,
        }
    }

    /// Hands one output to the client, and waits for room when it has none.
    fn produce(&self, index: usize, output: &Output, deadline: Instant) -> Result<(), Broken> {
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(&output.topic, index);
        record.key = output.key.as_deref();
        record.payload = output.value.as_deref();
        record.partition = output.partition;
        record.headers = output_headers(output);
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
    fn deliver(&self, outputs: &[&Output], deadline: Instant, abandon: &dyn Fn() -> bool) -> Result<(), Broken> {
        while self.producer.in_flight_count() > 0 {
            if abandon() {
                return Err(abandoned());
            }
            if Instant::now() >= deadline {
                let detail = "outputs were not acknowledged in time".to_owned();
                return Err(Broken::Abort(FlowError::Unavailable { doing: "writing", detail }));
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

    /// Makes one call of the protocol, again as long as its error asks for just that, and tells it
    /// how much time is left. A call that is made again goes on where the last one stopped waiting.
    fn call(
        &self,
        doing: &'static str,
        deadline: Instant,
        call: impl Fn(Duration) -> KafkaResult<()>,
    ) -> Result<(), Broken> {
        self.step.begin(doing);
        loop {
            let Err(error) = call(deadline.saturating_duration_since(Instant::now())) else { return Ok(()) };
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
            if !transaction.is_retriable() {
                return Err(Broken::Abort(meaning));
            }
            if Instant::now() >= deadline {
                return Err(Broken::NoAnswer(meaning));
            }
            debug!(%error, doing, "again");
            std::thread::sleep(RETRY_DELAY);
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
        // It may never find one again: see `restart`.
        if let Some(Line::Brokers { any: false }) = Line::read(facility, message) {
            self.is_shaken.store(true, Ordering::Release);
        }
        // What librdkafka says below a warning is asked for because of that line alone.
        if matches!(level, RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug) {
            return;
        }
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
