//! The controller as a service: follows outcomes and what judges say of them, shows both as
//! metrics, tells of a fall.
//!
//! What it knows is a view of the topics `summaries` and `evaluations`, made anew at each start:
//! several controllers may run and show the same. It writes no topic. Metrics are by tier alone,
//! since whoever publishes chooses types and languages; the groups that alarms are of may be finer.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use precis_flow::{FlowError, Log, ReadStart, Reader, Record};
use precis_pipeline::settle::REPEAT_HEADER;
use precis_pipeline::{Runtime, now_ms, topics};
use precis_schemas::{Evaluation, codec};
use precis_telemetry::Component;
use precis_telemetry::metrics::{Counter, Gauge};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::calendar::Hour;
use crate::report::{Group, Report, Windows, report};
use crate::settings::ControllerSettings;
use crate::view::{Axis, View};

mod event;
mod webhook;

pub use event::{ALARM_HOURS, QualityFell};
pub use webhook::{SECRET_VARIABLE, Told, Webhook};

/// How long one read waits for a record.
const READ_TIMEOUT: Duration = Duration::from_millis(500);
/// How long the loop may be silent before its process is taken to hang.
const STALL_AFTER: Duration = Duration::from_secs(120);

/// Every cause that a fall may have, as a label.
const CAUSES: [&str; 7] = ["input", "prompt", "model", "provider", "judge", "several", "unknown"];

/// Runs the controller until `shutdown`.
///
/// # Errors
/// The log's; a webhook that cannot be used.
pub async fn run(runtime: &Runtime, settings: ControllerSettings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let component = runtime.health.register("quality", STALL_AFTER);
    let webhook = Webhook::of(&settings.webhook, runtime.store.clone())?.map(Arc::new);
    let readers = Readers::open(&*runtime.log).await?;
    let (view, judged, hashes) = (View::default(), HashSet::new(), RandomState::new());
    let mut controller = Controller { settings, component, webhook, view, judged, hashes, telling: None };
    let ended = controller.follow(readers, &shutdown).await;
    controller.component.finish();
    ended
}

/// What is followed.
struct Readers {
    outcomes: Box<dyn Reader>,
    /// `None` in a deployment that is older than the topic.
    evaluations: Option<Box<dyn Reader>>,
}

impl Readers {
    async fn open(log: &dyn Log) -> anyhow::Result<Self> {
        let outcomes = log.reader(topics::SUMMARIES, ReadStart::Beginning).await;
        let outcomes = outcomes.with_context(|| format!("topic {} cannot be read", topics::SUMMARIES))?;
        let evaluations = match log.reader(topics::EVALUATIONS, ReadStart::Beginning).await {
            Err(FlowError::UnknownTopic { .. }) => None,
            reader => Some(reader.with_context(|| format!("topic {} cannot be read", topics::EVALUATIONS))?),
        };
        Ok(Self { outcomes, evaluations })
    }

    fn caught_up(&self) -> bool {
        self.outcomes.caught_up() && self.evaluations.as_ref().is_none_or(|reader| reader.caught_up())
    }

    /// The next record of either; dropping the future loses nothing.
    async fn next(&mut self) -> Result<Option<Record>, FlowError> {
        let Some(evaluations) = &mut self.evaluations else { return self.outcomes.next(READ_TIMEOUT).await };
        tokio::select! {
            record = self.outcomes.next(READ_TIMEOUT) => record,
            record = evaluations.next(READ_TIMEOUT) => record,
        }
    }
}

struct Controller {
    settings: ControllerSettings,
    component: Component,
    webhook: Option<Arc<Webhook>>,
    view: View,
    /// Hashes of the document and round of each evaluation: one whose request is delivered again
    /// may be published once more.
    judged: HashSet<u64>,
    hashes: RandomState,
    /// The alarms that are being told, one round at a time.
    telling: Option<AbortOnDropHandle<()>>,
}

