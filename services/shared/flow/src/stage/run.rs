//! The stage's loop: one task that owns the machine, so that nothing needs a lock. It brings the
//! machine events and carries its commands out; records and commits run beside it and report back.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use precis_chaos::{Point, pass_async};
use precis_telemetry::Component;
use precis_telemetry::metrics::Histogram;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::STALL_TIMEOUT;
use super::committing::Committing;
use super::config::StageConfig;
use super::live::{Deliveries, Live};
use super::machine::{Command, Event, KeyQueue, Machine, Mode, Rules, Settings, TransactionLimit};
use super::processor::{Delivery, Processor};
use super::report::{self, Reports};
use super::retry::Backoff;
use super::sender_faults::SenderFaults;
use super::work::Context;
use crate::error::FlowError;
use crate::log::Log;
use crate::member::{Committer, Heartbeat, Intake, Load, MemberEvent};

/// Bounds one transaction: readers of committed records wait behind an open one.
const TRANSACTION_LIMIT: TransactionLimit = TransactionLimit { records: 4_000, bytes: 16 * 1024 * 1024 };
/// Events that are handled in one turn: they share what a turn costs, and finished work does not
/// wait long.
const MAX_EVENTS_PER_TURN: usize = 256;
/// How long leaving the group may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often gauges are set and liveness is told.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// A stage that has joined its group.
pub(super) struct Stage {
    context: Arc<Context>,
    committer: Arc<dyn Committer>,
    machine: Machine<Live>,
    /// The commands of one event. Empty between events; kept for its allocation.
    commands: Vec<Command<Live>>,
    deliveries: Deliveries,
    tasks: JoinSet<Event<Live>>,
    committing: Option<Committing>,
    reports: Reports,
}

