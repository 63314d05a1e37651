//! The poll thread: the only one that touches the consumer. It never blocks but in a revocation,
//! and for a moment when the intake is full, so that the group always hears from this member,
//! however long a document takes.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use precis_base::lock::locked;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{debug, error, warn};

use super::bounded;
use super::client::{ASK_TIMEOUT, flow_error};
use super::convert::{Records, partition_list};
use super::rebalance::{Callbacks, MemberContext};
use crate::error::FlowError;
use crate::member::{Intake, Load, MemberEvent};
use crate::values::PartitionId;

/// How long one poll waits for a record.
const POLL: Duration = Duration::from_millis(100);
/// The same while some partitions may not be read: so long can an intake be open before it is
/// noticed.
const POLL_PAUSED: Duration = Duration::from_millis(20);
/// How long a full intake is waited for before partitions are paused. A pause throws away what was
/// fetched, and a stage that works has room again much sooner: after a transaction or two. Other
/// topics wait with it, so not for long.
const FULL_INTAKE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often a topic that is full is paused all the same while there are others. What was fetched
/// comes out of the client in the order in which it went in, so that a topic with thousands of
/// records there stands before the others until a pause takes them away.
const FAIRNESS_PAUSE_INTERVAL: Duration = Duration::from_secs(2);
/// How long to wait for the log line that names the partition of an error. It comes with the error.
const EXPLANATION_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const EXPLANATION_POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The consumers of a member, one after the other.
pub(super) struct Consumers {
    pub(super) config: ClientConfig,
    pub(super) topics: Vec<String>,
    pub(super) context: Arc<MemberContext>,
    /// The one there is now, for the commit thread.
    pub(super) current: Arc<Mutex<Weak<BaseConsumer<Callbacks>>>>,
}

impl Consumers {
    /// Starts one, which joins the group. Does not wait for the brokers.
    pub(super) fn start(&self) -> Result<Arc<BaseConsumer<Callbacks>>, FlowError> {
        let callbacks = Callbacks(Arc::clone(&self.context));
        let consumer: BaseConsumer<Callbacks> =
            self.config.create_with_context(callbacks).map_err(|error| flow_error("starting a consumer", &error))?;
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(|error| flow_error("subscribing", &error))?;
        let consumer = Arc::new(consumer);
        *locked(&self.current) = Arc::downgrade(&consumer);
        Ok(consumer)
    }
}

/// Polls until the member closes or fails, then leaves the group.
pub(super) fn run(consumers: &Consumers, mut consumer: Arc<BaseConsumer<Callbacks>>, intake: &Intake) {
    let context = &consumers.context;
    while let Ended::Stuck(why) = follow(&consumer, context, intake) {
        warn!(group = context.group, why, "the Kafka consumer is replaced");
        leave(&consumer, context);
        context.heartbeat.beat();
        // Where something is left to give back, it is given back here, and nowhere beside the next.
        let is_empty = context.reading().assigned.is_empty();
        let ended = if is_empty {
            bounded::end(consumer)
        } else {
            drop(consumer);
            Ok(())
        };
        context.heartbeat.beat();
        context.reading().begin_anew();
        consumer = match ended.and_then(|()| consumers.start()) {
            Ok(consumer) => consumer,
            Err(error) => {
                context.send(MemberEvent::Failed(error));
                context.closing.store(true, Ordering::Release);
                return;
            }
        };
    }
    context.closing.store(true, Ordering::Release);
    // Leaves the group, and serves the revocation that this brings about, here on this thread.
    drop(consumer);
}

/// Why a consumer is polled no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The member closes.
    Closing,
    /// It would never read some partition again: only another one does. librdkafka 2.12 ignores the
    /// leaders of a topic that was made again as long as their epochs are below those of the old
    /// one, and may give up all brokers when it is told of none.
    Stuck(&'static str),
}

/// Polls one consumer.
fn follow(consumer: &BaseConsumer<Callbacks>, context: &MemberContext, intake: &Intake) -> Ended {
    let mut records = Records::default();
    let mut paused = Paused::default();
    let mut unexplained = None;
    while !context.closing.load(Ordering::Acquire) && !context.events.is_closed() {
        context.heartbeat.beat();
        if !paused.any && (!intake.is_shared() || paused.last.elapsed() < FAIRNESS_PAUSE_INTERVAL) {
            wait_for_room(intake, FULL_INTAKE_TIMEOUT, || context.closing.load(Ordering::Acquire));
        }
        if let Err(error) = paused.follow(consumer, context, intake) {
            // Nothing is lost by it: what comes in too much is only memory.
            warn!(group = context.group, %error, "cannot pause or resume");
        }
        let polled = consumer.poll(if paused.any { POLL_PAUSED } else { POLL });
        context.follow_lines();
        match polled {
            None => {}
            Some(Ok(message)) => {
                let record = records.record(&message);
                // Not ours any more: what was fetched before a revocation may still come out of the
                // client.
                if let Some(epoch) = context.ownership.epoch(&record.partition_id()) {
                    intake.take(&record.topic, Load::of(&record));
                    context.send(MemberEvent::Record { record, epoch });
                }
            }
            Some(Err(error)) => {
                if let Some(failure) = failure(context, &error, &mut unexplained) {
                    context.send(MemberEvent::Failed(failure));
                }
            }
        }
        context.move_restarts(consumer);
        if let Some(why) = context.reading().stuck(Instant::now()) {
            return Ended::Stuck(why);
        }
        if let Some(since) = unexplained.take_if(|since: &mut Instant| since.elapsed() > EXPLANATION_TIMEOUT)
            && context.reading().told_out_of_range.is_none_or(|told| told + EXPLANATION_TIMEOUT < since)
        {
            context.send(MemberEvent::Failed(offsets_lost(context)));
        }
        if let Some((waited, why)) = locked(&context.joining).warning(Instant::now()) {
            warn!(group = context.group, seconds = waited.as_secs(), why, "still waits to be let into its group");
        }
    }
    Ended::Closing
}

