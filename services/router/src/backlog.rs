//! How much waits for each tier, and who goes next when there is room.
//!
//! A tier's topic is first in, first out: whoever has filled it stands before everybody else. So no
//! more than `max_backlog` documents wait there, and those beyond wait in their tenants' own
//! topics, `documents.<tenant>`. A first assignment asks here for a place in its tier's topic.
//! Without room it waits in its tenant's lane, inside of
//! [`Processor::process`](precis_flow::Processor::process): an error would suspend the whole
//! intake. Lanes are as short as the stage's window, and what they are served by is [`Lanes`].
//!
//! What holds:
//! - escalations never ask: they were let in once;
//! - a document whose tier was switched off, or whose policy was replaced, while it waited is
//!   decided anew; one whose deadline passes, too;
//! - a tier is limited by what is known of it ([`Depth`]), which a measurement that fails leaves as
//!   it is: one that was never measured is not limited, and one whose workers get nowhere lets in
//!   as many again every minute, so that nothing waits for ever behind what nobody works off;
//! - each router limits by what it sees and what it let in itself: with several, as many times
//!   `max_backlog` may come to wait at worst.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use precis_flow::{FlowError, PartitionLag};
use precis_pipeline::{EffectivePolicy, now_ms};
use precis_policy::{Lanes, Place, Policy, Quota};
use precis_telemetry::metrics::{Gauge, Histogram};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use depth::Depth;

mod depth;

/// How often a tier is measured while it matters.
pub(crate) const INTERVAL: Duration = Duration::from_millis(250);
/// How often a tier is measured in any case: others fill its topic too.
const IDLE_INTERVAL: Duration = Duration::from_secs(5);

/// A document that wants to go to a tier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueRequest<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) tier: &'a str,
    /// Among the tenant's own.
    pub(crate) place: Place,
    /// Until when it wants to wait, Unix milliseconds.
    pub(crate) until_ms: Option<i64>,
}

/// How waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The document goes to the tier.
    Admitted,
    /// The document has to be decided again.
    DecideAgain,
    /// Nobody waits for it any more.
    Withdrawn,
}

/// The doors of all tiers.
#[derive(Debug, Default)]
pub(crate) struct Backlog(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    doors: BTreeMap<String, TierQueue>,
    quotas: BTreeMap<String, Quota>,
}

#[derive(Debug, Default)]
struct TierQueue {
    depth: Depth,
    lanes: Lanes<Waiting>,
}

/// Who waits. Dropped, it is told to be decided anew.
#[derive(Debug)]
struct Waiting {
    go: oneshot::Sender<()>,
    policy_digest: String,
}

impl Backlog {
    /// Whether a document that came now would go to the tier at once, as far as the tier is
    /// concerned.
    pub(crate) fn has_room(&self, policy: &Policy, tier: &str) -> bool {
        let mut state = self.lock();
        let door = state.door(tier);
        door.lanes.is_empty() && door.room(policy, tier, Instant::now()) > 0
    }

    /// Waits for a place in the tier's topic, until the document does not want to any more or is
    /// `withdrawn`.
    pub(crate) async fn enter(
        &self,
        effective: &EffectivePolicy,
        asks: QueueRequest<'_>,
        withdrawn: &CancellationToken,
    ) -> Wait {
        let Some(mut gone) = self.ask(effective, asks) else { return Wait::Admitted };
        let began = Instant::now();
        let left_ms = asks.until_ms.map(|until_ms| u64::try_from(until_ms.saturating_sub(now_ms())).unwrap_or(0));
        let late = async {
            match left_ms {
                // Late is what comes after the deadline.
                Some(left_ms) => tokio::time::sleep(Duration::from_millis(left_ms.saturating_add(1))).await,
                None => std::future::pending().await,
            }
        };
        let entered = tokio::select! {
            biased;
            told = &mut gone => if told.is_ok() { Wait::Admitted } else { Wait::DecideAgain },
            () = withdrawn.cancelled() => Wait::Withdrawn,
            () = late => Wait::DecideAgain,
        };
        Histogram::RouterWaitSeconds.record(began.elapsed().as_secs_f64(), &[asks.tier]);
        entered
    }

