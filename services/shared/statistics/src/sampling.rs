//! Who is judged and who is reviewed: a choice by a hash of the identity.
//!
//! A [`Sampler`] gives each identity a [`Place`] between 0 and 1, which depends on the salt and the
//! identity alone. The identity is chosen by every rate above its place. So:
//!
//! - **Deterministic**: a redelivery, another process and a later replay choose the same.
//! - **Nested**: under one sampler, whoever is chosen at 5 % is chosen at 10 %. A review of a
//!   document that the judge has scored thus has both.
//! - **Stratified**: a rate by stratum, in [`Rates`]; the hash is the same.
//! - **Known probability**: the rate is the probability of inclusion. It travels with the choice,
//!   so that [`crate::estimate`] can weight what was seen.
//!
//! Samples of different salts are independent of each other. A share of the reviews that is to be
//! reviewed twice, for example, has a salt of its own.
//!
//! [`allocate`] says where a budget of reviews narrows the figure most.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::StatisticsError;
use crate::numbers::{require_positive, require_unit};

/// A share of the documents, and the probability that a document is among them: 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Rate(f64);

impl Rate {
    /// Nobody.
    pub const NONE: Self = Self(0.0);
    /// Everybody.
    pub const ALL: Self = Self(1.0);

    /// A rate of `value`, 1 being everybody.
    ///
    /// # Errors
    /// `value_out_of_range` unless 0 ≤ `value` ≤ 1.
    pub fn new(value: f64) -> Result<Self, StatisticsError> {
        require_unit("the rate", value)?;
        Ok(Self(value))
    }

    /// The rate as a number.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Rate {
    type Error = StatisticsError;

    fn try_from(value: f64) -> Result<Self, StatisticsError> {
        Self::new(value)
    }
}

impl From<Rate> for f64 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

/// Rates by stratum, such as a document type at a tier.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Rates {
    /// For every stratum without a rate of its own.
    pub default: Rate,
    /// Rates of single strata, by name.
    #[serde(default)]
    pub strata: BTreeMap<String, Rate>,
}

impl Rates {
    /// The rate of a stratum.
    pub fn of(&self, stratum: &str) -> Rate {
        self.strata.get(stratum).copied().unwrap_or(self.default)
    }
}

/// Where an identity lies between 0 (chosen first) and 1, which it never reaches.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Place(f64);

impl Place {
    /// The place as a number.
    pub fn value(self) -> f64 {
        self.0
    }

    /// Whether the identity is in the sample of this rate.
    pub fn is_in(self, rate: Rate) -> bool {
        self.0 < rate.0
    }
}

/// Gives identities their places under one salt.
#[derive(Debug, Clone)]
pub struct Sampler {
    salted: Sha256,
}

impl Sampler {
    /// A sampler of this salt: the name of what the sample is for, and a number to be raised when
    /// other documents are to be chosen.
    pub fn new(salt: &str) -> Self {
        let mut salted = Sha256::new();
        add(&mut salted, "precis sample v1");
        add(&mut salted, salt);
        Self { salted }
    }

    /// The place of an identity, given as its fields: tenant, document id, revision.
    ///
    /// Fields are hashed with their lengths, so `["ab", "c"]` and `["a", "bc"]` are two identities.
    pub fn place(&self, identity: &[&str]) -> Place {
        let mut hash = self.salted.clone();
        for field in identity {
            add(&mut hash, field);
        }
        let digest = hash.finalize();
        let bits = u64::from_be_bytes(digest[..8].try_into().expect("SHA-256 has 32 bytes"));
        Place((bits >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

fn add(hash: &mut Sha256, field: &str) {
    hash.update((field.len() as u64).to_be_bytes());
    hash.update(field.as_bytes());
}

/// A deviation below it counts as none: scores have fewer digits.
const NO_DEVIATION: f64 = 1e-9;

/// A stratum whose rate is to be found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uncertainty {
    /// Documents of the stratum in the time that the budget is for.
    pub documents: f64,
    /// Standard deviation of what a label adds to the prediction: label less judge's score.
    pub deviation: f64,
}

/// The rates at which `budget` labels narrow the figure over all strata most (Neyman's allocation:
/// in proportion to the deviation), each between `least` and 1.
///
/// The least rate keeps every stratum in the figure: a deviation that was estimated as 0 may be
/// wrong. Where the least rates alone cost more than the budget, they are the answer. `budget`:
/// labels in the same time as the documents.
///
/// # Errors
/// `value_out_of_range` for a number of documents, a deviation or a budget that is negative or not
/// finite.
pub fn allocate(strata: &[Uncertainty], budget: f64, least: Rate) -> Result<Vec<Rate>, StatisticsError> {
    for stratum in strata {
        for value in [stratum.documents, stratum.deviation] {
            if !(value.is_finite() && value >= 0.0) {
                let allowed = "0 or a number above 0";
                return Err(StatisticsError::OutOfRange { what: "a stratum's size or deviation", value, allowed });
            }
        }
    }
    require_positive("the budget of labels", budget)?;
    let deviation = |stratum: &Uncertainty| if stratum.deviation < NO_DEVIATION { 0.0 } else { stratum.deviation };
    let rate = |stratum: &Uncertainty, scale: f64| (scale * deviation(stratum)).clamp(least.0, 1.0);
    let cost = |scale: f64| strata.iter().map(|stratum| stratum.documents * rate(stratum, scale)).sum::<f64>();
    // The cost grows with the scale, until every stratum with a deviation is seen whole.
    let positive = strata.iter().map(deviation).filter(|deviation| *deviation > 0.0);
    let (mut low, mut high) = (0.0, positive.fold(0.0, |high: f64, deviation| high.max(deviation.recip())));
    if cost(high) <= budget {
        low = high;
    } else {
        for _ in 0..100 {
            let middle = f64::midpoint(low, high);
            if cost(middle) <= budget {
                low = middle;
            } else {
                high = middle;
            }
        }
    }
    Ok(strata.iter().map(|stratum| Rate(rate(stratum, low))).collect())
}

#[cfg(test)]
mod tests;
