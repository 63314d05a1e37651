//! Where a document starts, and when: a first assignment, and its place in the tier's topic.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use precis_flow::{Delivery, FlowError, Log, PartitionId, PartitionLag};
use precis_pipeline::{Control, EffectivePolicy, PipelineError, now_ms, runtime, topics};
use precis_policy::{DocumentFacts, Eligibility, Exhausted, Place, gate};
use precis_schemas::{Decision, Document, Trial};
use precis_telemetry::metrics::Counter;
use tokio::time::Instant;

use crate::assign::{AssignInput, Assigner, Measured};
use crate::backlog::{Backlog, INTERVAL, QueueRequest, Wait};

/// First assignments of one router.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    assigner: Mutex<Assigner>,
    backlog: Backlog,
}

/// A document that no tier has seen.
pub(crate) struct NewDocument<'a> {
    pub(crate) delivery: &'a Delivery,
    pub(crate) tenant: &'a str,
    pub(crate) document: &'a Document,
    pub(crate) measured: &'a Measured,
}

/// What was decided, and under which rules.
pub(crate) struct Admitted {
    pub(crate) effective: EffectivePolicy,
    pub(crate) gate: Eligibility,
    pub(crate) chosen: Result<Decision, Exhausted>,
}

impl Admission {
    /// Decides where a document starts and waits until it may go there.
    ///
    /// # Errors
    /// `waiting_ended` when the stage wants no more waiting.
    pub(crate) async fn first(
        &self,
        control: &Control,
        new_document: NewDocument<'_>,
    ) -> Result<Admitted, PipelineError> {
        let NewDocument { delivery, tenant, document, measured } = new_document;
        let facts = DocumentFacts::of(tenant, document);
        loop {
            // What holds now: it may have waited.
            let effective = control.effective();
            let policy = &*effective.policy;
            let gate = gate(policy, &effective.switches, &facts, &[]);
            let asked =
                AssignInput { gate: &gate, measured, tenant, document_id: &document.document_id, now_ms: now_ms() };
            let chosen = if policy.is_late(document.deadline, asked.now_ms) {
                Err(Exhausted::Late)
            } else {
                let has_room = |tier: &str| self.backlog.has_room(policy, tier);
                self.assigner().first(&effective, &asked, has_room).ok_or(Exhausted::NoTier)
            };
            let Ok(decision) = chosen else { return Ok(Admitted { effective, gate, chosen }) };
            let asks = QueueRequest {
                tenant,
                tier: &decision.chosen,
                place: Place {
                    partition: delivery.record.partition,
                    offset: delivery.record.offset,
                    priority: document.priority,
                },
                until_ms: policy.late_after(document.deadline),
            };
            match self.backlog.enter(&effective, asks, &delivery.draining).await {
                Wait::Admitted => {
                    Counter::RouterDocuments.increment(&[&decision.chosen, &decision.reason]);
                    return Ok(Admitted { effective, gate, chosen: Ok(decision) });
                }
                Wait::DecideAgain => {}
                Wait::Withdrawn => return Err(PipelineError::WaitingEnded { tier: decision.chosen }),
            }
        }
    }

    /// Takes note of a tier's refusal.
    pub(crate) fn refused(&self, tenant: &str, trial: &Trial) {
        self.assigner().refused(tenant, trial, now_ms());
    }

    /// Measures what waits for each tier and lets in who may go, for as long as it is polled.
    pub(crate) async fn follow(&self, log: Arc<dyn Log>, control: Arc<Control>) {
        loop {
            self.look(&*log, &control).await;
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// The same once.
    pub(crate) async fn look(&self, log: &dyn Log, control: &Control) {
        let policy = control.effective().policy;
        for tier in policy.tier_names().filter(|tier| self.backlog.is_due(&policy, tier)) {
            let asked = Instant::now();
            let lags = lags(log, tier).await;
            self.backlog.measured(&policy, tier, &lags, asked);
        }
        let effective = control.effective();
        let rooms = self.backlog.serve(&effective);
        let mut assigner = self.assigner();
        for (tier, documents) in rooms {
            assigner.has_room(&effective.policy, &tier, documents);
        }
    }

    fn assigner(&self) -> MutexGuard<'_, Assigner> {
        self.assigner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a tier's workers are behind in each partition of its topic. In one that none of them
/// began all that is there waits.
async fn lags(log: &dyn Log, tier: &str) -> Result<Vec<PartitionLag>, FlowError> {
    let topic = topics::work(tier);
    let mut lags = log.group_lag(&runtime::group(&topic)).await?;
    lags.retain(|lag| *lag.partition.topic == *topic);
    if lags.is_empty() {
        // Only until the first worker came: this asks about every topic there is.
        let status = log.topics().await?.into_iter().filter(|status| status.name == topic);
        let partitions = status.flat_map(|status| status.partitions);
        lags.extend(partitions.map(|found| PartitionLag {
            partition: PartitionId { topic: topic.as_str().into(), partition: found.partition },
            committed: found.low,
            end: found.high,
            lag: found.high - found.low,
        }));
    }
    Ok(lags)
}