/// Gives all partitions back, drained and committed as for any other revocation, and leaves the
/// group.
fn leave(consumer: &BaseConsumer<Callbacks>, context: &MemberContext) {
    consumer.unsubscribe();
    let deadline = Instant::now() + context.revoke_patience + ASK_TIMEOUT;
    while !context.reading().assigned.is_empty() && Instant::now() < deadline {
        context.heartbeat.beat();
        drop(consumer.poll(POLL));
    }
}

/// Returns once the intake is not full, or more than full keeps it closed, or it is over, or
/// `timeout` is.
fn wait_for_room(intake: &Intake, timeout: Duration, is_over: impl Fn() -> bool) {
    let began = Instant::now();
    while intake.is_merely_full() && !is_over() && began.elapsed() < timeout {
        std::thread::sleep(EXPLANATION_POLL_INTERVAL);
    }
}

/// What the consumer was told not to read.
///
/// librdkafka remembers that for as long as it lives: a partition that was paused when it left is
/// still paused when it comes back. So nothing is forgotten here when partitions leave, and only
/// what was paused is ever resumed.
struct Paused {
    partitions: HashSet<PartitionId>,
    /// Whether one of them is ours.
    any: bool,
    /// When it was told so last.
    last: Instant,
    /// Which version of the intake that follows.
    version: Option<u64>,
}

impl Default for Paused {
    fn default() -> Self {
        Self { partitions: HashSet::new(), any: false, last: Instant::now(), version: None }
    }
}

impl Paused {
    /// Makes the consumer read exactly the partitions whose topics the intake admits.
    fn follow(
        &mut self,
        consumer: &BaseConsumer<Callbacks>,
        context: &MemberContext,
        intake: &Intake,
    ) -> Result<(), KafkaError> {
        if context.reassigned.swap(false, Ordering::AcqRel) {
            self.version = None;
        }
        // Looked at first: what changes from now on is followed in the next round.
        let version = intake.version();
        if self.version == Some(version) {
            return Ok(());
        }
        self.version = None;
        let owned: HashSet<_> = context.ownership.partitions().into_iter().collect();
        let shut: HashSet<_> = owned.iter().filter(|partition| !intake.admits(&partition.topic)).cloned().collect();
        let open: Vec<_> = self.partitions.intersection(&owned).filter(|paused| !shut.contains(*paused)).collect();
        if !open.is_empty() {
            consumer.resume(&partition_list(open))?;
        }
        self.partitions.retain(|paused| shut.contains(paused) || !owned.contains(paused));
        let stopped: Vec<_> = context.reading().stopped().cloned().collect();
        let running: Vec<_> =
            shut.iter().chain(&stopped).filter(|shut| !self.partitions.contains(*shut)).cloned().collect();
        if !running.is_empty() {
            consumer.pause(&partition_list(&running))?;
            self.partitions.extend(running);
            self.last = Instant::now();
        }
        self.any = !shut.is_empty();
        self.version = Some(version);
        Ok(())
    }
}

fn offsets_lost(context: &MemberContext) -> FlowError {
    let detail = "the next offset is not in the log".to_owned();
    FlowError::OffsetsLost { group: context.group.clone(), place: "one of its partitions".to_owned(), detail }
}

/// What a consumer's error ends; `None`: it passes by itself. An error that a log line is going to
/// explain is noted.
fn failure(context: &MemberContext, error: &KafkaError, unexplained: &mut Option<Instant>) -> Option<FlowError> {
    let code = error.rdkafka_error_code();
    if matches!(error, KafkaError::MessageConsumptionFatal(_)) || code == Some(RDKafkaErrorCode::PollExceeded) {
        return Some(flow_error("reading", error));
    }
    if matches!(code, Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)) {
        // rdkafka 0.39 does not say of which partition.
        unexplained.get_or_insert_with(Instant::now);
        return None;
    }
    if let Some(code) = code {
        locked(&context.joining).note(code, Instant::now());
    }
    if code == Some(RDKafkaErrorCode::BadCompression) {
        // The client names neither place nor size, and asks for the same batch again: its partition
        // stands still, the others go on. What a batch may have in it the broker checks only for
        // topics with compression.type=uncompressed.
        error!(
            group = context.group,
            code = "batch_unreadable",
            %error,
            "a batch cannot be decompressed and its partition stands still: find it by its lag and set the group's offset past it"
        );
        return None;
    }
    debug!(group = context.group, %error, "the consumer reports an error and goes on");
    None
}

#[cfg(test)]
mod tests;
