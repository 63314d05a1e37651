//! How many documents wait for each tier, and which goes next when there is room.
//!
//! A tier's topic is first in, first out: a tenant that has filled it delays everybody else. So at
//! most `max_backlog` documents wait in the topic, and the others wait in their tenants' own
//! topics, `documents.<tenant>`. A first assignment requests a place in its tier's topic here.
//! Without room the document waits in its tenant's queue ([`TenantQueues`]), inside of
//! [`Processor::process`](precis_flow::Processor::process): an error would suspend the whole
//! intake. The queues are never longer than the stage's window.
//!
//! What holds:
//! - escalations never wait here: they were admitted once;
//! - a waiting document is decided anew when its tier is switched off, when its policy is replaced,
//!   and when its deadline passes;
//! - a tier is limited by its last measurement ([`TopicDepth`]), and a measurement that fails
//!   changes nothing. A tier that was never measured is not limited. A tier whose workers make no
//!   progress admits as many documents again every minute, so that nothing waits for ever behind
//!   documents that nobody works off;
//! - each router limits by its own measurements and the documents that it admitted itself: with
//!   several routers, at worst as many times `max_backlog` come to wait.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use precis_base::lock::locked;
use precis_flow::{FlowError, PartitionLag};
use precis_pipeline::{EffectivePolicy, now_ms};
use precis_policy::{Place, Policy, Quota, TenantQueues};
use precis_telemetry::metrics::{Gauge, Histogram};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use depth::TopicDepth;

mod depth;

/// Interval between two measurements of a tier for which documents wait, or to which many go.
pub(crate) const MEASURE_INTERVAL: Duration = Duration::from_millis(250);
/// Longest interval between two measurements of any tier, since other routers fill its topic too.
const IDLE_MEASURE_INTERVAL: Duration = Duration::from_secs(5);

/// A document's request for a place in a tier's topic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueRequest<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) tier: &'a str,
    /// Its place among the documents of its tenant.
    pub(crate) place: Place,
    /// Until when the document may wait, Unix milliseconds. `None`: without end.
    pub(crate) until_ms: Option<i64>,
}

/// How a document's wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The document goes to the tier.
    Admitted,
    /// The document has to be decided again.
    DecideAgain,
    /// The stage drains: the document is left to the next owner of its partition.
    Withdrawn,
}

/// The queues of all tiers.
#[derive(Debug, Default)]
pub(crate) struct Backlog(Mutex<BacklogState>);

#[derive(Debug, Default)]
struct BacklogState {
    queues: BTreeMap<String, TierQueue>,
    quotas: BTreeMap<String, Quota>,
}

#[derive(Debug, Default)]
struct TierQueue {
    depth: TopicDepth,
    waiting: TenantQueues<WaitingDocument>,
}

/// A document that waits. Its sender tells it to go; a sender that is dropped tells it to be
/// decided anew.
#[derive(Debug)]
struct WaitingDocument {
    admitted: oneshot::Sender<()>,
    /// What it counts for in its tenant's quota.
    cost: u32,
    policy_digest: String,
}

impl Backlog {
    /// Whether the tier has room for one more document at once; a tenant's quota is not considered.
    pub(crate) fn has_room(&self, policy: &Policy, tier: &str) -> bool {
        let mut state = self.lock();
        let queue = state.queue(tier);
        queue.waiting.is_empty() && queue.room(policy, tier, Instant::now()) > 0
    }

    /// Waits for a place in the tier's topic, at most until the document's deadline or until the
    /// wait is `withdrawn`.
    pub(crate) async fn enter(
        &self,
        effective: &EffectivePolicy,
        request: QueueRequest<'_>,
        withdrawn: &CancellationToken,
    ) -> Wait {
        let Some(mut told) = self.try_enter(effective, request) else { return Wait::Admitted };
        let began = Instant::now();
        let left_ms = request.until_ms.map(|until_ms| u64::try_from(until_ms.saturating_sub(now_ms())).unwrap_or(0));
        let late = async {
            match left_ms {
                // One millisecond more: a document at its deadline is in time, and late only after
                // it.
                Some(left_ms) => tokio::time::sleep(Duration::from_millis(left_ms.saturating_add(1))).await,
                None => std::future::pending().await,
            }
        };
        let wait = tokio::select! {
            biased;
            admitted = &mut told => if admitted.is_ok() { Wait::Admitted } else { Wait::DecideAgain },
            () = withdrawn.cancelled() => Wait::Withdrawn,
            () = late => Wait::DecideAgain,
        };
        Histogram::RouterWaitSeconds.record(began.elapsed().as_secs_f64(), &[request.tier]);
        wait
    }

    /// Takes a place at once (`None`), or queues the document and returns the receiver that tells
    /// it to go.
    fn try_enter(&self, effective: &EffectivePolicy, request: QueueRequest<'_>) -> Option<oneshot::Receiver<()>> {
        let (policy, now) = (&*effective.policy, Instant::now());
        let tenant = policy.tenant(request.tenant);
        let mut state = self.lock();
        let queue = state.queue(request.tier);
        if tenant.documents_per_minute.is_none()
            && queue.waiting.is_empty()
            && queue.room(policy, request.tier, now) > 0
        {
            queue.depth.admit(now);
            return None;
        }
        let (admitted, mut told) = oneshot::channel();
        let waiting = WaitingDocument { admitted, cost: request.place.cost, policy_digest: effective.digest.clone() };
        queue.waiting.push(request.tenant, tenant.weight, request.place, waiting);
        state.serve(policy, request.tier, now);
        match told.try_recv() {
            Ok(()) => None,
            Err(_) => Some(told),
        }
    }

