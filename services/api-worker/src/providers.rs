//! The providers that this worker holds keys for.

use std::sync::Arc;

use anyhow::Context as _;
use precis_pipeline::{Control, House};
use precis_policy::PriceTable;

use crate::budget::Budgets;
use crate::caller::Caller;
use crate::ledger::Ledger;
use crate::pacer::Pacer;
use crate::provider::{Anthropic, HttpProvider, OpenAi, Provider, Wire};
use crate::settings::{ApiWorkerSettings, ProviderSettings};
use crate::summariser::{ApiSummariser, Decoding};
use crate::tiers::{ApiTier, Unfit};

/// Everything that tiers share.
pub(crate) struct Providers {
    known: Vec<Known>,
    prices: PriceTable,
    ledger: Ledger,
    budgets: Arc<Budgets>,
    control: Arc<Control>,
}

/// A provider that this build speaks to.
struct Known {
    name: &'static str,
    /// `None` without a key.
    provider: Option<Arc<dyn Provider>>,
    pacer: Arc<Pacer>,
    decoding: Decoding,
}

impl Providers {
    /// Reads keys and prices and sets the transports up.
    pub(crate) fn new(house: &House, settings: &ApiWorkerSettings) -> anyhow::Result<Self> {
        let openai = OpenAi { token_limit: settings.openai.token_limit };
        let known = vec![
            Known::new(Anthropic, &settings.anthropic, "ANTHROPIC_API_KEY", "https://api.anthropic.com")?,
            Known::new(openai, &settings.openai, "OPENAI_API_KEY", "https://api.openai.com/v1")?,
        ];
        Ok(Self {
            known,
            prices: settings.load_prices()?,
            ledger: Ledger::new(house.log.clone()),
            budgets: Arc::new(Budgets::new(house.store.clone())),
            control: house.control.clone(),
        })
    }

    /// The summariser of a tier.
    pub(crate) fn summariser(&self, tier: &ApiTier, settings: &ApiWorkerSettings) -> ApiSummariser {
        let known = self.known.iter().find(|known| known.name == tier.provider);
        let decoding = known.map(|known| known.decoding.clone()).unwrap_or_default();
        let caller = known.ok_or(Unfit::ProviderUnknown).and_then(|known| self.caller(known, tier, settings));
        ApiSummariser::new(tier.clone(), decoding, settings.max_document_bytes, caller, self.control.clone())
    }

    fn caller(&self, known: &Known, tier: &ApiTier, settings: &ApiWorkerSettings) -> Result<Caller, Unfit> {
        let provider = known.provider.clone().ok_or(Unfit::NoKey)?;
        let price = self.prices.price(&tier.provider, &tier.model).map_err(|_| Unfit::PriceUnknown)?;
        Ok(Caller {
            tier: tier.name.clone(),
            provider,
            pacer: known.pacer.clone(),
            ledger: self.ledger.clone(),
            budgets: self.budgets.clone(),
            price: price.clone(),
            price_digest: self.prices.digest(),
            max_attempts: settings.max_attempts,
        })
    }
}

impl Known {
    fn new<W: Wire>(wire: W, settings: &ProviderSettings, variable: &str, default_url: &str) -> anyhow::Result<Self> {
        let name = wire.name();
        let key = settings.key(variable)?;
        let provider = if key.is_some() || settings.keyless {
            let http = settings.http(default_url, key);
            let transport = HttpProvider::new(wire, &http)
                .with_context(|| format!("api_worker.{name}.base_url {}", http.base_url))?;
            Some(Arc::new(transport) as Arc<dyn Provider>)
        } else {
            None
        };
        let pacer = Arc::new(Pacer::new(settings.max_concurrency));
        Ok(Self { name, provider, pacer, decoding: settings.decoding() })
    }
}
