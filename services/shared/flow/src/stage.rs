//! The stage: consume, process, produce, exactly once. A service gives a [`Processor`], and this
//! does the rest.
//!
//! ```text
//!   member ──records──▶ machine ──▶ key queues ──▶ work (process, retry, reject)
//!     ▲                 (tracked)   (key order)    (max_in_flight at once)
//!     │                                              ▼
//!     │                                            reorder buffer (in the machine's tracker)
//!     │ intake: closed while too much is held, a     ▼
//!     └ dependency is away, or the stage drains ◀─ transaction (outputs and input offsets)
//! ```
//!
//! [`machine`] decides, and does nothing else; [`run`] brings it events and carries its commands
//! out; [`work`] is the way of one record.
//!
//! What holds:
//! - A record's outputs enter the log in the transaction that moves its offset, or not at all.
//! - Only outputs at or below the contiguous watermark of their partition enter a transaction.
//!   Transactions are short, since all processing is over before they begin.
//! - A record ends as outputs, as a re-enqueued copy or as a dead letter. A record has no end only
//!   when its partition goes or the stage stops; then the partition's next owner reads it again.
//! - Nothing of a partition that was given away is committed, however late its processing ends: see
//!   [`crate::member`].
//! - A record cannot kill processes for ever. The records with which two owners of a partition in a
//!   row died run one at a time, each under a marker that is stored before. A record that
//!   [`AttemptMarkers`] takes for deadly, since processes died while it ran alone, ends as a dead
//!   letter `crash_suspect`. See [`crate::member::OwnerMark`].
//! - Of these suspects one is in process at a time, in all partitions together. Topics take turns:
//!   each suspect waits for one of every other topic at most, and for those before it in its own.
//! - No record ends its process by being rejected, and no sender stops others: what only a sender
//!   can cause becomes a dead letter, and what may be our fault pauses its own topic for a while.
//!   See [`RejectBreaker`].
//! - No topic keeps the others out: room to hold records and places in process are shared, see
//!   [`crate::member::Intake`], and topics take turns.
//! - Of one key in one partition, records are processed one after the other, in order; a
//!   re-enqueued record loses its place.
//! - Nobody from outside says how a record is treated: of a topic that others write ([`Returns`]),
//!   no header of ours is believed, and copies go to a topic that nobody else writes.

use std::sync::Arc;
use std::time::Duration;

use precis_telemetry::metrics::Counter;
use precis_telemetry::{Component, Health};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::error::FlowError;
use crate::log::Log;
use crate::member::{Heartbeat, Intake, JoinRequest, Membership};

mod committing;
mod config;
mod dead_letter;
mod lag;
mod live;
mod machine;
mod processor;
mod report;
mod retry;
mod run;
mod sender_faults;
mod work;

#[cfg(test)]
mod model;

pub use config::{MAX_OUTPUT_BYTES, RejectBreaker, Returns, StageConfig};
pub use dead_letter::{CODE_HEADER, OFFSET_HEADER, PARTITION_HEADER, STAGE_HEADER, TOPIC_HEADER};
pub use processor::{Attempt, AttemptMarkers, DeadLetterStore, Delivery, Processor, Rejection, Scope, StageError};
pub use work::CRASH_SUSPECT;

/// How long the stage or the log's thread may be silent before the process counts as hung: well
/// over the longest step, a revocation that waits for a transaction to end.
const STALL_TIMEOUT: Duration = Duration::from_secs(120);

/// How long to wait before a log that cannot be reached is asked again.
const JOIN_BACKOFF: Duration = Duration::from_secs(2);

/// Runs a stage until `shutdown` is cancelled, and then drains it: nothing more is read, records in
/// process are finished within the drain budget and committed, and records that wait for their next
/// try are left to the next owner. Returns an error when the stage cannot go on; the next owner
/// then processes again what was not committed. An unavailable log is no such error: the stage
/// waits. Nor is a commit whose outcome is unknown: the stage joins again, which decides it.
///
/// Dropping the future stops the stage without draining it.
pub async fn run_stage(
    log: Arc<dyn Log>,
    config: StageConfig,
    processor: Arc<dyn Processor>,
    health: Health,
    shutdown: CancellationToken,
) -> Result<(), FlowError> {
    config.check()?;
    let component = health.register(format!("stage {}", config.name), STALL_TIMEOUT);
    loop {
        component.tick();
        let error = match join_and_run(&log, &config, &processor, &component, &shutdown).await {
            Ok(()) => {
                component.finish();
                return Ok(());
            }
            Err(error) if error.ends_membership_only() => error,
            Err(error) => return Err(error),
        };
        Counter::StageRejoins.increment(&[&config.name, error.code()]);
        warn!(stage = config.name, code = error.code(), %error, "left the group, joining again");
        component.set_unready(error.to_string());
        let _ = shutdown.run_until_cancelled(tokio::time::sleep(JOIN_BACKOFF)).await;
    }
}

/// One membership, from joining to leaving; nothing when shutdown comes first.
async fn join_and_run(
    log: &Arc<dyn Log>,
    config: &StageConfig,
    processor: &Arc<dyn Processor>,
    component: &Component,
    shutdown: &CancellationToken,
) -> Result<(), FlowError> {
    let intake = Intake::new(config.max_held, config.max_in_flight_bytes);
    let heartbeat = Heartbeat::new();
    let request = JoinRequest {
        group: config.group.clone(),
        subscription: config.subscription.clone(),
        intake: Arc::clone(&intake),
        drain_budget: config.drain_budget,
        heartbeat: Arc::clone(&heartbeat),
    };
    let Some(membership) = shutdown.run_until_cancelled(log.join(request)).await else { return Ok(()) };
    let Membership { events, committer } = membership?;
    info!(stage = config.name, log = log.describe(), "started");
    let stage = run::Stage::new(Arc::clone(log), config.clone(), Arc::clone(processor), intake, committer);
    stage.run(events, component, &heartbeat, shutdown).await?;
    info!(stage = config.name, "drained and stopped");
    Ok(())
}
