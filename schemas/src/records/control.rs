//! Records on `control`: the policy in force and the tiers' switches.

use serde::{Deserialize, Serialize};

use crate::{AvroRecord, Millis};

/// The routing policy in force, on control under the key policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyApplied {
    /// Digest of the policy.
    pub digest: String,
    /// The policy itself.
    pub toml: String,
    /// Who applied it.
    pub applied_by: String,
    /// When, UTC.
    pub applied_at: Millis,
}

/// Whether a tier may be given work, on control under the key `tier/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierSwitch {
    /// Name of the tier.
    pub tier: String,
    /// The requested state.
    pub state: SwitchState,
    /// Stable code or the operator's words.
    #[serde(default)]
    pub reason: String,
    /// Who switched it: a service or a person.
    pub by: String,
    /// When, UTC.
    pub at: Millis,
}

/// on: gets work. drain: gets no new work and finishes what it has. off: gets no work and refuses
/// what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchState {
    /// Gets work.
    On,
    /// Gets no work and refuses what it has.
    Off,
    /// Gets no new work and finishes what it has.
    Drain,
}

impl SwitchState {
    /// The Avro symbol: also its name in metrics, policies and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Drain => "drain",
        }
    }
}

impl AvroRecord for PolicyApplied {
    const NAME: &'static str = "policy_applied";
    const VERSION: u32 = 1;
}

impl AvroRecord for TierSwitch {
    const NAME: &'static str = "tier_switch";
    const VERSION: u32 = 1;
}