    /// Whether the tier should be measured now.
    pub(crate) fn is_due(&self, policy: &Policy, tier: &str) -> bool {
        let Some(max_backlog) = max_backlog(policy, tier) else { return false };
        let mut state = self.lock();
        let queue = state.queue(tier);
        !queue.waiting.is_empty()
            || queue.depth.admitted_more_than(max_backlog / 4)
            || queue.depth.age().is_none_or(|age| age >= IDLE_MEASURE_INTERVAL)
    }

    /// Records a measurement, begun at `started_at`: how far the tier's workers are behind in each
    /// partition of its topic.
    pub(crate) fn measured(
        &self,
        policy: &Policy,
        tier: &str,
        lags: &Result<Vec<PartitionLag>, FlowError>,
        started_at: Instant,
    ) {
        let Some(max_backlog) = max_backlog(policy, tier) else { return };
        let known = lags.as_deref().ok();
        let is_news = self.lock().queue(tier).depth.measured(known, max_backlog, started_at, Instant::now());
        if let Err(error) = lags
            && is_news
        {
            tracing::warn!(tier, code = error.code(), %error, "cannot measure how many documents wait for a tier; the last measurement holds");
        }
    }

    /// Admits documents where there is room, and sends away those that wait under rules that no
    /// longer hold. Returns each tier's room in documents, infinite for no limit.
    pub(crate) fn serve(&self, effective: &EffectivePolicy) -> Vec<(String, f64)> {
        let (policy, now) = (&*effective.policy, Instant::now());
        let mut state = self.lock();
        let tiers: Vec<String> = state.queues.keys().cloned().collect();
        for tier in tiers {
            let open = policy.tier(&tier).is_some_and(|known| known.enabled) && effective.switches.get(&tier).is_none();
            let waits = |waiting: &WaitingDocument| {
                open && !waiting.admitted.is_closed() && waiting.policy_digest == effective.digest
            };
            state.queue(&tier).waiting.retain(waits);
            state.serve(policy, &tier, now);
            let queue = state.queue(&tier);
            Gauge::TierBacklog.set(queue.depth.lag() as f64, &[&tier]);
            Gauge::TierStuckSeconds.set(queue.depth.stuck_for(now).as_secs_f64(), &[&tier]);
            Gauge::RouterWaiting.set(queue.waiting.len() as f64, &[&tier]);
            Gauge::RouterWaitingTenants.set(queue.waiting.tenants() as f64, &[&tier]);
        }
        let room = |tier: &str| match state.queue(tier).room(policy, tier, now) {
            u64::MAX => f64::INFINITY,
            documents => documents as f64,
        };
        policy.tier_names().map(str::to_owned).zip(policy.tier_names().map(room)).collect()
    }

    /// Number of documents that wait for a tier.
    #[cfg(test)]
    pub(crate) fn waiting(&self, tier: &str) -> usize {
        self.lock().queue(tier).waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, BacklogState> {
        locked(&self.0)
    }
}

impl BacklogState {
    fn queue(&mut self, tier: &str) -> &mut TierQueue {
        if !self.queues.contains_key(tier) {
            self.queues.insert(tier.to_owned(), TierQueue::default());
        }
        self.queues.get_mut(tier).expect("the queue was there or has just been inserted")
    }

    /// Admits as many documents as the tier has room for, of tenants within their quotas.
    fn serve(&mut self, policy: &Policy, tier: &str, now: Instant) {
        let Self { queues, quotas } = self;
        let Some(queue) = queues.get_mut(tier) else { return };
        let now_ms = now_ms();
        while queue.room(policy, tier, now) > 0 {
            let may = |tenant: &str| match policy.tenant(tenant).documents_per_minute {
                None => true,
                Some(rate) => {
                    quotas.entry(tenant.to_owned()).or_insert_with(|| Quota::new(rate, now_ms)).allows(rate, now_ms)
                }
            };
            let Some((tenant, waiting)) = queue.waiting.pop(may) else { return };
            // A document that does not wait any more takes no place.
            if waiting.admitted.send(()).is_ok() {
                queue.depth.admit(now);
                if policy.tenant(&tenant).documents_per_minute.is_some()
                    && let Some(quota) = quotas.get_mut(&tenant)
                {
                    quota.take(waiting.cost);
                }
            }
        }
    }
}

impl TierQueue {
    fn room(&self, policy: &Policy, tier: &str, now: Instant) -> u64 {
        max_backlog(policy, tier).map_or(u64::MAX, |max_backlog| self.depth.room(max_backlog, now))
    }
}

/// The tier's limit in documents, if it has one.
fn max_backlog(policy: &Policy, tier: &str) -> Option<u64> {
    let tier = policy.tier(tier).filter(|tier| tier.kind.has_workers())?;
    Some(tier.max_backlog).filter(|max_backlog| *max_backlog > 0)
}

#[cfg(test)]
mod tests;
