//! Settings of the section `[api_worker]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use precis_config::{ConfigError, Secret, Validate, Violations};
use precis_pipeline::runtime::StageSettings;
use precis_pipeline::{control, topics};
use precis_policy::PriceTable;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::breaker;
use crate::pacer::Pace;
use crate::provider::{HttpSettings, TokenLimit};
use crate::summariser::Decoding;

/// Attempts in a row that settings may allow. More would amplify an outage.
const MAX_ATTEMPTS: u32 = 10;

/// Environment variable with the key for Anthropic.
pub(crate) const ANTHROPIC_KEY: &str = "ANTHROPIC_API_KEY";
/// Environment variable with the key for OpenAI and compatible servers.
pub(crate) const OPENAI_KEY: &str = "OPENAI_API_KEY";

/// `[api_worker]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiWorkerSettings {
    /// Tiers whose work this worker takes. Empty: every `api` tier of the effective policy.
    pub tiers: Vec<String>,
    /// File with the price table (TOML). Left out: the table of this build.
    pub prices: Option<PathBuf>,
    /// Largest document that is sent, bytes of text, at least 1. Larger documents go back to the
    /// router. The default is about 150,000 tokens of English.
    pub max_document_bytes: usize,
    /// Attempts in a row at a request that may succeed later, 1 to 10. After the last one the
    /// document goes back to the stage, which waits longer.
    pub max_attempts: u32,
    /// Work in flight and its commits. The drain budget should be at least the providers'
    /// `timeout_ms`, since a request in flight is paid for and may finish.
    pub stage: StageSettings,
    /// Tiers with the provider `anthropic`. The key is in `ANTHROPIC_API_KEY` or in `key_file`.
    pub anthropic: ProviderSettings,
    /// Tiers with the provider `openai`: OpenAI and every server that speaks its Chat Completions.
    /// The key is in `OPENAI_API_KEY` or in `key_file`.
    pub openai: ProviderSettings,
}

impl Default for ApiWorkerSettings {
    fn default() -> Self {
        Self {
            tiers: Vec::new(),
            prices: None,
            max_document_bytes: 600_000,
            max_attempts: 4,
            stage: StageSettings { drain_budget_ms: 120_000, ..StageSettings::default() },
            anthropic: ProviderSettings::default(),
            openai: ProviderSettings::default(),
        }
    }
}

/// Connection, limits and decoding of one provider.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderSettings {
    /// Start of the provider's URLs. Left out: `https://api.anthropic.com` or
    /// `https://api.openai.com/v1`. `http://` is allowed for loopback hosts only.
    pub base_url: Option<String>,
    /// A file that holds the key alone. The environment variable wins over the file.
    pub key_file: Option<PathBuf>,
    /// Whether the endpoint needs no key, as a server of your own. False: without a key the
    /// provider's tiers are off.
    pub keyless: bool,
    /// Requests in flight at once over all tiers of the provider, at least 1. Throttling lowers the
    /// number for a while.
    pub max_concurrency: u32,
    /// Requests a minute that this instance may send. Give each of several instances its share of
    /// the key's limit. Left out: only throttling limits requests.
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute that this instance may use, read and generated together. Left out: only
    /// throttling limits tokens.
    pub tokens_per_minute: Option<u32>,
    /// When a model of the provider counts as down.
    pub breaker: BreakerSettings,
    /// Time to establish a connection, 1 to 5000 milliseconds.
    pub connect_timeout_ms: u64,
    /// Time until an answer begins, milliseconds. Left out: `timeout_ms`, since most providers send
    /// nothing before the whole answer is generated.
    pub first_byte_timeout_ms: Option<u64>,
    /// Time for one request, answer included, milliseconds, at least 1.
    pub timeout_ms: u64,
    /// Sampling temperature, 0 to 2. Left out: the provider's default, which is the only one that
    /// some models accept.
    pub temperature: Option<f64>,
    /// Tokens that the model may generate beyond those of the summary, for models that reason
    /// before they answer.
    pub extra_output_tokens: u32,
    /// Further fields of every request, such as `reasoning_effort = "low"`.
    pub extra_body: BTreeMap<String, serde_json::Value>,
    /// Only for `openai`: how the limit of generated tokens is named, `max_completion_tokens` or
    /// `max_tokens`.
    pub token_limit: TokenLimit,
}

impl Default for ProviderSettings {
    fn default() -> Self {
        Self {
            base_url: None,
            key_file: None,
            keyless: false,
            max_concurrency: 16,
            requests_per_minute: None,
            tokens_per_minute: None,
            breaker: BreakerSettings::default(),
            connect_timeout_ms: 5_000,
            first_byte_timeout_ms: None,
            timeout_ms: 120_000,
            temperature: None,
            extra_output_tokens: 0,
            extra_body: BTreeMap::new(),
            token_limit: TokenLimit::default(),
        }
    }
}

/// When a provider's model counts as down. Then nothing is sent for a while, and one request probes
/// after that.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerSettings {
    /// How far back requests count, milliseconds, at least 1.
    pub window_ms: u64,
    /// Requests within `window_ms` below which a model never counts as down, at least 1.
    pub min_requests: u32,
    /// Share of the requests within `window_ms` that must have failed, above 0 and at most 1.
    pub failure_share: f64,
    /// How long nothing is sent to a model that is down, milliseconds, at least 1.
    pub open_ms: u64,
    /// How long documents wait for a model that is down, milliseconds. After that they go back to
    /// the router, which picks another tier.
    pub refuse_after_ms: u64,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { window_ms: 60_000, min_requests: 6, failure_share: 0.5, open_ms: 15_000, refuse_after_ms: 120_000 }
    }
}

