//! The poll thread: the only one that touches the consumer. It never blocks but in a revocation, and for a moment when the
//! intake is full, so that the group always hears from this member, however long a document takes.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{debug, error, warn};

use super::client::flow_error;
use super::convert::{Records, partition_list};
use super::rebalance::MemberContext;
use crate::error::FlowError;
use crate::member::{Held, Intake, MemberEvent};
use crate::record::PartitionId;

/// How long one poll waits for a record.
const POLL: Duration = Duration::from_millis(100);
/// The same while some partitions may not be read: so long can an intake be open before it is noticed.
const POLL_PAUSED: Duration = Duration::from_millis(20);
/// How long a full intake is waited for before partitions are paused. A pause throws away what was fetched, and a stage that
/// works has room again much sooner: after a transaction or two.
/// Other topics wait with it, so not for long.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often a topic that is full is paused all the same while there are others. What was fetched comes out of the client in the
/// order in which it went in, so that a topic with thousands of records there stands before the others until a pause takes
/// them away.
const TURN: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(2);

/// Polls until the member closes or fails, then leaves the group.
pub(super) fn run(consumer: Arc<BaseConsumer<MemberContext>>, intake: &Intake) {
    let context = Arc::clone(consumer.context());
    let mut records = Records::default();
    let mut paused = Paused::default();
    while !context.closing.load(Ordering::Acquire) && !context.events.is_closed() {
        context.heartbeat.beat();
        if !paused.any && (!intake.is_shared() || paused.last.elapsed() < TURN) {
            wait_for_room(intake, PATIENCE, || context.closing.load(Ordering::Acquire));
        }
        if let Err(error) = paused.follow(&consumer, intake) {
            // Nothing is lost by it: what comes in too much is only memory.
            warn!(group = context.group, %error, "cannot pause or resume");
        }
        match consumer.poll(if paused.any { POLL_PAUSED } else { POLL }) {
            None => {}
            Some(Ok(message)) => {
                let record = records.record(&message);
                // Not ours any more: what was fetched before a revocation may still come out of the client.
                let Some(epoch) = context.ownership.epoch(&record.partition_id()) else { continue };
                intake.take(&record.topic, Held::of(&record));
                if context.events.send(MemberEvent::Record { record, epoch }).is_err() {
                    break;
                }
            }
            Some(Err(error)) => {
                if let Some(failure) = failure(&context, &error)
                    && context.events.send(MemberEvent::Failed(failure)).is_err()
                {
                    break;
                }
            }
        }
    }
    context.closing.store(true, Ordering::Release);
    // Leaves the group, and serves the revocation that this brings about, here on this thread.
    drop(consumer);
}

/// Returns once the intake is not full, or more than full keeps it closed, or it is over, or `patience` is.
fn wait_for_room(intake: &Intake, patience: Duration, is_over: impl Fn() -> bool) {
    let began = Instant::now();
    while intake.is_merely_full() && !is_over() && began.elapsed() < patience {
        std::thread::sleep(LOOK);
    }
}

/// What the consumer was told not to read.
///
/// librdkafka remembers that for as long as it lives: a partition that was paused when it left is still paused when it comes
/// back. So nothing is forgotten here when partitions leave, and only what was paused is ever resumed.
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
    fn follow(&mut self, consumer: &BaseConsumer<MemberContext>, intake: &Intake) -> Result<(), KafkaError> {
        let context = consumer.context();
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
        let running: Vec<_> = shut.difference(&self.partitions).cloned().collect();
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

/// What a consumer's error ends; `None`: it passes by itself.
fn failure(context: &MemberContext, error: &KafkaError) -> Option<FlowError> {
    let code = error.rdkafka_error_code();
    if matches!(error, KafkaError::MessageConsumptionFatal(_)) || code == Some(RDKafkaErrorCode::PollExceeded) {
        return Some(flow_error("reading", error));
    }
    if matches!(code, Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)) {
        let place = "one of its partitions".to_owned();
        let detail = format!("the next offset is no longer in the log ({error})");
        return Some(FlowError::OffsetsLost { group: context.group.clone(), place, detail });
    }
    if code == Some(RDKafkaErrorCode::BadCompression) {
        // The client names neither place nor size, and asks for the same batch again: its partition stands still, the others
        // go on. What a batch may have in it the broker checks only for topics with compression.type=uncompressed.
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
