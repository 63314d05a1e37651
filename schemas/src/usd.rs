//! Exact amounts of money.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

const NANOS_PER_DOLLAR: u64 = 1_000_000_000;
const FRACTION_DIGITS: usize = 9;
const TOKENS_PER_PRICE: i128 = 1_000_000;

/// An amount in US dollars, to the nano-dollar: single tokens cost less than a micro-dollar.
///
/// In Avro a `decimal(18, 9)`, so the magnitude stays below one billion dollars: [`Usd::MAX`] is
/// the largest amount and every `Usd` that exists can be encoded. In JSON and TOML a string such as
/// `"0.00045"`; numbers are read too, digit for digit as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Usd(i64);

/// A text that is not an amount of US dollars.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an amount in us dollars; write digits with at most nine after the point, below one billion, such as 0.15")]
pub struct ParseUsdError;

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount: 18 digits.
    pub const MAX: Self = Self(999_999_999_999_999_999);

    /// The amount of that many nano-dollars; `None` beyond [`Usd::MAX`] in either direction.
    pub const fn from_nanos(nanos: i64) -> Option<Self> {
        if nanos.unsigned_abs() <= Self::MAX.0.unsigned_abs() { Some(Self(nanos)) } else { None }
    }

    /// The amount in nano-dollars.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The sum; `None` beyond [`Usd::MAX`].
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        // Both are within 18 digits: the sum fits an i64.
        Self::from_nanos(self.0 + other.0)
    }

    /// The difference; `None` beyond [`Usd::MAX`].
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        Self::from_nanos(self.0 - other.0)
    }

    /// The cost of `tokens` at `per_million` dollars a million tokens. Computed exactly and rounded
    /// up to the nano-dollar once, so that a sum of costs never falls short of the bill. `None`
    /// beyond [`Usd::MAX`] or for a negative price.
    pub fn for_tokens(per_million: Self, tokens: u64) -> Option<Self> {
        if per_million.0 < 0 {
            return None;
        }
        // At most 10^18 times 2^64: fits an i128.
        let millionths = i128::from(per_million.0) * i128::from(tokens);
        let nanos = (millionths + TOKENS_PER_PRICE - 1) / TOKENS_PER_PRICE;
        i64::try_from(nanos).ok().and_then(Self::from_nanos)
    }

    /// Digits without sign or currency, at least two after the point: `0.00`, `1.50`, `0.00045`.
    fn digits(self) -> String {
        let nanos = self.0.unsigned_abs();
        let fraction = format!("{:09}", nanos % NANOS_PER_DOLLAR);
        let significant = fraction.trim_end_matches('0').len().max(2);
        format!("{}.{}", nanos / NANOS_PER_DOLLAR, &fraction[..significant])
    }

    fn sign(self) -> &'static str {
        if self.0 < 0 { "-" } else { "" }
    }

    /// Big-endian two's complement without redundant leading bytes, as Avro's decimal wants it.
    fn to_decimal(self) -> Vec<u8> {
        let bytes = self.0.to_be_bytes();
        let redundant = bytes
            .windows(2)
            .take_while(|pair| (pair[0] == 0 && pair[1] < 0x80) || (pair[0] == 0xFF && pair[1] >= 0x80))
            .count();
        bytes[redundant..].to_vec()
    }

    /// Reverse of [`Usd::to_decimal`]; redundant leading bytes are accepted up to 16 in all.
    fn from_decimal(bytes: &[u8]) -> Option<Self> {
        let first = *bytes.first()?;
        let mut wide = if first >= 0x80 { [0xFF; 16] } else { [0; 16] };
        let start = wide.len().checked_sub(bytes.len())?;
        wide[start..].copy_from_slice(bytes);
        i64::try_from(i128::from_be_bytes(wide)).ok().and_then(Self::from_nanos)
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}${}", self.sign(), self.digits()))
    }
}

impl FromStr for Usd {
    type Err = ParseUsdError;

    fn from_str(text: &str) -> Result<Self, ParseUsdError> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) || fraction.len() > FRACTION_DIGITS {
            return Err(ParseUsdError);
        }
        let nanos: i64 = format!("{whole}{fraction:0<FRACTION_DIGITS$}").parse().map_err(|_| ParseUsdError)?;
        Self::from_nanos(if negative { -nanos } else { nanos }).ok_or(ParseUsdError)
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{}{}", self.sign(), self.digits()))
        } else {
            serializer.serialize_bytes(&self.to_decimal())
        }
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(UsdVisitor)
        } else {
            deserializer.deserialize_byte_buf(UsdVisitor)
        }
    }
}

struct UsdVisitor;

impl Visitor<'_> for UsdVisitor {
    type Value = Usd;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount in us dollars")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Usd, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, dollars: i64) -> Result<Usd, E> {
        self.visit_str(&dollars.to_string())
    }

    fn visit_u64<E: de::Error>(self, dollars: u64) -> Result<Usd, E> {
        self.visit_str(&dollars.to_string())
    }

    /// The shortest text that reads back as this number is the text that was written.
    fn visit_f64<E: de::Error>(self, dollars: f64) -> Result<Usd, E> {
        self.visit_str(&dollars.to_string())
    }

    fn visit_bytes<E: de::Error>(self, decimal: &[u8]) -> Result<Usd, E> {
        Usd::from_decimal(decimal).ok_or_else(|| E::custom("not a decimal(18, 9)"))
    }
}

#[cfg(test)]
mod tests;