    /// `None`: it may go at once.
    fn ask(&self, effective: &EffectivePolicy, asks: QueueRequest<'_>) -> Option<oneshot::Receiver<()>> {
        let (policy, now) = (&*effective.policy, Instant::now());
        let tenant = policy.tenant(asks.tenant);
        let mut state = self.lock();
        let door = state.door(asks.tier);
        if tenant.documents_per_minute.is_none() && door.lanes.is_empty() && door.room(policy, asks.tier, now) > 0 {
            door.depth.let_in(now);
            return None;
        }
        let (go, mut gone) = oneshot::channel();
        let waiting = Waiting { go, policy_digest: effective.digest.clone() };
        door.lanes.push(asks.tenant, tenant.weight, asks.place, waiting);
        state.serve(policy, asks.tier, now);
        match gone.try_recv() {
            Ok(()) => None,
            Err(_) => Some(gone),
        }
    }

    /// Whether the tier should be measured now.
    pub(crate) fn is_due(&self, policy: &Policy, tier: &str) -> bool {
        let Some(max_backlog) = max_backlog(policy, tier) else { return false };
        let mut state = self.lock();
        let door = state.door(tier);
        !door.lanes.is_empty()
            || door.depth.asked_more_than(max_backlog / 4)
            || door.depth.age().is_none_or(|age| age >= IDLE_INTERVAL)
    }

    /// Takes note of how far the tier's workers are behind in each partition of its topic, asked
    /// for at `asked`.
    pub(crate) fn measured(
        &self,
        policy: &Policy,
        tier: &str,
        lags: &Result<Vec<PartitionLag>, FlowError>,
        asked: Instant,
    ) {
        let Some(max_backlog) = max_backlog(policy, tier) else { return };
        let known = lags.as_deref().ok();
        let is_news = self.lock().door(tier).depth.measured(known, max_backlog, asked, Instant::now());
        if let Err(error) = lags
            && is_news
        {
            tracing::warn!(tier, code = error.code(), %error, "cannot measure what waits for a tier; going by what is known");
        }
    }

    /// Lets in who may go, and sends away who waits under rules that do not hold any more. Each
    /// tier's room, infinite for no limit.
    pub(crate) fn serve(&self, effective: &EffectivePolicy) -> Vec<(String, f64)> {
        let (policy, now) = (&*effective.policy, Instant::now());
        let mut state = self.lock();
        let tiers: Vec<String> = state.doors.keys().cloned().collect();
        for tier in tiers {
            let open = policy.tier(&tier).is_some_and(|known| known.enabled) && effective.switches.get(&tier).is_none();
            let waits =
                |waiting: &Waiting| open && !waiting.go.is_closed() && waiting.policy_digest == effective.digest;
            state.door(&tier).lanes.retain(waits);
            state.serve(policy, &tier, now);
            let door = state.door(&tier);
            Gauge::TierBacklog.set(door.depth.lag() as f64, &[&tier]);
            Gauge::TierStuckSeconds.set(door.depth.stuck_for(now).as_secs_f64(), &[&tier]);
            Gauge::RouterWaiting.set(door.lanes.len() as f64, &[&tier]);
            Gauge::RouterWaitingTenants.set(door.lanes.tenants() as f64, &[&tier]);
        }
        let room = |tier: &str| match state.door(tier).room(policy, tier, now) {
            u64::MAX => f64::INFINITY,
            documents => documents as f64,
        };
        policy.tier_names().map(str::to_owned).zip(policy.tier_names().map(room)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn door(&mut self, tier: &str) -> &mut TierQueue {
        if !self.doors.contains_key(tier) {
            self.doors.insert(tier.to_owned(), TierQueue::default());
        }
        self.doors.get_mut(tier).expect("it is there or was put there")
    }

    /// Lets in as many as there is room for, of tenants within their quotas.
    fn serve(&mut self, policy: &Policy, tier: &str, now: Instant) {
        let Self { doors, quotas } = self;
        let Some(door) = doors.get_mut(tier) else { return };
        let now_ms = now_ms();
        while door.room(policy, tier, now) > 0 {
            let may = |tenant: &str| match policy.tenant(tenant).documents_per_minute {
                None => true,
                Some(rate) => {
                    quotas.entry(tenant.to_owned()).or_insert_with(|| Quota::new(rate, now_ms)).allows(rate, now_ms)
                }
            };
            let Some((tenant, waiting)) = door.lanes.pop(may) else { return };
            // One that does not wait any more takes nobody's place.
            if waiting.go.send(()).is_ok() {
                door.depth.let_in(now);
                if policy.tenant(&tenant).documents_per_minute.is_some()
                    && let Some(quota) = quotas.get_mut(&tenant)
                {
                    quota.take();
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

/// The tier's limit, if it has one.
fn max_backlog(policy: &Policy, tier: &str) -> Option<u64> {
    policy.tier(tier).map(|tier| tier.max_backlog).filter(|max_backlog| *max_backlog > 0)
}

#[cfg(test)]
mod tests;
