//! The stage's loop: one task that owns all state, so that nothing needs a lock. Work and commits run beside it and
//! report back.

use std::sync::Arc;
use std::time::Duration;

use precis_chaos::{Point, Sabotage, pass_async, sabotaged};
use precis_telemetry::Component;
use precis_telemetry::metrics::{Counter, Gauge, Histogram};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use super::breaker::Breaker;
use super::committing::{Committed, Committing};
use super::config::StageConfig;
use super::drain::{Drain, Next};
use super::lag;
use super::lanes::{Lane, Lanes};
use super::partitions::Partitions;
use super::processor::{Delivery, Processor, Rejection};
use super::retry::wait;
use super::tracker::TransactionLimit;
use super::work::{Context, Finish, OUTPUT_REFUSED, OUTPUT_TOO_LARGE};
use super::{JOIN_BACKOFF, STALL_AFTER};
use crate::error::{Class, FlowError};
use crate::log::Log;
use crate::member::{Committer, Epoch, Heartbeat, Held, Intake, Mark, MemberEvent};
use crate::record::{PartitionId, Record};

/// Bounds one transaction: readers of committed records wait behind an open one.
const TRANSACTION_LIMIT: TransactionLimit = TransactionLimit { records: 4_000, bytes: 16 * 1024 * 1024 };
/// Events that are handled in one turn: what a turn costs is shared by them, and finished work does not wait long.
const EVENTS_PER_TURN: usize = 256;
/// How long leaving the group may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(10);
/// How often gauges are set and liveness is told.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How often lag is measured, in reports.
const REPORTS_PER_LAG: u64 = 30;

/// A stage that has joined its group.
pub(super) struct Stage {
    log: Arc<dyn Log>,
    context: Arc<Context>,
    committer: Arc<dyn Committer>,
    partitions: Partitions,
    lanes: Lanes<Arc<Delivery>>,
    working: JoinSet<Worked>,
    committing: Option<Committing>,
    /// When the next commit is due: something is ready.
    commit_due: Option<Instant>,
    /// About how much is finished and waits for its transaction, with the records that it came of; nothing again when a
    /// partition goes.
    finished: Held,
    /// How many records the transaction under way holds.
    records_lent: usize,
    aborts: u32,
    /// How many transactions still hold one record each, to find the one whose outputs the log refuses.
    one_by_one: usize,
    drains: Vec<Drain>,
    /// Whether the last drain of all has begun.
    stopping: bool,
    breaker: Breaker,
    reports: u64,
    measuring_lag: Option<AbortOnDropHandle<()>>,
}

/// What a record's task reports.
struct Worked {
    lane: Lane,
    delivery: Arc<Delivery>,
    finish: Result<Finish, FlowError>,
}

impl Stage {
    pub(super) fn new(
        log: Arc<dyn Log>,
        config: StageConfig,
        processor: Arc<dyn Processor>,
        intake: Arc<Intake>,
        committer: Arc<dyn Committer>,
    ) -> Self {
        Self {
            log,
            breaker: Breaker::new(config.reject_breaker),
            partitions: Partitions::new(config.max_in_flight),
            lanes: Lanes::new(config.max_in_flight),
            context: Arc::new(Context { config, processor, intake }),
            committer,
            working: JoinSet::new(),
            committing: None,
            commit_due: None,
            finished: Held::default(),
            records_lent: 0,
            aborts: 0,
            one_by_one: 0,
            drains: Vec::new(),
            stopping: false,
            reports: 0,
            measuring_lag: None,
        }
    }

    /// Runs until drained or failed, and leaves the group either way.
    pub(super) async fn run(
        mut self,
        mut events: UnboundedReceiver<MemberEvent>,
        component: &Component,
        heartbeat: &Heartbeat,
        shutdown: &CancellationToken,
    ) -> Result<(), FlowError> {
        let result = self.turn(&mut events, component, heartbeat, shutdown).await;
        // First, so that a revocation that leaving brings about waits for nobody.
        drop(events);
        self.working.abort_all();
        self.committer.close(CLOSE_DEADLINE).await;
        self.report();
        if let Err(error) = &result {
            tracing::error!(stage = self.name(), code = error.code(), %error, "stopped");
        }
        result
    }

