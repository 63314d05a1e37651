//! What providers charge: one file that users edit. Its digest is on every bill.

use precis_base::digest::sha256_hex;
use precis_schemas::Usd;
use serde::{Deserialize, Serialize};

/// The prices this build ships with.
const BUILTIN: &str = include_str!("../../../../infra/prices.toml");

/// Prices, with the date and the source of each reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTable {
    /// The day the prices were read, `YYYY-MM-DD`.
    pub date: String,
    /// Where they were read.
    pub source: String,
    /// One entry a model.
    pub prices: Vec<Price>,
}

/// What a model costs, dollars a million tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// `anthropic` or `openai`.
    pub provider: String,
    /// The provider's name of the model.
    pub model: String,
    /// Input tokens that no cache served.
    pub input: Usd,
    /// Input tokens read from the provider's cache; left out: as `input`.
    #[serde(default)]
    pub cached_input: Option<Usd>,
    /// Input tokens written to the provider's cache; left out: a quarter more than `input`, as
    /// Anthropic charges for five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Usd>,
    /// Generated tokens.
    pub output: Usd,
}

/// The tokens of one call, in disjoint classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Input tokens that no cache served.
    pub input: u64,
    /// Input tokens read from the provider's cache.
    pub cached_input: u64,
    /// Input tokens written to the provider's cache.
    pub cache_write: u64,
    /// Generated tokens.
    pub output: u64,
}

/// Why there is no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// The file cannot be read.
    #[error("the price table cannot be read: {0}")]
    Malformed(String),
    /// The price table has no entry for the model.
    #[error("no price for {provider} {model}; add it to the price table: an unknown price is never taken as 0")]
    Unknown {
        /// The provider.
        provider: String,
        /// The model.
        model: String,
    },
    /// The cost is more than a `Usd` can hold.
    #[error("the cost does not fit: {0} tokens")]
    Overflow(u64),
}

impl PriceError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "prices_malformed",
            Self::Unknown { .. } => "price_unknown",
            Self::Overflow(_) => "price_overflow",
        }
    }
}

impl PriceTable {
    /// The prices this build ships with.
    pub fn builtin() -> Self {
        Self::parse(BUILTIN).expect("infra/prices.toml is parsed by this crate's tests")
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`PriceError::Malformed`]: syntax, a negative price, a model that is listed twice.
    pub fn parse(toml: &str) -> Result<Self, PriceError> {
        let table: Self = toml::from_str(toml).map_err(|error| PriceError::Malformed(error.to_string()))?;
        for (index, price) in table.prices.iter().enumerate() {
            let what = format!("{} {}", price.provider, price.model);
            let amounts = [Some(price.input), price.cached_input, price.cache_write, Some(price.output)];
            if amounts.into_iter().flatten().any(|amount| amount.nanos() < 0) {
                return Err(PriceError::Malformed(format!("{what} has a negative price")));
            }
            if table.prices[..index].iter().any(|other| other.provider == price.provider && other.model == price.model)
            {
                return Err(PriceError::Malformed(format!("{what} is listed twice")));
            }
        }
        Ok(table)
    }

    /// SHA-256 (hex) of the table's content.
    pub fn digest(&self) -> String {
        sha256_hex(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// The price of a model.
    ///
    /// # Errors
    /// [`PriceError::Unknown`].
    pub fn price(&self, provider: &str, model: &str) -> Result<&Price, PriceError> {
        self.prices
            .iter()
            .find(|price| price.provider == provider && price.model == model)
            .ok_or_else(|| PriceError::Unknown { provider: provider.to_owned(), model: model.to_owned() })
    }
}

impl Tokens {
    /// Tokens read, whatever cache served them.
    pub fn read(self) -> u64 {
        self.input.saturating_add(self.cached_input).saturating_add(self.cache_write)
    }

    /// Tokens read and generated.
    pub fn total(self) -> u64 {
        self.read().saturating_add(self.output)
    }
}

impl Price {
    fn cache_write(&self) -> Usd {
        let quarter_more = Usd::from_nanos(self.input.nanos().saturating_add(self.input.nanos() / 4));
        self.cache_write.or(quarter_more).unwrap_or(Usd::MAX)
    }

    /// What these tokens cost.
    ///
    /// # Errors
    /// [`PriceError::Overflow`].
    pub fn cost(&self, tokens: Tokens) -> Result<Usd, PriceError> {
        let part = |per_million, count| Usd::for_tokens(per_million, count).ok_or(PriceError::Overflow(count));
        let input = part(self.input, tokens.input)?;
        let cached = part(self.cached_input.unwrap_or(self.input), tokens.cached_input)?;
        let written = part(self.cache_write(), tokens.cache_write)?;
        let output = part(self.output, tokens.output)?;
        let sum = input.checked_add(cached).and_then(|sum| sum.checked_add(written));
        sum.and_then(|sum| sum.checked_add(output)).ok_or(PriceError::Overflow(tokens.output))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_shipped_table_parses_and_names_date_and_source() {
        let table = PriceTable::builtin();
        assert!(table.date.len() == 10 && !table.source.is_empty() && !table.prices.is_empty());
    }

    #[test]
    fn cached_tokens_are_billed_once_and_cheaper() {
        let price = Price {
            provider: "anthropic".into(),
            model: "m".into(),
            input: "1".parse().unwrap(),
            cached_input: Some("0.1".parse().unwrap()),
            cache_write: None,
            output: "5".parse().unwrap(),
        };
        let tokens = Tokens { input: 1_000, cached_input: 2_000, cache_write: 0, output: 100 };
        assert_eq!(price.cost(tokens).unwrap(), "0.0017".parse().unwrap());
        let written = Tokens { cache_write: 2_000, ..Tokens::default() };
        assert_eq!(price.cost(written).unwrap(), "0.0025".parse().unwrap());
        let dear = Price { cache_write: Some("2".parse().unwrap()), ..price };
        assert_eq!(dear.cost(written).unwrap(), "0.004".parse().unwrap());
    }

    #[test]
    fn an_unknown_price_is_an_error_and_never_zero() {
        assert_eq!(PriceTable::builtin().price("openai", "no-such-model").unwrap_err().code(), "price_unknown");
    }

    #[test]
    fn broken_tables_are_survived_and_no_price_is_negative() {
        precis_fuzz::survives("prices", &[BUILTIN.as_bytes().to_vec()], |bytes| {
            let Ok(table) = PriceTable::parse(&String::from_utf8_lossy(bytes)) else { return };
            assert_eq!(table.digest().len(), 64);
            for price in &table.prices {
                for count in [0, 1, u64::MAX] {
                    let tokens = Tokens { input: count, cached_input: count, cache_write: count, output: count };
                    assert!(price.cost(tokens).map_or(count > 0, |cost| cost >= Usd::ZERO));
                }
            }
        });
    }

    #[test]
    fn negative_and_double_prices_are_refused() {
        let entry = |amount: &str| {
            format!("[[prices]]\nprovider = \"openai\"\nmodel = \"m\"\ninput = \"{amount}\"\noutput = \"1\"\n")
        };
        let table = |entries: &str| PriceTable::parse(&format!("date = \"2026-11-23\"\nsource = \"s\"\n{entries}"));
        assert!(table(&entry("1")).is_ok());
        assert!(table(&entry("-1")).is_err());
        assert!(table(&(entry("1") + &entry("2"))).is_err());
    }
}
