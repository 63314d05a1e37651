//! The policy and the tier switches in force: what the compacted topic `control` says, or this
//! build's start value until it says something.
//!
//! - A policy that this build cannot parse switches every external tier off and keeps the last good
//!   policy for the rest.
//! - A record stamped with a policy that is not in force here waits until the topic's end was read
//!   again.
//! - Knowledge older than [`MAX_STALENESS`] lets nothing be sent to a provider: neither a document
//!   that a worker takes up nor, asked again, a request that waited for its turn
//!   ([`crate::clearance`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use precis_flow::{Log, Scope, StageError, Table, TableChanges};
use precis_policy::{Policy, SwitchState as Switch, Switches};
use precis_schemas::{PolicyApplied, SwitchState, TierSwitch, codec};

use crate::clearance::CONTROL_STALE;
use crate::identity::sha256_hex;
use crate::{PipelineError, topics};

mod change;

pub use change::{apply_policy, switch_tier, switch_tier_if};

/// How old the knowledge of `control` may be when a request leaves for a provider.
pub const MAX_STALENESS: Duration = Duration::from_secs(10);

/// How long a request that was allowed to leave may need until it does: to establish a connection.
pub const SEND_TIME_BUDGET: Duration = Duration::from_secs(5);

/// How old the knowledge of `control` may be when a request is allowed to leave. A table that hears
/// from its log looks every 2 s.
const MAX_AGE: Duration = MAX_STALENESS.saturating_sub(SEND_TIME_BUDGET);

/// How long a start waits for the end of `control`.
pub const START_PATIENCE: Duration = Duration::from_secs(30);

const POLICY_KEY: &[u8] = b"policy";

/// What decides right now. A snapshot; cheap to clone.
#[derive(Debug, Clone)]
pub struct EffectivePolicy {
    /// The policy in force.
    pub policy: Arc<Policy>,
    /// Its digest.
    pub digest: String,
    /// Tiers that are off or draining, with the reason.
    pub switches: Switches,
    /// Names the set of answers the exact cache may serve under this policy.
    pub cache_generation: String,
}

/// Follows `control`.
#[derive(Debug)]
pub struct Control {
    table: Table,
    parsed: Mutex<Parsed>,
    /// What governed at a version of the table: digests and switches are not worked out for every
    /// document.
    known: Mutex<Option<(u64, EffectivePolicy)>>,
}

#[derive(Debug)]
struct Parsed {
    /// Raw bytes of the policy record that `policy` came from; `None`: the start value.
    source: Option<Vec<u8>>,
    policy: Arc<Policy>,
    /// The newest record could not be parsed: nothing is sent to a provider until it can.
    unreadable: bool,
}

impl Control {
    /// Reads `control` to its end and follows it; `start` is in force until a policy was applied.
    ///
    /// # Errors
    /// The log's; `control_unread` if the end was not reached within [`START_PATIENCE`]: a service
    /// that does not know the policy in force must not decide by another.
    pub async fn follow(log: &Arc<dyn Log>, start: Policy) -> Result<Arc<Self>, PipelineError> {
        let table = Table::follow(log.clone(), topics::CONTROL).await?;
        if !table.catch_up(START_PATIENCE).await {
            return Err(PipelineError::ControlUnread { seconds: START_PATIENCE.as_secs() });
        }
        Ok(Arc::new(Self {
            table,
            parsed: Mutex::new(Parsed { source: None, policy: Arc::new(start), unreadable: false }),
            known: Mutex::default(),
        }))
    }

    /// The policy and switches as of now.
    pub fn effective(&self) -> EffectivePolicy {
        // Taken before the table is read: a change in between is one version more, and is read the
        // next time.
        let version = self.table.version();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, effective)) = &*known
            && *of == version
        {
            return effective.clone();
        }
        let effective = self.read();
        *known = Some((version, effective.clone()));
        effective
    }

    fn read(&self) -> EffectivePolicy {
        let (policy, unreadable) = self.policy();
        let mut switches = BTreeMap::new();
        for (key, value) in self.table.entries() {
            if key.starts_with(b"tier/")
                && let Ok(switch) = codec::decode::<TierSwitch>(&value)
            {
                let state = match switch.state {
                    SwitchState::On => continue,
                    SwitchState::Off => Switch::Off,
                    SwitchState::Drain => Switch::Drain,
                };
                switches.insert(switch.tier, (state, switch.reason));
            }
        }
        if unreadable {
            for tier in policy.external_tiers() {
                switches.insert(tier.to_owned(), (Switch::Off, "policy_unreadable".to_owned()));
            }
        }
        let digest = policy.digest();
        let cache_generation = policy.cache_generation();
        EffectivePolicy { policy, digest, switches: Switches::new(switches), cache_generation }
    }

    /// What governs a record stamped with a policy digest.
    ///
    /// # Errors
    /// A dependency retry while the topic cannot be read and the record's policy is unknown here,
    /// or while a document would leave for a provider on knowledge that is too old
    /// ([`MAX_STALENESS`]).
    pub async fn for_record(&self, stamped: &str, leaves_the_house: bool) -> Result<EffectivePolicy, StageError> {
        let stale = |message: &str| StageError::Retry {
            scope: Scope::Dependency,
            code: CONTROL_STALE,
            message: message.to_owned(),
            after: None,
        };
        let effective = self.effective();
        if effective.digest != stamped && !self.table.catch_up(MAX_STALENESS).await {
            return Err(stale("the record was routed under another policy and the end of `control` could not be read"));
        }
        if leaves_the_house && !self.is_fresh() {
            return Err(stale("the end of `control` was not reached for too long; nothing is sent to a provider"));
        }
        Ok(self.effective())
    }

    /// Whether what is known is new enough for something to be sent to a provider now.
    pub fn is_fresh(&self) -> bool {
        self.table.fresh_within(MAX_AGE)
    }

    /// Moves whenever policy or switches may have changed.
    pub fn changes(&self) -> TableChanges {
        self.table.changed()
    }

    /// The raw switches, for status displays.
    pub fn switches(&self) -> Vec<TierSwitch> {
        self.table
            .entries()
            .into_iter()
            .filter(|(key, _)| key.starts_with(b"tier/"))
            .filter_map(|(_, value)| codec::decode(&value).ok())
            .collect()
    }

    /// The applied policy's record, `None` while the start value is in force.
    pub fn applied(&self) -> Option<PolicyApplied> {
        self.table.get(POLICY_KEY).and_then(|value| codec::decode(&value).ok())
    }

    fn policy(&self) -> (Arc<Policy>, bool) {
        let newest = self.table.get(POLICY_KEY);
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.is_some() && newest != parsed.source {
            let policy = newest
                .as_deref()
                .and_then(|bytes| codec::decode::<PolicyApplied>(bytes).ok())
                .and_then(|applied| Policy::parse(&applied.toml).ok());
            parsed.unreadable = policy.is_none();
            match policy {
                Some(policy) => parsed.policy = Arc::new(policy),
                None => tracing::error!(
                    code = "policy_unreadable",
                    "the applied policy cannot be read by this build: external tiers are off"
                ),
            }
            parsed.source = newest;
        }
        (parsed.policy.clone(), parsed.unreadable)
    }
}

/// Digest of any text that an operator may apply; the same as the policy's own.
pub fn text_digest(text: &str) -> String {
    sha256_hex(text.as_bytes())
}
