//! The policy and the tier switches in force, followed on the compacted topic `control`.
//!
//! - Until a policy was applied, the policy of the settings is in force.
//! - A policy that this build cannot parse switches every external tier off. For the other tiers
//!   the last policy that could be parsed stays in force.
//! - A record that names a policy that is not in force here waits until the topic's end was read
//!   again.
//! - On knowledge older than [`MAX_STALENESS`] nothing is sent to a provider. A worker asks when it
//!   takes a document in, and again right before each request ([`crate::clearance`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use precis_base::lock::locked;
use precis_flow::{Log, Table, TableChanges};
use precis_policy::{Policy, SwitchState as Switch, Switches, TierKind};
use precis_schemas::{PolicyApplied, SwitchState, TierSwitch, codec};

use crate::{PipelineError, topics};

mod change;

pub use change::{apply_policy, switch_tier, switch_tier_if};

/// How old the knowledge of `control` may be when a request leaves for a provider.
pub const MAX_STALENESS: Duration = Duration::from_secs(10);

/// How long a request may take to leave after it was allowed to: to establish a connection.
pub const SEND_TIME_BUDGET: Duration = Duration::from_secs(5);

/// How old the knowledge of `control` may be when a request is allowed to leave. While the log
/// answers, a table asks for its end every 2 s.
const MAX_AGE: Duration = MAX_STALENESS.saturating_sub(SEND_TIME_BUDGET);

/// How long a start, or a change, waits for the end of `control`.
pub const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Key of the policy on `control`; every other key is a tier's switch.
const POLICY_KEY: &[u8] = b"policy";

/// Policy and switches at one moment. Cheap to clone.
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

/// A follower of `control`.
#[derive(Debug)]
pub struct Control {
    table: Table,
    parsed: Mutex<ParsedPolicy>,
    /// The newest snapshot, with the table's version that it was made of: digests and switches are
    /// not worked out for every document.
    snapshot: Mutex<Option<(u64, EffectivePolicy)>>,
}

/// The policy of a record on `control`, or what is wrong with it.
fn read_policy(record: &[u8]) -> Result<Policy, String> {
    let applied: PolicyApplied = codec::decode(record).map_err(|error| error.to_string())?;
    Policy::parse(&applied.toml).map_err(|problems| problems.to_string())
}

/// The newest policy that could be parsed.
#[derive(Debug)]
struct ParsedPolicy {
    /// Bytes of the newest policy record, parsed or not; `None` while there is none.
    source: Option<Vec<u8>>,
    policy: Arc<Policy>,
    /// Whether the newest record could not be parsed: nothing is sent to a provider until one can.
    unreadable: bool,
}

impl Control {
    /// Reads `control` to its end and follows it; `start` is in force until a policy was applied.
    ///
    /// # Errors
    /// The log's; `control_unread` if the end was not reached within [`START_TIMEOUT`]: a service
    /// that does not know the policy in force must not decide by another.
    pub async fn follow(log: &Arc<dyn Log>, start: Policy) -> Result<Arc<Self>, PipelineError> {
        let table = Table::follow(log.clone(), topics::CONTROL).await?;
        if !table.catch_up(START_TIMEOUT).await {
            return Err(PipelineError::ControlUnread { seconds: START_TIMEOUT.as_secs() });
        }
        Ok(Arc::new(Self {
            table,
            parsed: Mutex::new(ParsedPolicy { source: None, policy: Arc::new(start), unreadable: false }),
            snapshot: Mutex::default(),
        }))
    }

    /// The policy and switches as of now.
    pub fn effective(&self) -> EffectivePolicy {
        // The version is taken before the table is read. A change in between makes one version
        // more, and the next call reads again.
        let version = self.table.version();
        let mut snapshot = locked(&self.snapshot);
        if let Some((snapshot_version, effective)) = &*snapshot
            && *snapshot_version == version
        {
            return effective.clone();
        }
        let effective = self.read();
        *snapshot = Some((version, effective.clone()));
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

    /// Policy and switches for a record that names the policy it was routed under.
    ///
    /// # Errors
    /// [`PipelineError::PolicyUnknown`] while that policy is not in force here and the topic's end
    /// cannot be read.
    pub async fn for_record(&self, digest: &str) -> Result<EffectivePolicy, PipelineError> {
        self.ensure_known(digest).await?;
        Ok(self.effective())
    }

    /// Policy and switches for a record that a worker of this kind takes in.
    ///
    /// # Errors
    /// Those of [`Control::for_record`]; [`PipelineError::ControlStale`] where the document would
    /// leave for a provider on knowledge that is too old ([`MAX_STALENESS`]).
    pub async fn for_work(&self, digest: &str, worker_kind: TierKind) -> Result<EffectivePolicy, PipelineError> {
        self.ensure_known(digest).await?;
        if worker_kind.is_external() && !self.is_fresh() {
            return Err(PipelineError::ControlStale);
        }
        Ok(self.effective())
    }

    /// Reads the topic to its end unless the policy with this digest is in force already.
    async fn ensure_known(&self, digest: &str) -> Result<(), PipelineError> {
        if self.effective().digest != digest && !self.table.catch_up(MAX_STALENESS).await {
            return Err(PipelineError::PolicyUnknown);
        }
        Ok(())
    }

    /// Whether what is known is new enough for something to be sent to a provider now.
    pub fn is_fresh(&self) -> bool {
        self.table.fresh_within(MAX_AGE)
    }

    /// Changes of the topic: policy or switches may be others after each.
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
        let mut parsed = locked(&self.parsed);
        if newest.is_some() && newest != parsed.source {
            let policy = read_policy(newest.as_deref().unwrap_or_default());
            parsed.unreadable = policy.is_err();
            match policy {
                Ok(policy) => parsed.policy = Arc::new(policy),
                Err(problems) => tracing::error!(
                    code = "policy_unreadable",
                    problems,
                    "the applied policy cannot be read by this build: external tiers are off until one is applied that can"
                ),
            }
            parsed.source = newest;
        }
        (parsed.policy.clone(), parsed.unreadable)
    }
}