impl BreakerSettings {
    /// When the breaker opens, and for how long.
    pub fn limits(&self) -> breaker::Limits {
        breaker::Limits {
            window: Duration::from_millis(self.window_ms),
            min_requests: self.min_requests as usize,
            failure_share: self.failure_share,
            open: Duration::from_millis(self.open_ms),
        }
    }
}

impl ApiWorkerSettings {
    /// Checks that the providers' keys can be read and sent. A provider without a key is no error.
    ///
    /// # Errors
    /// A key file that cannot be read; a key that a header cannot carry. Each names its variable or
    /// file.
    pub fn check_keys(&self) -> Result<(), ConfigError> {
        for (provider, variable) in [(&self.anthropic, ANTHROPIC_KEY), (&self.openai, OPENAI_KEY)] {
            provider.key(variable)?;
        }
        Ok(())
    }

    /// The prices in force.
    ///
    /// # Errors
    /// A file that cannot be read, or is no price table.
    pub fn load_prices(&self) -> anyhow::Result<PriceTable> {
        let Some(path) = &self.prices else { return Ok(PriceTable::builtin()) };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the price table {} cannot be read", path.display()))?;
        PriceTable::parse(&text).with_context(|| format!("the price table {} cannot be used", path.display()))
    }
}

impl ProviderSettings {
    /// The key, from the environment or the file; `None` where there is none.
    ///
    /// # Errors
    /// A key file that cannot be read; a key that a header cannot carry.
    pub fn key(&self, variable: &str) -> Result<Option<Secret>, ConfigError> {
        Secret::from_env_or_file(variable, self.key_file.as_deref())
    }

    /// How the provider is reached.
    pub fn http(&self, default_url: &str, key: Option<Secret>) -> HttpSettings {
        HttpSettings {
            base_url: self.base_url.clone().unwrap_or_else(|| default_url.to_owned()),
            key,
            connect_timeout: Duration::from_millis(self.connect_timeout_ms),
            first_byte_timeout: Duration::from_millis(self.first_byte_timeout_ms.unwrap_or(self.timeout_ms)),
            timeout: Duration::from_millis(self.timeout_ms),
        }
    }

    /// The limits of the key.
    pub fn pace(&self) -> Pace {
        Pace {
            concurrency: self.max_concurrency,
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
        }
    }

    /// How answers are sampled.
    pub fn decoding(&self) -> Decoding {
        Decoding {
            temperature: self.temperature,
            extra_output_tokens: self.extra_output_tokens,
            extra_body: self.extra_body.clone().into_iter().collect(),
        }
    }
}

impl Validate for ApiWorkerSettings {
    fn validate(&self, at: &str, out: &mut Violations) {
        for tier in self.tiers.iter().filter(|tier| !topics::is_valid_name(tier)) {
            out.push(
                format!("{at}.tiers"),
                format!("{tier:?} is no tier name; use 1 to 64 of a-z, 0-9, - and _, as in the policy"),
            );
        }
        if self.max_document_bytes == 0 {
            out.push(format!("{at}.max_document_bytes"), "must be at least 1");
        }
        if !(1..=MAX_ATTEMPTS).contains(&self.max_attempts) {
            out.push(format!("{at}.max_attempts"), format!("must be 1 to {MAX_ATTEMPTS}"));
        }
        self.stage.validate(&format!("{at}.stage"), out);
        self.anthropic.validate(&format!("{at}.anthropic"), out);
        if self.anthropic.token_limit != TokenLimit::default() {
            out.push(format!("{at}.anthropic.token_limit"), "must not be set: only `openai` has two names for it");
        }
        self.openai.validate(&format!("{at}.openai"), out);
    }
}

impl Validate for ProviderSettings {
    fn validate(&self, at: &str, out: &mut Violations) {
        if let Some(Err(problem)) = self.base_url.as_deref().map(crate::provider::check_url) {
            out.push(format!("{at}.base_url"), problem.to_string());
        }
        for (name, zero) in [
            ("max_concurrency", self.max_concurrency == 0),
            ("connect_timeout_ms", self.connect_timeout_ms == 0),
            ("first_byte_timeout_ms", self.first_byte_timeout_ms == Some(0)),
            ("timeout_ms", self.timeout_ms == 0),
            ("requests_per_minute", self.requests_per_minute == Some(0)),
            ("tokens_per_minute", self.tokens_per_minute == Some(0)),
            ("breaker.window_ms", self.breaker.window_ms == 0),
            ("breaker.min_requests", self.breaker.min_requests == 0),
            ("breaker.open_ms", self.breaker.open_ms == 0),
        ] {
            if zero {
                out.push(format!("{at}.{name}"), "must be at least 1");
            }
        }
        let max_ms = control::SEND_TIME_BUDGET.as_millis();
        if u128::from(self.connect_timeout_ms) > max_ms {
            out.push(
                format!("{at}.connect_timeout_ms"),
                format!("must be at most {max_ms}: a permission to send expires after that time"),
            );
        }
        if !(self.breaker.failure_share > 0.0 && self.breaker.failure_share <= 1.0) {
            out.push(format!("{at}.breaker.failure_share"), "must be above 0 and at most 1");
        }
        if self.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
            out.push(format!("{at}.temperature"), "must be between 0 and 2");
        }
        // The worker sets the fields that decide on model, content and cost.
        for field in
            ["model", "messages", "system", "stream", "max_tokens", "max_completion_tokens", "n", "temperature"]
        {
            if self.extra_body.contains_key(field) {
                out.push(format!("{at}.extra_body"), format!("must not set {field:?}: the worker sets it"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
