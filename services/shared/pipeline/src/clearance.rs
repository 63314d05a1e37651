//! Whether a document may still go where its worker is about to send it.
//!
//! A document that a worker took in may wait long before a request leaves: for its place, for a
//! provider that asks for patience, for the ledger. So the hard rules and the age of what is known
//! of them are asked again right before each request, and while it waits a switch ends the wait:
//! what was switched off goes back to the router at once, not when its turn comes.

use std::sync::Arc;
use std::time::Duration;

use precis_flow::Scope;
use precis_policy::{DocumentFacts, TIER_CHANGED, TierKind, recheck};

use crate::{Control, EffectivePolicy, GenerateError};

/// How long work waits whose tier became internal, until the worker of the external tier has
/// noticed and another has its topic.
const TIER_CHANGE_PAUSE: Duration = Duration::from_secs(1);

/// Code of what waits because the end of `control` was not reached for too long.
pub const CONTROL_STALE: &str = "control_stale";

/// Why nothing may be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// A hard rule forbids it: the router picks another tier.
    #[error("the rules in force do not let it go to the tier {tier} ({code})")]
    Forbidden {
        /// The tier.
        tier: String,
        /// The rule's code.
        code: &'static str,
    },
    /// The tier is internal by now, this worker is for an external one.
    #[error("the policy made the tier {tier} internal, this worker sends to a provider")]
    TierChanged {
        /// The tier.
        tier: String,
    },
    /// Nobody knows whether it may.
    #[error("the end of `control` was not reached for too long; nothing is sent to a provider")]
    Stale,
}

impl Denied {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Forbidden { code, .. } => code,
            Self::TierChanged { .. } => TIER_CHANGED,
            Self::Stale => CONTROL_STALE,
        }
    }
}

impl From<Denied> for GenerateError {
    fn from(denied: Denied) -> Self {
        let (code, message) = (denied.code(), denied.to_string());
        match denied {
            Denied::Forbidden { .. } => Self::Refused { code, message },
            Denied::TierChanged { .. } => {
                Self::Retry { scope: Scope::Record, code, message, after: Some(TIER_CHANGE_PAUSE) }
            }
            Denied::Stale => Self::Retry { scope: Scope::Dependency, code, message, after: None },
        }
    }
}

/// What one document's worker asks before it acts.
#[derive(Debug)]
pub struct Clearance {
    control: Arc<Control>,
    facts: DocumentFacts,
    tier: String,
    acts: TierKind,
}

impl Clearance {
    /// Of a document of a tier whose worker is of the kind `acts`, whatever the policy calls the
    /// tier by now.
    pub fn new(control: Arc<Control>, facts: DocumentFacts, tier: impl Into<String>, acts: TierKind) -> Self {
        Self { control, facts, tier: tier.into(), acts }
    }

    /// Whether it may go now: to be asked right before it does.
    ///
    /// # Errors
    /// See [`Denied`].
    pub fn check(&self) -> Result<(), Denied> {
        self.allowed_by(&self.control.effective())?;
        if self.acts == TierKind::Api && !self.control.is_fresh() { Err(Denied::Stale) } else { Ok(()) }
    }

    /// Ends when the rules change so that it may not go any more. Dropping the future loses
    /// nothing.
    pub async fn lost(&self) -> Denied {
        let mut changes = self.control.changes();
        loop {
            if let Err(denied) = self.allowed_by(&self.control.effective()) {
                return denied;
            }
            if !changes.wait().await {
                // Nothing will ever be heard again: what is known grows old, and that is what ends
                // it.
                return std::future::pending().await;
            }
        }
    }

    /// Whether the rules allow it, as they stand there.
    pub(crate) fn allowed_by(&self, effective: &EffectivePolicy) -> Result<(), Denied> {
        let tier = || self.tier.clone();
        recheck(&effective.policy, &effective.switches, &self.facts, &self.tier, self.acts).map_err(|code| match code {
            TIER_CHANGED => Denied::TierChanged { tier: tier() },
            code => Denied::Forbidden { tier: tier(), code },
        })
    }
}