impl Stage {
    pub(super) fn new(
        log: Arc<dyn Log>,
        config: StageConfig,
        processor: Arc<dyn Processor>,
        intake: Arc<Intake>,
        committer: Arc<dyn Committer>,
    ) -> Self {
        let settings = Settings {
            max_in_flight: config.max_in_flight,
            transaction_limit: TRANSACTION_LIMIT,
            commit_interval: config.commit_interval,
            backoff: Backoff::of(&config),
            drain_budget: config.drain_budget,
            reject_breaker: config.reject_breaker,
            is_of_one_sender: config.is_of_one_sender,
        };
        Self {
            context: Arc::new(Context { config, processor, intake, sender_faults: SenderFaults::default() }),
            committer,
            machine: Machine::new(settings, Rules::in_force()),
            commands: Vec::new(),
            deliveries: Deliveries::default(),
            tasks: JoinSet::new(),
            committing: None,
            reports: Reports::new(log),
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
        let result = self.event_loop(&mut events, component, heartbeat, shutdown).await;
        // First, so that a revocation that leaving brings about waits for nobody.
        drop(events);
        self.tasks.abort_all();
        self.committer.close(CLOSE_TIMEOUT).await;
        self.committing = None;
        self.report();
        report::pauses_forgotten(self.name(), self.machine.paused_topics());
        if let Err(error) = &result {
            tracing::error!(stage = self.name(), code = error.code(), %error, "stopped");
        }
        result
    }

    async fn event_loop(
        &mut self,
        events: &mut UnboundedReceiver<MemberEvent>,
        component: &Component,
        heartbeat: &Heartbeat,
        shutdown: &CancellationToken,
    ) -> Result<(), FlowError> {
        let mut reports = tokio::time::interval(REPORT_INTERVAL);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let context = Arc::clone(&self.context);
        loop {
            while let Some(ended) = self.tasks.try_join_next() {
                self.on_task_end(ended)?;
            }
            self.on(Event::Timer)?;
            if self.turn()?.is_break() {
                return Ok(());
            }
            let timer = self.machine.next_timer().unwrap_or_else(|| Instant::now() + REPORT_INTERVAL);
            tokio::select! {
                biased;
                _ = reports.tick() => {
                    if heartbeat.age() < STALL_TIMEOUT {
                        component.tick();
                    }
                    self.report();
                }
                () = shutdown.cancelled(), if !self.machine.is_stopping() => {
                    info!(stage = self.name(), in_process = self.tasks.len(), "stopping: draining");
                    self.on(Event::Stop)?;
                }
                event = events.recv() => {
                    self.on_member_event(event.ok_or(FlowError::Closed)?, component)?;
                    for _ in 1..MAX_EVENTS_PER_TURN {
                        let Ok(event) = events.try_recv() else { break };
                        self.on_member_event(event, component)?;
                    }
                }
                ended = Committing::end(&mut self.committing, &context.config.name) => self.on(ended)?,
                Some(ended) = self.tasks.join_next() => self.on_task_end(ended)?,
                () = tokio::time::sleep_until(timer) => {}
            }
        }
    }

    fn name(&self) -> &str {
        &self.context.config.name
    }

    fn report(&mut self) {
        let commit_age = self.committing.as_ref().map(Committing::age).unwrap_or_default();
        self.reports.report(&self.context, &self.machine, commit_age);
    }

    fn on_member_event(&mut self, event: MemberEvent, component: &Component) -> Result<(), FlowError> {
        report::member_event(self.name(), &event);
        match event {
            MemberEvent::Record { record, epoch } => {
                let foreign = self.context.config.return_topic(&record.topic).is_some();
                let record = self.deliveries.deliver(record, foreign);
                self.on(Event::Record { record, epoch })
            }
            MemberEvent::Assigned(assignments) => {
                self.on(Event::Assigned(assignments))?;
                component.set_ready();
                Ok(())
            }
            MemberEvent::Revoking { partitions, guard } => self.on(Event::Revoking { partitions, guard }),
            MemberEvent::Lost(partitions) => self.on(Event::Lost(partitions)),
            MemberEvent::Failed(error) => Err(error),
        }
    }

    fn on_task_end(&mut self, ended: Result<Event<Live>, JoinError>) -> Result<(), FlowError> {
        self.on(ended.map_err(|ended| FlowError::Internal { detail: ended.to_string() })?)
    }

    fn on(&mut self, event: Event<Live>) -> Result<(), FlowError> {
        self.machine.on(event, Instant::now(), &mut self.commands);
        self.carry_out()
    }

    fn turn(&mut self) -> Result<ControlFlow<()>, FlowError> {
        let intake = &self.context.intake;
        let flow = self.machine.turn(Instant::now(), &|topic| intake.is_shut(topic), &mut self.commands);
        self.carry_out()?;
        if flow.is_break() && self.machine.is_committing() {
            warn!(stage = self.name(), "the last commit does not end: left to the log");
        }
        Ok(flow)
    }

    /// Carries out the commands of one event.
    fn carry_out(&mut self) -> Result<(), FlowError> {
        let mut commands = std::mem::take(&mut self.commands);
        let result = commands.drain(..).try_for_each(|command| self.execute(command));
        self.commands = commands;
        result
    }

    fn execute(&mut self, command: Command<Live>) -> Result<(), FlowError> {
        let intake = &self.context.intake;
        match command {
            Command::Start { queue, record, mode } => self.start(queue, record, mode),
            Command::BeginCommit(transaction) => {
                self.committing = Some(Committing::begin(Arc::clone(&self.committer), transaction));
            }
            Command::Finished { topic, bytes, outcome } => {
                report::finished(self.name(), &outcome);
                intake.take(&topic, Load::outputs(bytes));
            }
            Command::Release(loads) => intake.release(loads.iter().map(|(id, load)| (&*id.topic, *load))),
            Command::ShareAmong(topics) => intake.share_among(topics),
            Command::CloseIntake => intake.hold(true),
            Command::PauseTopic { topic, pause } => {
                intake.pause_topic(&topic);
                report::topic_paused(self.name(), &topic, &pause);
            }
            Command::ProbeTopic(topic) => {
                intake.resume_topic(&topic);
                info!(stage = self.name(), topic = &*topic, "the pause of a topic is over: some of it is tried");
            }
            Command::ResumeTopic(topic) => {
                intake.resume_topic(&topic);
                report::topic_resumed(self.name(), &topic);
            }
            Command::Want(partition) => self.deliveries.want(partition),
            Command::StopWaiting(partition) => self.deliveries.stop_waiting(&partition),
            Command::Unwant(partition) => self.deliveries.unwant(&partition),
            Command::DropResult(delivery) => {
                let position = delivery.record.position();
                debug!(stage = self.name(), %position, "finished too late: its partition went");
            }
            Command::AcknowledgeRevoke(guard) => drop(guard),
            Command::Fail(error) => return Err(error),
        }
        Ok(())
    }

    /// Processes a record in a task of its own.
    fn start(&mut self, queue: KeyQueue, record: Arc<Delivery>, mode: Mode<FlowError>) {
        let context = Arc::clone(&self.context);
        self.tasks.spawn(async move {
            let ending = match mode {
                Mode::Reject(error) => context.reject_refused(&record, &error).await,
                Mode::Together | Mode::Alone => {
                    let began = Instant::now();
                    let alone = matches!(mode, Mode::Alone);
                    let ending = if alone { context.drive_alone(&record).await } else { context.drive(&record).await };
                    pass_async(Point::HoldCompletion).await;
                    let seconds = began.elapsed().as_secs_f64();
                    Histogram::StageProcessSeconds.record(seconds, &[&context.config.name]);
                    ending
                }
            };
            Event::Processed { queue, record, ending: ending.into() }
        });
    }
}

#[cfg(test)]
mod tests;
