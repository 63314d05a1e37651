//! The tiers that this worker serves, and their switches.

use precis_flow::Log;
use precis_pipeline::control::switch_tier_if;
use precis_pipeline::{Control, PipelineError};
use precis_policy::{Policy, TierKind};
use precis_schemas::{SwitchState, TierSwitch};

/// Name of this worker as the author of switches in `control`.
const SWITCHED_BY: &str = "api-worker";

/// A tier at a provider, as the effective policy describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiTier {
    /// Name of the tier, whose work is on `work.<name>`.
    pub name: String,
    /// Name of the provider.
    pub provider: String,
    /// The provider's name of its model.
    pub model: String,
}

impl ApiTier {
    /// Whether this policy has the tier, with the same model.
    pub fn is_in(&self, policy: &Policy) -> bool {
        api_tiers(policy, std::slice::from_ref(&self.name)).first() == Some(self)
    }
}

/// Reason why this worker cannot serve a tier. The tier is switched off with this reason, and its
/// documents go back to the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableTier {
    /// There is no key for the provider.
    #[error(
        "no key for this provider: set its variable or key file (ANTHROPIC_API_KEY, OPENAI_API_KEY, api_worker.*.key_file)"
    )]
    NoKey,
    /// The key for the provider cannot be sent.
    #[error(
        "the key for this provider has characters that a header cannot carry: correct its variable or key file (ANTHROPIC_API_KEY, OPENAI_API_KEY, api_worker.*.key_file)"
    )]
    KeyUnusable,
    /// The price table does not have the model.
    #[error(
        "no price for this model: add it to the price table (api_worker.prices); an unknown price is never taken as 0"
    )]
    PriceUnknown,
    /// This build does not speak to the provider.
    #[error("unknown provider: this build knows anthropic and openai")]
    ProviderUnknown,
}

impl UnusableTier {
    const ALL: [Self; 4] = [Self::NoKey, Self::KeyUnusable, Self::PriceUnknown, Self::ProviderUnknown];

    /// Stable code, which is the reason in `control` and in trials.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::KeyUnusable => "key_unusable",
            Self::PriceUnknown => "price_unknown",
            Self::ProviderUnknown => "provider_unknown",
        }
    }
}

/// The policy's tiers at providers. A non-empty `wanted` selects among them.
pub fn api_tiers(policy: &Policy, wanted: &[String]) -> Vec<ApiTier> {
    let is_ours = |name: &String| wanted.is_empty() || wanted.contains(name);
    policy
        .tiers
        .iter()
        .filter(|tier| tier.kind == TierKind::Api && is_ours(&tier.name))
        .map(|tier| ApiTier {
            name: tier.name.clone(),
            provider: tier.provider.clone().unwrap_or_default(),
            model: tier.model.clone().unwrap_or_default(),
        })
        .collect()
}

/// Switches a tier off that cannot be served, and on again once it can. A switch that somebody set
/// by hand is left alone.
///
/// # Errors
/// The log's.
pub async fn announce(
    log: &dyn Log,
    control: &Control,
    tier: &str,
    fitness: Result<(), UnusableTier>,
) -> Result<(), PipelineError> {
    let decide = |current: Option<&TierSwitch>| wanted(current, fitness);
    // At most starts the switch is right already, and needs no write access to `control`.
    let known = control.switches().into_iter().find(|switch| switch.tier == tier);
    match (decide(known.as_ref()), fitness) {
        (None, _) => return Ok(()),
        (Some(_), Err(unfit)) => {
            tracing::warn!(tier, code = unfit.code(), "{unfit}; the tier is switched off");
        }
        (Some(_), Ok(())) => tracing::info!(tier, "the tier can be served again and is switched on"),
    }
    switch_tier_if(log, tier, SWITCHED_BY, decide).await
}

/// The state and reason that a worker of this fitness sets; `None` to leave the switch alone.
fn wanted(current: Option<&TierSwitch>, fitness: Result<(), UnusableTier>) -> Option<(SwitchState, String)> {
    let off_because = current.filter(|switch| switch.state != SwitchState::On).map(|switch| switch.reason.as_str());
    match (fitness, off_because) {
        (Err(unfit), None) => Some((SwitchState::Off, unfit.code().to_owned())),
        (Ok(()), Some(reason)) if UnusableTier::ALL.iter().any(|unfit| unfit.code() == reason) => {
            Some((SwitchState::On, String::new()))
        }
        _ => None,
    }
}
