//! What the stage tells its operators: log lines, counters and gauges of what happens to it.

use std::sync::Arc;
use std::time::Duration;

use precis_schemas::codes;
use precis_telemetry::metrics::{Counter, Gauge};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::lag;
use super::live::Live;
use super::machine::{Machine, Outcome, Pause};
use super::work::Context;
use crate::Fault;
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
    pub(super) fn report(&mut self, context: &Arc<Context>, machine: &Machine<Live>, commit_age: Duration) {
        let name = context.config.name.as_str();
        let Load { records, .. } = context.intake.holding();
        let oldest = machine.oldest_open().map_or(0.0, |since| since.elapsed().as_secs_f64());
        Gauge::StageInFlight.set(records as f64, &[name]);
        Gauge::StageOldestIncompleteSeconds.set(oldest, &[name]);
        Gauge::StageCommitAgeSeconds.set(commit_age.as_secs_f64(), &[name]);
        for told in context.sender_faults.take_due() {
            let (stage, topic, code, more) = (name, &*told.topic, told.last_code, told.count);
            warn!(stage, topic, code, more, "more records of a topic were rejected for faults of their sender");
        }
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
pub(super) fn finished(stage: &str, outcome: &Outcome) {
    let result = match outcome {
        Outcome::Published => "published",
        Outcome::Requeued => "requeued",
        Outcome::Rejected(cause) => {
            Counter::StageDeadLetters.increment(&[stage, cause.code]);
            if cause.fault == Fault::Sender {
                let tenant = cause.sender.as_deref().unwrap_or_default();
                Counter::StageSenderFaults.increment(&[stage, tenant, cause.code]);
            }
            "rejected"
        }
    };
    Counter::StageRecords.increment(&[stage, result]);
}

/// Tells that nearly everything of a topic was rejected, so that the topic pauses.
pub(super) fn topic_paused(stage: &str, topic: &str, pause: &Pause) {
    let Pause { rejected, of, lasts, last_code } = *pause;
    let (code, pause_s) = (codes::REJECT_BREAKER, lasts.as_secs());
    warn!(
        stage,
        topic,
        code,
        last_code,
        rejected,
        of,
        pause_s,
        "nearly everything of a topic is rejected, possibly for a fault of ours: the topic pauses"
    );
    Gauge::StageTopicPaused.set(1.0, &[stage, topic]);
}

/// Tells that a topic is read as any other.
pub(super) fn topic_resumed(stage: &str, topic: &str) {
    info!(stage, topic, "a topic that was paused is read again");
    Gauge::StageTopicPaused.set(0.0, &[stage, topic]);
}

/// The stage is over, and its pauses with it.
pub(super) fn pauses_forgotten<'a>(stage: &str, topics: impl Iterator<Item = &'a Arc<str>>) {
    topics.for_each(|topic| Gauge::StageTopicPaused.set(0.0, &[stage, topic]));
}

fn list<'a>(partitions: impl Iterator<Item = &'a PartitionId>) -> String {
    partitions.map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
