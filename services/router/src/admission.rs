//! A document's first assignment, and its wait for a place in the tier's topic.

use std::sync::{Arc, Mutex, MutexGuard};

use precis_base::lock::locked;
use precis_flow::{Delivery, FlowError, Log, PartitionId, PartitionLag};
use precis_pipeline::{Control, EffectivePolicy, PipelineError, now_ms, runtime, topics};
use precis_policy::{DocumentFacts, Eligibility, Exhausted, Place, cost_of, gate};
use precis_schemas::{Decision, Document, Trial};
use precis_telemetry::metrics::Counter;
use tokio::time::Instant;

use crate::assign::{AssignInput, Assigner, Measured};
use crate::backlog::{Backlog, MEASURE_INTERVAL, QueueRequest, Wait};

/// First assignments of one router.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    assigner: Mutex<Assigner>,
    backlog: Backlog,
}

/// A document that has been at no tier.
pub(crate) struct NewDocument<'a> {
    pub(crate) delivery: &'a Delivery,
    pub(crate) tenant: &'a str,
    pub(crate) document: &'a Document,
    pub(crate) measured: &'a Measured,
}

/// A decision, and the rules under which it was made.
pub(crate) struct Admitted {
    pub(crate) effective: EffectivePolicy,
    pub(crate) gate: Eligibility,
    pub(crate) chosen: Result<Decision, Exhausted>,
}

impl Admission {
    /// Decides where a document starts, and waits until it may go there.
    ///
    /// # Errors
    /// `waiting_ended` when the stage drains meanwhile.
    pub(crate) async fn first(
        &self,
        control: &Control,
        new_document: NewDocument<'_>,
    ) -> Result<Admitted, PipelineError> {
        let NewDocument { delivery, tenant, document, measured } = new_document;
        let facts = DocumentFacts::of(tenant, document);
        loop {
            // The rules of now: the document may have waited.
            let effective = control.effective();
            let policy = &*effective.policy;
            let gate = gate(policy, &effective.switches, &facts, &[]);
            let input =
                AssignInput { gate: &gate, measured, tenant, document_id: &document.document_id, now_ms: now_ms() };
            let chosen = if policy.is_late(document.deadline, input.now_ms) {
                Err(Exhausted::Late)
            } else {
                let has_room = |tier: &str| self.backlog.has_room(policy, tier);
                self.assigner().first(&effective, &input, has_room).ok_or(Exhausted::NoTier)
            };
            let Ok(decision) = chosen else { return Ok(Admitted { effective, gate, chosen }) };
            let request = QueueRequest {
                tenant,
                tier: &decision.chosen,
                place: Place {
                    partition: delivery.record.partition,
                    offset: delivery.record.offset,
                    priority: document.priority,
                    cost: cost_of(measured.tokens),
                },
                until_ms: policy.late_after(document.deadline),
            };
            match self.backlog.enter(&effective, request, &delivery.draining).await {
                Wait::Admitted => {
                    Counter::RouterDocuments.increment(&[&decision.chosen, &decision.reason]);
                    return Ok(Admitted { effective, gate, chosen: Ok(decision) });
                }
                Wait::DecideAgain => {}
                Wait::Withdrawn => return Err(PipelineError::WaitingEnded { tier: decision.chosen }),
            }
        }
    }

    /// Records a tier's refusal.
    pub(crate) fn refused(&self, tenant: &str, trial: &Trial) {
        self.assigner().refused(tenant, trial, now_ms());
    }

    /// Measures each tier and admits waiting documents, for as long as the future is polled.
    pub(crate) async fn follow(&self, log: Arc<dyn Log>, control: Arc<Control>) {
        loop {
            self.measure_and_serve(&*log, &control).await;
            tokio::time::sleep(MEASURE_INTERVAL).await;
        }
    }

    /// Measures each tier that is due, and admits the documents that it has room for.
    pub(crate) async fn measure_and_serve(&self, log: &dyn Log, control: &Control) {
        let policy = control.effective().policy;
        for tier in policy.tier_names().filter(|tier| self.backlog.is_due(&policy, tier)) {
            let started_at = Instant::now();
            let lags = lags(log, tier).await;
            self.backlog.measured(&policy, tier, &lags, started_at);
        }
        let effective = control.effective();
        let rooms = self.backlog.serve(&effective);
        let mut assigner = self.assigner();
        for (tier, documents) in rooms {
            assigner.take_room(&effective.policy, &tier, documents);
        }
    }

    /// Number of documents that wait for a tier.
    #[cfg(test)]
    pub(crate) fn waiting(&self, tier: &str) -> usize {
        self.backlog.waiting(tier)
    }

    fn assigner(&self) -> MutexGuard<'_, Assigner> {
        locked(&self.assigner)
    }
}

/// How far a tier's workers are behind in each partition of its topic. In a partition in which no
/// worker has begun, all records wait.
async fn lags(log: &dyn Log, tier: &str) -> Result<Vec<PartitionLag>, FlowError> {
    let topic = topics::work(tier);
    let mut lags = log.group_lag(&runtime::group(&topic)).await?;
    lags.retain(|lag| *lag.partition.topic == *topic);
    if lags.is_empty() {
        // Only until the first worker came, since this request covers every topic.
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
