//! The poll thread: the only one that touches the consumer. It never blocks but in a revocation, so that the group
//! always hears from this member, however long a document takes.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{debug, error, warn};

use super::client::flow_error;
use super::convert::{Records, partition_list};
use super::rebalance::MemberContext;
use crate::error::FlowError;
use crate::member::{Intake, MemberEvent};
use crate::record::PartitionId;

/// How long one poll waits for a record.
const POLL: Duration = Duration::from_millis(100);
/// The same while nothing may be read: so long can an intake be open before it is noticed.
const POLL_PAUSED: Duration = Duration::from_millis(20);

/// Polls until the member closes or fails, then leaves the group.
pub(super) fn run(consumer: Arc<BaseConsumer<MemberContext>>, intake: &Intake) {
    let context = Arc::clone(consumer.context());
    let mut records = Records::default();
    let mut paused = HashSet::new();
    while !context.closing.load(Ordering::Acquire) && !context.events.is_closed() {
        context.heartbeat.beat();
        let open = intake.is_open();
        if let Err(error) = pause_or_resume(&consumer, open, &mut paused) {
            // Nothing is lost by it: what comes in too much is only memory.
            warn!(group = context.group, %error, "cannot pause or resume");
        }
        match consumer.poll(if open { POLL } else { POLL_PAUSED }) {
            None => {}
            Some(Ok(message)) => {
                let record = records.record(&message);
                // Not ours any more: what was fetched before a revocation may still come out of the client.
                let Some(epoch) = context.ownership.epoch(&record.partition_id()) else { continue };
                intake.take(1, record.size_bytes());
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

/// Makes the consumer read exactly the partitions that may be read.
fn pause_or_resume(
    consumer: &BaseConsumer<MemberContext>,
    open: bool,
    paused: &mut HashSet<PartitionId>,
) -> Result<(), KafkaError> {
    let context = consumer.context();
    if context.reassigned.swap(false, Ordering::AcqRel) {
        // A partition that came back is not paused any more.
        paused.clear();
    }
    if open {
        if !paused.is_empty() {
            let owned: HashSet<_> = context.ownership.partitions().into_iter().collect();
            consumer.resume(&partition_list(paused.intersection(&owned)))?;
            paused.clear();
        }
        return Ok(());
    }
    let owned = context.ownership.partitions();
    let running: Vec<_> = owned.into_iter().filter(|partition| !paused.contains(partition)).collect();
    if !running.is_empty() {
        consumer.pause(&partition_list(&running))?;
        paused.extend(running);
    }
    Ok(())
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
