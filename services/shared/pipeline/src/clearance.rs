//! Whether a document may still go where its worker is about to send it.
//!
//! A document that a worker took in may wait long before its request leaves: for its turn, for a
//! provider that asks for a pause, for the ledger. So the hard rules, and how old the knowledge of
//! `control` is, are asked again right before each request. A switch ends the wait, too: a document
//! whose tier was switched off goes back to the router at once, not when its turn comes.

use std::sync::Arc;
use std::time::Duration;

use precis_flow::Scope;
use precis_policy::{DocumentFacts, TIER_CHANGED, TierKind, recheck};
use precis_schemas::codes;

use crate::{Control, EffectivePolicy, GenerateError};

/// Wait before the next attempt of a record whose tier became internal: the worker of the external
/// tier notices meanwhile, and another one takes over the tier's topic.
const TIER_CHANGE_BACKOFF: Duration = Duration::from_secs(1);

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
    /// The policy made the tier internal, and this worker is of an external tier.
    #[error("the policy made the tier {tier} internal, this worker sends to a provider")]
    TierChanged {
        /// The tier.
        tier: String,
    },
    /// What is known of `control` is too old to tell.
    #[error("the end of `control` was not reached for too long; nothing is sent to a provider")]
    Stale,
}

impl Denied {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Forbidden { code, .. } => code,
            Self::TierChanged { .. } => TIER_CHANGED,
            Self::Stale => codes::CONTROL_STALE,
        }
    }
}

impl From<Denied> for GenerateError {
    fn from(denied: Denied) -> Self {
        let (code, message) = (denied.code(), denied.to_string());
        match denied {
            Denied::Forbidden { .. } => Self::Refused { code, message },
            Denied::TierChanged { .. } => {
                Self::Retry { scope: Scope::Record, code, message, after: Some(TIER_CHANGE_BACKOFF) }
            }
            Denied::Stale => Self::Retry { scope: Scope::Dependency, code, message, after: None },
        }
    }
}

/// One document's permission to go to one tier, by the rules in force whenever it is asked.
#[derive(Debug)]
pub struct Clearance {
    control: Arc<Control>,
    facts: DocumentFacts,
    tier: String,
    worker_kind: TierKind,
}

impl Clearance {
    /// For a document of `tier`, whose worker is of the kind `worker_kind`, whatever the policy
    /// calls the tier by now.
    pub fn new(control: Arc<Control>, facts: DocumentFacts, tier: impl Into<String>, worker_kind: TierKind) -> Self {
        Self { control, facts, tier: tier.into(), worker_kind }
    }

    /// Whether the document may go now: to be asked right before it does.
    ///
    /// # Errors
    /// See [`Denied`].
    pub fn check(&self) -> Result<(), Denied> {
        self.allowed_by(&self.control.effective())?;
        if self.worker_kind.is_external() && !self.control.is_fresh() { Err(Denied::Stale) } else { Ok(()) }
    }

    /// Ends when the rules change so that the document may not go any more. Dropping the future
    /// loses nothing.
    pub async fn revoked(&self) -> Denied {
        let mut changes = self.control.changes();
        loop {
            if let Err(denied) = self.allowed_by(&self.control.effective()) {
                return denied;
            }
            if !changes.wait().await {
                // No change is heard of any more. The knowledge of `control` grows old, and that
                // forbids the next request.
                return std::future::pending().await;
            }
        }
    }

    /// Whether these rules allow it.
    pub(crate) fn allowed_by(&self, effective: &EffectivePolicy) -> Result<(), Denied> {
        let tier = || self.tier.clone();
        recheck(&effective.policy, &effective.switches, &self.facts, &self.tier, self.worker_kind).map_err(|code| {
            match code {
                TIER_CHANGED => Denied::TierChanged { tier: tier() },
                code => Denied::Forbidden { tier: tier(), code },
            }
        })
    }
}
