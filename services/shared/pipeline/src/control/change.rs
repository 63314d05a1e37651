//! How `control` is changed: one change at a time in a deployment, each in one transaction with its
//! record on `audit`.
//!
//! ```text
//! take the name over (fences whoever has it) ─▶ read what is set ─▶ decide ─▶ one transaction: the change + its audit record
//!        ▲                                                                        │ fenced: somebody changes something, too
//!        └────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Only the holder of the name may commit, and it reads what is set after it took the name. So the
//! `before` of a record is the value that the change replaced, and of two changes at once the
//! second knows of the first. A transaction that a killed command left open is ended by the next
//! command that takes the name over.

use std::time::Duration;

use precis_flow::{FlowError, Log, Output, ReadStart};
use precis_objects::{ObjectStore, keys};
use precis_policy::Policy;
use precis_schemas::{AuditRecord, PolicyApplied, SwitchState, TierSwitch, codec};
use tokio::time::{Instant, sleep};

use super::{POLICY_KEY, START_TIMEOUT};
use crate::audit::{self, Actor, actions, tier_action};
use crate::{PipelineError, now_ms, topics};

/// Name of the exclusive writer of `control`.
const WRITER: &str = "control";
/// Attempts at a change before giving up, when other operators keep changing `control` first.
const MAX_CONFLICT_ATTEMPTS: u32 = 8;
/// Wait before the second attempt, milliseconds; each further wait is longer by as much.
const CONFLICT_BACKOFF_MS: u64 = 100;
/// How long one poll for the end of `control` waits.
const POLL_TIMEOUT: Duration = Duration::from_millis(200);

/// Puts a policy in force everywhere: its text is stored by digest, then `control` names it.
///
/// # Errors
/// `policy_invalid` with every problem; the store's and the log's.
pub async fn apply_policy(
    log: &dyn Log,
    store: &dyn ObjectStore,
    toml: &str,
    reason: &str,
    by: &str,
) -> Result<String, PipelineError> {
    let policy = Policy::parse(toml).map_err(|errors| PipelineError::rejected("policy_invalid", errors.to_string()))?;
    let digest = policy.digest();
    store.put_if_absent(&keys::policy(&digest), toml.as_bytes().to_vec()).await?;
    let actor = Actor { by, reason };
    change(log, POLICY_KEY, |before| {
        let before = before.and_then(|bytes| codec::decode::<PolicyApplied>(bytes).ok());
        let applied = PolicyApplied {
            digest: digest.clone(),
            toml: toml.to_owned(),
            applied_by: by.to_owned(),
            applied_at: now_ms(),
        };
        let record = AuditRecord {
            before: before.map(|before| before.digest).unwrap_or_default(),
            after: digest.clone(),
            ..actor.did(actions::POLICY_APPLIED, "policy")
        };
        Ok(Some((Output::to(topics::CONTROL).key(POLICY_KEY).record(&applied)?, record)))
    })
    .await?;
    Ok(digest)
}

/// Switches a tier for every instance.
///
/// # Errors
/// The log's.
pub async fn switch_tier(
    log: &dyn Log,
    tier: &str,
    state: SwitchState,
    reason: &str,
    by: &str,
) -> Result<(), PipelineError> {
    switch_tier_if(log, tier, by, |_| Some((state, reason.to_owned()))).await
}

/// Switches a tier for every instance, as `decide` says of its present switch; `None` for a tier
/// that was never switched. Where `decide` gives `None`, nothing is changed.
///
/// # Errors
/// The log's.
pub async fn switch_tier_if(
    log: &dyn Log,
    tier: &str,
    by: &str,
    decide: impl Fn(Option<&TierSwitch>) -> Option<(SwitchState, String)>,
) -> Result<(), PipelineError> {
    let key = format!("tier/{tier}");
    change(log, key.as_bytes(), |before| {
        let before = before.and_then(|bytes| codec::decode::<TierSwitch>(bytes).ok());
        let Some((state, reason)) = decide(before.as_ref()) else { return Ok(None) };
        let was = before.as_ref().map_or(SwitchState::On, |before| before.state);
        let mut record = AuditRecord {
            before: was.as_str().to_owned(),
            after: state.as_str().to_owned(),
            ..Actor { by, reason: &reason }.did(tier_action(state), key.clone())
        };
        if let Some(before) = before.filter(|before| !before.reason.is_empty()) {
            record.details.insert("reason_before".to_owned(), before.reason);
        }
        let switch = TierSwitch { tier: tier.to_owned(), state, reason, by: by.to_owned(), at: now_ms() };
        Ok(Some((Output::to(topics::CONTROL).key(key.as_bytes()).record(&switch)?, record)))
    })
    .await
}

/// A record of `control` with its audit record; `None` leaves everything as it is.
type Change = Option<(Output, AuditRecord)>;

/// Changes a key of `control`, as `decide` says of its newest value.
async fn change(
    log: &dyn Log,
    key: &[u8],
    decide: impl Fn(Option<&[u8]>) -> Result<Change, PipelineError>,
) -> Result<(), PipelineError> {
    for attempt in 1.. {
        match try_change(log, key, &decide).await {
            Err(PipelineError::Flow(FlowError::Fenced { .. })) if attempt < MAX_CONFLICT_ATTEMPTS => {
                // With jitter, so that two operators do not go on fencing each other.
                let pause = u64::from(attempt) * CONFLICT_BACKOFF_MS + rand::random::<u64>() % CONFLICT_BACKOFF_MS;
                sleep(Duration::from_millis(pause)).await;
            }
            result => return result,
        }
    }
    Ok(())
}

async fn try_change(
    log: &dyn Log,
    key: &[u8],
    decide: &impl Fn(Option<&[u8]>) -> Result<Change, PipelineError>,
) -> Result<(), PipelineError> {
    let mut writer = log.exclusive(WRITER).await?;
    let before = newest(log, key).await?;
    let Some((change, record)) = decide(before.as_deref())? else { return Ok(()) };
    Ok(writer.commit(vec![change, audit::entry(&record)?]).await?)
}

/// The newest value of a key.
async fn newest(log: &dyn Log, key: &[u8]) -> Result<Option<Vec<u8>>, PipelineError> {
    let mut reader = log.reader(topics::CONTROL, ReadStart::Beginning).await?;
    let (mut newest, deadline) = (None, Instant::now() + START_TIMEOUT);
    loop {
        match reader.next(POLL_TIMEOUT).await? {
            Some(record) if record.key.as_deref() == Some(key) => newest = record.value,
            None if reader.caught_up() => return Ok(newest),
            None if Instant::now() > deadline => {
                return Err(PipelineError::ControlUnread { seconds: START_TIMEOUT.as_secs() });
            }
            Some(_) | None => {}
        }
    }
}