    async fn turn(
        &mut self,
        events: &mut UnboundedReceiver<MemberEvent>,
        component: &Component,
        heartbeat: &Heartbeat,
        shutdown: &CancellationToken,
    ) -> Result<(), FlowError> {
        let mut reports = tokio::time::interval(REPORT_INTERVAL);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while let Some(worked) = self.working.try_join_next() {
                self.on_joined(worked)?;
            }
            self.start_work();
            if self.drain() || self.out_of_time() {
                return Ok(());
            }
            self.commit_if_due();
            let wake = self.next_wake();
            tokio::select! {
                biased;
                _ = reports.tick() => {
                    if heartbeat.age() < STALL_AFTER {
                        component.tick();
                    }
                    self.report();
                }
                () = shutdown.cancelled(), if !self.stopping => self.stop(),
                event = events.recv() => {
                    self.on_event(event.ok_or(FlowError::Closed)?, component)?;
                    for _ in 1..EVENTS_PER_TURN {
                        let Ok(event) = events.try_recv() else { break };
                        self.on_event(event, component)?;
                    }
                }
                committed = Committing::end(&mut self.committing) => self.on_committed(committed)?,
                Some(worked) = self.working.join_next() => self.on_joined(worked)?,
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    fn name(&self) -> &str {
        &self.context.config.name
    }

    fn on_event(&mut self, event: MemberEvent, component: &Component) -> Result<(), FlowError> {
        match event {
            MemberEvent::Record { record, epoch } => self.on_record(record, epoch),
            MemberEvent::Assigned(assignments) => {
                let partitions = list(assignments.iter().map(|one| &one.partition));
                info!(stage = self.name(), partitions, "assigned");
                Counter::StageRebalances.increment(&[self.name(), "assigned"]);
                for assignment in assignments {
                    // It may come back while a commit holds up the drain with which it went.
                    self.drains.iter_mut().for_each(|drain| drain.spare(&assignment.partition));
                    self.forget(&assignment.partition);
                    if let Some(mark) = assignment.committed.filter(|mark| *mark != Mark::Closed) {
                        warn!(stage = self.name(), partition = %assignment.partition, %mark, "its last owner died");
                        Counter::StageUncleanTakeovers.increment(&[self.name()]);
                    }
                    self.partitions.assign(assignment);
                }
                self.share_out();
                self.commit_soon(false);
                component.set_ready();
            }
            MemberEvent::Revoking { partitions, guard } => {
                info!(stage = self.name(), partitions = %list(partitions.iter()), "revoked: draining");
                Counter::StageRebalances.increment(&[self.name(), "revoked"]);
                if sabotaged(Sabotage::EpochCheckOff) {
                    return Ok(());
                }
                if sabotaged(Sabotage::CommitBeforeDrain) {
                    self.partitions.call_finished(&partitions);
                }
                self.lanes.forget(|partition| partitions.contains(partition));
                self.partitions.leave(&partitions);
                let deadline = Instant::now() + self.context.config.drain_budget;
                self.drains.push(Drain::new(partitions, deadline, Some(guard)));
            }
            MemberEvent::Lost(partitions) => {
                warn!(stage = self.name(), partitions = %list(partitions.iter()), "lost");
                Counter::StageRebalances.increment(&[self.name(), "lost"]);
                if sabotaged(Sabotage::EpochCheckOff) {
                    return Ok(());
                }
                self.lanes.forget(|partition| partitions.contains(partition));
                for partition in &partitions {
                    self.forget(partition);
                }
                self.share_out();
            }
            MemberEvent::Failed(error) => return Err(error),
        }
        Ok(())
    }

    fn on_record(&mut self, record: Record, epoch: Epoch) {
        let held = Held::of(&record);
        let partition = record.partition_id();
        let leaving = self.stopping || self.drains.iter().any(|drain| drain.contains(&partition));
        let seen = if leaving { None } else { self.partitions.see(record, epoch, Instant::now()) };
        let Some(delivery) = seen else { return self.context.intake.release([(&*partition.topic, held)]) };
        match self.partitions.hold_back(delivery, epoch) {
            Some(delivery) => self.lanes.push(Lane::of(&delivery.record, epoch), delivery),
            None => self.commit_now(),
        }
    }

    fn start_work(&mut self) {
        for (delivery, epoch) in self.partitions.admit() {
            self.lanes.push(Lane::of(&delivery.record, epoch), delivery);
        }
        while let Some((lane, delivery)) = self.lanes.next() {
            self.partitions.start(&lane.partition, lane.epoch);
            let context = Arc::clone(&self.context);
            let alone = self.partitions.is_alone(&delivery.record, lane.epoch);
            self.working.spawn(async move {
                let began = Instant::now();
                let finish = if alone { context.drive_alone(&delivery).await } else { context.drive(&delivery).await };
                pass_async(Point::HoldCompletion).await;
                Histogram::StageProcessSeconds.record(began.elapsed().as_secs_f64(), &[&context.config.name]);
                Worked { lane, delivery, finish }
            });
        }
    }

    fn on_joined(&mut self, worked: Result<Worked, JoinError>) -> Result<(), FlowError> {
        self.on_worked(worked.map_err(|ended| FlowError::Internal { detail: ended.to_string() })?)
    }

    fn on_worked(&mut self, worked: Worked) -> Result<(), FlowError> {
        let Worked { lane, delivery, finish } = worked;
        let epoch = lane.epoch;
        let wanted = self.partitions.end(&lane.partition, epoch);
        self.lanes.done(lane);
        if !wanted {
            let position = delivery.record.position();
            debug!(stage = self.name(), %position, "finished too late: its partition went");
            return Ok(());
        }
        let (outputs, result, rejected) = match finish? {
            Finish::Published(outputs) => (outputs, "published", None),
            Finish::Requeued(outputs) => (outputs, "requeued", None),
            Finish::Rejected(outputs, code) => (outputs, "rejected", Some(code)),
            Finish::Abandoned => return Ok(()),
        };
        Counter::StageRecords.increment(&[self.name(), result]);
        if let Some(code) = rejected {
            Counter::StageDeadLetters.increment(&[self.name(), code]);
        }
        if let Some(tripped) = self.breaker.note(rejected.is_some()) {
            return Err(FlowError::RejectBreaker {
                stage: self.name().to_owned(),
                rejected: tripped.rejected,
                of: tripped.of,
                last_code: rejected.unwrap_or_default(),
            });
        }
        if let Some(bytes) = self.partitions.finish(&delivery, epoch, outputs, rejected.is_some()) {
            let record = &delivery.record;
            self.context.intake.take(&record.topic, Held::outputs(bytes));
            self.finished = self.finished.and(Held::of(record)).and(Held::outputs(bytes));
            // There is no point in waiting for more where nothing more comes in before a commit.
            let at_once = self.partitions.is_alone(record, epoch) || self.context.intake.is_shut(&record.topic);
            self.commit_soon(at_once);
        }
        Ok(())
    }

    /// Unless the last try was aborted and its pause is not over.
    fn commit_now(&mut self) {
        if self.aborts == 0 {
            self.commit_due = Some(Instant::now());
        }
    }

    fn commit_soon(&mut self, at_once: bool) {
        let now = Instant::now();
        let due = *self.commit_due.get_or_insert(now + self.context.config.commit_interval);
        // Not before its time after an abort.
        if (at_once || self.is_full()) && self.aborts == 0 {
            self.commit_due = Some(due.min(now));
        }
    }

    /// Whether there is enough for a transaction.
    fn is_full(&self) -> bool {
        // Outputs are about as large as the records that they come of.
        self.finished.records >= TRANSACTION_LIMIT.records || self.finished.bytes >= 2 * TRANSACTION_LIMIT.bytes
    }

    fn commit_if_due(&mut self) {
        if self.committing.is_some() || self.commit_due.is_none_or(|due| Instant::now() < due) {
            return;
        }
        self.commit_due = None;
        let records = if self.one_by_one > 0 { 1 } else { TRANSACTION_LIMIT.records };
        let limit = TransactionLimit { records, ..TRANSACTION_LIMIT };
        let Some(transaction) = self.partitions.lend(limit) else {
            // The pause is over, and what was aborted went with its partition: the next commit waits for nothing.
            self.aborts = 0;
            return;
        };
        self.records_lent = transaction.parts.iter().map(|part| part.outputs.len()).sum();
        let lent = transaction.parts.iter().map(|part| (part.partition.clone(), part.epoch)).collect();
        let committer = Arc::clone(&self.committer);
        let result = AbortOnDropHandle::new(tokio::spawn(async move { committer.commit(transaction).await }));
        self.committing = Some(Committing { lent, began: Instant::now(), result });
    }

    fn on_committed(&mut self, Committed { lent, began, left_out }: Committed) -> Result<(), FlowError> {
        match left_out {
            Ok(left_out) => {
                self.aborts = 0;
                self.one_by_one = self.one_by_one.saturating_sub(1);
                Counter::StageCommits.increment(&[self.name(), "committed"]);
                Histogram::StageCommitSeconds.record(began.elapsed().as_secs_f64(), &[self.name()]);
                let done = self.partitions.confirm(&lent, &left_out);
                self.context.intake.release(done.iter().map(|(partition, held)| (&*partition.topic, *held)));
                self.finished = done.into_iter().fold(self.finished, |left, (_, held)| left.less(held));
                if self.partitions.any_ready(self.partitions.ids()) {
                    let shut = self.partitions.ids().filter(|id| self.context.intake.is_shut(&id.topic));
                    let at_once = self.one_by_one > 0 || self.is_full() || self.partitions.any_ready(shut);
                    let pause = if at_once { Duration::ZERO } else { self.context.config.commit_interval };
                    let next = began + pause;
                    self.commit_due = Some(self.commit_due.map_or(next, |due| due.min(next)));
                }
                Ok(())
            }
            Err(error) => self.on_aborted(&lent, error),
        }
    }

    fn on_aborted(&mut self, lent: &[(PartitionId, Epoch)], error: FlowError) -> Result<(), FlowError> {
        Counter::StageCommits.increment(&[self.name(), "aborted"]);
        warn!(stage = self.name(), code = error.code(), %error, "a transaction was aborted");
        match error.class() {
            Class::Fatal => return Err(error),
            Class::Retry => self.aborts += 1,
            // The log does not say whose output it refuses: found out by committing one record at a time.
            Class::Reject if self.records_lent > 1 => self.one_by_one = self.partitions.lent(),
            // Its partition went on the way.
            Class::Reject if self.partitions.lent() == 0 => self.one_by_one = 0,
            Class::Reject => {
                self.one_by_one = 0;
                let Some((delivery, epoch, bytes)) = self.partitions.reopen() else { return Err(error) };
                self.context.intake.release([(&*delivery.record.topic, Held::outputs(bytes))]);
                self.reject_refused(delivery, epoch, &error);
            }
        }
        self.partitions.abort(lent);
        let pause = match self.aborts {
            0 => Duration::ZERO,
            aborts => wait(aborts, None, &self.context.config, rand::random()).min(JOIN_BACKOFF),
        };
        self.commit_due = Some(Instant::now() + pause);
        Ok(())
    }

    /// The log can never take what this record led to: it ends as a dead letter instead.
    fn reject_refused(&mut self, delivery: Arc<Delivery>, epoch: Epoch, error: &FlowError) {
        // Its turn in its lane was over before: another of its key may be in process.
        let lane = Lane::beside(&delivery.record, epoch);
        let code = if let FlowError::RecordTooLarge { .. } = error { OUTPUT_TOO_LARGE } else { OUTPUT_REFUSED };
        let rejection = Rejection::new(code, error.to_string());
        self.lanes.begin(&lane);
        self.partitions.start(&lane.partition, epoch);
        let context = Arc::clone(&self.context);
        self.working.spawn(async move {
            let finish = context.reject(&delivery, rejection).await;
            Worked { lane, delivery, finish }
        });
    }

    /// Begins the last drain.
    fn stop(&mut self) {
        info!(stage = self.name(), in_process = self.working.len(), "stopping: draining");
        self.stopping = true;
        self.context.intake.hold(true);
        self.lanes.forget(|_| true);
        let deadline = Instant::now() + self.context.config.drain_budget;
        let owned: Vec<PartitionId> = self.partitions.ids().cloned().collect();
        self.partitions.leave(&owned);
        self.drains.push(Drain::new(owned, deadline, None));
    }

    /// Moves the drains on; `true` when the last one is over.
    fn drain(&mut self) -> bool {
        if self.committing.is_some() {
            return false;
        }
        let now = Instant::now();
        let mut drains = std::mem::take(&mut self.drains);
        drains.retain_mut(|drain| match drain.next(&mut self.partitions, now) {
            Next::Wait => true,
            Next::Commit => {
                self.commit_now();
                true
            }
            Next::LastCommit => {
                self.commit_due = Some(now);
                true
            }
            Next::Over => {
                for partition in drain.partitions() {
                    self.forget(partition);
                }
                self.share_out();
                false
            }
        });
        self.drains = drains;
        self.stopping && self.drains.is_empty()
    }

    /// Whether the last drain is over its time and still waits for its commit, since the log does not answer: whether
    /// that is committed the log will tell whoever comes next.
    fn out_of_time(&self) -> bool {
        let patience = |drain: &Drain| Instant::now() >= drain.deadline() + CLOSE_DEADLINE;
        let late = self.stopping && self.committing.is_some() && self.drains.iter().all(patience);
        if late {
            warn!(stage = self.name(), "the last commit does not end: left to the log");
        }
        late
    }

    fn forget(&mut self, partition: &PartitionId) {
        let held = self.partitions.remove(partition);
        self.context.intake.release([(&*partition.topic, held)]);
        self.finished = Held::default();
    }

    /// Tells who shares by topics of how many there are partitions.
    fn share_out(&mut self) {
        let topics = self.partitions.topics();
        self.lanes.share_among(topics);
        self.context.intake.share_among(topics);
    }

    /// The next moment at which something may be due although nothing happened.
    fn next_wake(&self) -> Instant {
        let due = if self.committing.is_none() { self.commit_due } else { None };
        let drains = self.drains.iter().map(Drain::deadline).filter(|_| self.committing.is_none());
        due.into_iter().chain(drains).min().unwrap_or_else(|| Instant::now() + REPORT_INTERVAL)
    }

    fn report(&mut self) {
        let Held { records, .. } = self.context.intake.holding();
        let oldest = self.partitions.oldest_open().map_or(0.0, |since| since.elapsed().as_secs_f64());
        Gauge::StageInFlight.set(records as f64, &[self.name()]);
        Gauge::StageOldestIncompleteSeconds.set(oldest, &[self.name()]);
        Gauge::StagePaused.set(f64::from(u8::from(self.context.intake.is_suspended())), &[self.name()]);
        if self.reports.is_multiple_of(REPORTS_PER_LAG) {
            // One that is still out is given up.
            let owned = self.partitions.ids().cloned().collect();
            self.measuring_lag = Some(lag::measure(Arc::clone(&self.log), Arc::clone(&self.context), owned));
        }
        self.reports += 1;
    }
}

fn list<'a>(partitions: impl Iterator<Item = &'a PartitionId>) -> String {
    partitions.map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
