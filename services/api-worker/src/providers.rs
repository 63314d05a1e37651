//! The providers that this worker can reach, with all that their tiers share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use precis_base::lock::locked;
use precis_config::ConfigError;
use precis_pipeline::{Control, Runtime};
use precis_policy::PriceTable;
use precis_telemetry::metrics::Gauge;
use tokio_util::sync::CancellationToken;

use crate::breaker::{self, Breaker};
use crate::budget::Budgets;
use crate::caller::Caller;
use crate::ledger::Ledger;
use crate::pacer::Pacer;
use crate::provider::{Anthropic, HttpProvider, OpenAi, Provider, Wire};
use crate::settings::{ANTHROPIC_KEY, ApiWorkerSettings, OPENAI_KEY, ProviderSettings};
use crate::summariser::{ApiSummariser, Decoding};
use crate::tiers::{ApiTier, UnusableTier};

/// Transports, prices, ledger, budgets and breakers of all tiers.
pub(crate) struct Providers {
    known: Vec<KnownProvider>,
    prices: PriceTable,
    ledger: Ledger,
    budgets: Arc<Budgets>,
    control: Arc<Control>,
    /// By provider and model. Breakers outlive a change of policy.
    breakers: Mutex<BTreeMap<(&'static str, String), Arc<Breaker>>>,
}

/// A provider that this build speaks to.
struct KnownProvider {
    name: &'static str,
    /// The transport, or why it cannot be used.
    provider: Result<Arc<dyn Provider>, UnusableTier>,
    pacer: Arc<Pacer>,
    breaker: breaker::Limits,
    refuse_after: Duration,
    decoding: Decoding,
}

impl Providers {
    /// Reads keys and prices and sets the transports up.
    pub(crate) fn new(runtime: &Runtime, settings: &ApiWorkerSettings) -> anyhow::Result<Self> {
        let openai = OpenAi { token_limit: settings.openai.token_limit };
        let known = vec![
            KnownProvider::new(Anthropic, &settings.anthropic, ANTHROPIC_KEY, "https://api.anthropic.com")?,
            KnownProvider::new(openai, &settings.openai, OPENAI_KEY, "https://api.openai.com/v1")?,
        ];
        Ok(Self {
            known,
            prices: settings.load_prices()?,
            ledger: Ledger::new(runtime.log.clone()),
            budgets: Arc::new(Budgets::new(runtime.store.clone())),
            control: runtime.control.clone(),
            breakers: Mutex::default(),
        })
    }

    /// Shows the price of a token at the last of these tiers. Tiers are in the order of escalation,
    /// so the last is the dearest.
    pub(crate) fn show_premium(&self, tiers: &[ApiTier]) {
        let price = tiers.iter().rev().find_map(|tier| self.prices.price(&tier.provider, &tier.model).ok());
        for (kind, price) in price.iter().flat_map(|price| [("input", price.input), ("output", price.output)]) {
            // One dollar a million tokens is a thousand billionths a token.
            Gauge::PremiumPrice.set(price.nanos() as f64 / 1e6, &[kind]);
        }
    }

    /// The summariser of a tier. `draining` ends its waits.
    pub(crate) fn summariser(
        &self,
        tier: &ApiTier,
        settings: &ApiWorkerSettings,
        draining: &CancellationToken,
    ) -> ApiSummariser {
        let known = self.known.iter().find(|known| known.name == tier.provider);
        let decoding = known.map(|known| known.decoding.clone()).unwrap_or_default();
        let caller =
            known.ok_or(UnusableTier::ProviderUnknown).and_then(|known| self.caller(known, tier, settings, draining));
        ApiSummariser::new(tier.clone(), decoding, settings.max_document_bytes, caller, self.control.clone())
    }

    fn caller(
        &self,
        known: &KnownProvider,
        tier: &ApiTier,
        settings: &ApiWorkerSettings,
        draining: &CancellationToken,
    ) -> Result<Caller, UnusableTier> {
        let provider = known.provider.clone()?;
        let price = self.prices.price(&tier.provider, &tier.model).map_err(|_| UnusableTier::PriceUnknown)?;
        Ok(Caller {
            tier: tier.name.clone(),
            provider,
            pacer: known.pacer.clone(),
            breaker: self.breaker(known, &tier.model),
            refuse_after: known.refuse_after,
            ledger: self.ledger.clone(),
            budgets: self.budgets.clone(),
            price: price.clone(),
            price_digest: self.prices.digest(),
            max_attempts: settings.max_attempts,
            draining: draining.clone(),
        })
    }

    fn breaker(&self, known: &KnownProvider, model: &str) -> Arc<Breaker> {
        let mut breakers = locked(&self.breakers);
        let breaker = || Arc::new(Breaker::new(known.name, model, known.breaker));
        breakers.entry((known.name, model.to_owned())).or_insert_with(breaker).clone()
    }
}

impl KnownProvider {
    fn new<W: Wire>(wire: W, settings: &ProviderSettings, variable: &str, default_url: &str) -> anyhow::Result<Self> {
        let name = wire.name();
        let provider = match settings.key(variable) {
            Ok(None) if !settings.keyless => Err(UnusableTier::NoKey),
            Ok(key) => {
                let http = settings.http(default_url, key);
                let transport = HttpProvider::new(wire, &http)
                    .with_context(|| format!("api_worker.{name}.base_url {}", http.base_url))?;
                Ok(Arc::new(transport) as Arc<dyn Provider>)
            }
            // This provider's tiers are off, as without a key; those of other providers are served.
            Err(error @ ConfigError::SecretCharacters { .. }) => {
                tracing::error!(provider = name, code = error.code(), "{error}");
                Err(UnusableTier::KeyUnusable)
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            name,
            provider,
            pacer: Arc::new(Pacer::new(settings.pace())),
            breaker: settings.breaker.limits(),
            refuse_after: Duration::from_millis(settings.breaker.refuse_after_ms),
            decoding: settings.decoding(),
        })
    }
}