impl Controller {
    async fn follow(&mut self, mut readers: Readers, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let mut rounds = tokio::time::interval(Duration::from_millis(self.settings.interval_ms));
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shown = false;
        loop {
            self.component.tick();
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                _ = rounds.tick(), if readers.caught_up() => self.round(),
                record = readers.next() => {
                    if let Some(record) = record.context("the topics cannot be followed")? {
                        self.add(&record);
                    }
                }
            }
            if !shown && readers.caught_up() {
                self.component.set_ready();
                self.round();
                shown = true;
            }
        }
    }

    /// Counts a record; one that cannot be read is left out, and told.
    fn add(&mut self, record: &Record) {
        let value = record.value.as_deref().unwrap_or_default();
        let counted = if &*record.topic == topics::EVALUATIONS {
            codec::decode(value).map(|evaluation| self.add_evaluation(&evaluation))
        } else if record.headers.get(REPEAT_HEADER).is_some() {
            // It was counted with its first record.
            Ok(())
        } else {
            codec::decode(value).map(|outcome| self.view.add(&outcome))
        };
        if let Err(error) = counted {
            Counter::QualityRecordsSkipped.increment(&[&record.topic]);
            tracing::warn!(position = %record.position(), code = error.code(), "a record is left out: {error}");
        }
    }

    fn add_evaluation(&mut self, evaluation: &Evaluation) {
        let Evaluation { tenant, document_id, revision, round, .. } = evaluation;
        if self.judged.insert(self.hashes.hash_one((tenant, document_id, revision, round))) {
            self.view.add_evaluation(evaluation);
        }
    }

    /// Shows what the view says now, and tells of new alarms.
    fn round(&mut self) {
        let now = Hour::of(now_ms());
        let windows = Windows::up_to(now.day(), self.settings.current_days, self.settings.baseline_days);
        show(&report(&self.view, &[Axis::Tier], &windows));
        let events = QualityFell::of(&report(&self.view, &self.settings.by, &windows), now);
        for cause in CAUSES {
            let groups = events.iter().filter(|event| event.cause == cause).count();
            Gauge::QualityFallenGroups.set(groups as f64, &[cause]);
        }
        for event in &events {
            tracing::warn!(
                group = event.group_name(),
                hour = %event.hour,
                since = %event.since,
                cause = event.cause,
                change = event.change,
                "the quality index fell"
            );
        }
        let Some(webhook) = self.webhook.clone() else { return };
        if events.is_empty() || self.telling.as_ref().is_some_and(|telling| !telling.is_finished()) {
            return;
        }
        self.telling = Some(AbortOnDropHandle::new(tokio::spawn(async move { tell(&webhook, &events).await })));
    }
}

async fn tell(webhook: &Webhook, events: &[QualityFell]) {
    for event in events {
        match webhook.tell(event).await {
            Ok(Told::Now) => Counter::QualityAlarmsSent.increment(&["sent"]),
            Ok(Told::NotYet) => Counter::QualityAlarmsSent.increment(&["failed"]),
            Ok(Told::Before) => {}
            Err(error) => tracing::warn!("an alarm waits for the object store: {error:#}"),
        }
    }
}

/// Sets the metrics of each tier.
fn show(report: &Report) {
    for group in &report.groups {
        let Some(tier) = group.by.get(&Axis::Tier) else { continue };
        figures(group, tier);
    }
}

fn figures(group: &Group, tier: &str) {
    let windows = [("current", Some(&group.current)), ("baseline", group.baseline.as_ref())];
    for (window, figures) in windows {
        let judged = figures.and_then(|figures| figures.judge.as_ref());
        if let Some(score) = judged.and_then(|judged| judged.score) {
            Gauge::QualityJudgeMean.set(score.mean, &[tier, window]);
            Gauge::QualityJudgeLow.set(score.interval.low, &[tier, window]);
            Gauge::QualityJudgeHigh.set(score.interval.high, &[tier, window]);
        }
        let Some(index) = figures.and_then(|figures| figures.index) else { continue };
        Gauge::QualityIndexMean.set(index.mean, &[tier, window]);
        if let Some(interval) = index.interval {
            Gauge::QualityIndexLow.set(interval.low, &[tier, window]);
            Gauge::QualityIndexHigh.set(interval.high, &[tier, window]);
        }
    }
    if let Some(change) = &group.change {
        Gauge::QualityChange.set(change.relative, &[tier]);
    }
    Gauge::QualityTestLevel.set(group.test.level, &[tier]);
}
