//! What the stage tells its operators: log lines, counters and gauges of what happens to it.

use std::sync::Arc;

use precis_telemetry::metrics::{Counter, Gauge};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::lag;
use super::live::Live;
use super::machine::{Machine, Outcome};
use super::work::Context;
use crate::log::Log;
use crate::member::{Load, MemberEvent, OwnerMark};
use crate::values::PartitionId;

/// How often lag is measured, in reports.
const REPORTS_PER_LAG: u64 = 30;

/// What the stage reports again and again.
pub(super) struct Reports {
    log: Arc<dyn Log>,
    count: u64,
    measuring_lag: Option<AbortOnDropHandle<()>>,
}

impl Reports {
    pub(super) fn new(log: Arc<dyn Log>) -> Self {
        Self { log, count: 0, measuring_lag: None }
    }

    /// Sets the gauges.
    pub(super) fn report(&mut self, context: &Arc<Context>, machine: &Machine<Live>) {
        let name = context.config.name.as_str();
        let Load { records, .. } = context.intake.holding();
        let oldest = machine.oldest_open().map_or(0.0, |since| since.elapsed().as_secs_f64());
        Gauge::StageInFlight.set(records as f64, &[name]);
        Gauge::StageOldestIncompleteSeconds.set(oldest, &[name]);
        Gauge::StagePaused.set(f64::from(u8::from(context.intake.is_suspended())), &[name]);
        if self.count.is_multiple_of(REPORTS_PER_LAG) {
            // A measurement that is still out is given up.
            let owned = machine.partitions().cloned().collect();
            self.measuring_lag = Some(lag::measure(Arc::clone(&self.log), Arc::clone(context), owned));
        }
        self.count += 1;
    }
}

/// Reports what happens to the member.
pub(super) fn member_event(stage: &str, event: &MemberEvent) {
    match event {
        MemberEvent::Assigned(assignments) => {
            info!(stage, partitions = list(assignments.iter().map(|one| &one.partition)), "assigned");
            Counter::StageRebalances.increment(&[stage, "assigned"]);
            for assignment in assignments {
                if let Some(mark) = assignment.committed.filter(|mark| *mark != OwnerMark::Released) {
                    warn!(stage, partition = %assignment.partition, %mark, "its last owner died");
                    Counter::StageUncleanTakeovers.increment(&[stage]);
                }
            }
        }
        MemberEvent::Revoking { partitions, .. } => {
            info!(stage, partitions = list(partitions.iter()), "revoked: draining");
            Counter::StageRebalances.increment(&[stage, "revoked"]);
        }
        MemberEvent::Lost(partitions) => {
            warn!(stage, partitions = list(partitions.iter()), "lost");
            Counter::StageRebalances.increment(&[stage, "lost"]);
        }
        MemberEvent::Record { .. } | MemberEvent::Failed(_) => {}
    }
}

/// Counts a finished record.
pub(super) fn finished(stage: &str, outcome: Outcome) {
    let result = match outcome {
        Outcome::Published => "published",
        Outcome::Requeued => "requeued",
        Outcome::Rejected(code) => {
            Counter::StageDeadLetters.increment(&[stage, code]);
            "rejected"
        }
    };
    Counter::StageRecords.increment(&[stage, result]);
}

fn list<'a>(partitions: impl Iterator<Item = &'a PartitionId>) -> String {
    partitions.map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
