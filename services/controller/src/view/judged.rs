//! What a judge said of the summaries of one day: sums, each document weighted by the reciprocal of
//! the probability with which it was chosen.

use precis_schemas::{Evaluation, JudgeScores};
use precis_statistics::estimate::{JudgedSample, Products};
use serde::Serialize;

use super::key::model_name;
use super::{Bounded, Merge};

/// A score's unit: a millionth, as of [`super::Moments`].
const UNITS: f64 = 1e6;

/// A weight's unit: a ten-thousandth.
const WEIGHT_UNITS: f64 = 1e4;

/// A smaller probability counts as it. Up to 10^12 documents of a series no sum overflows.
const MIN_PROBABILITY: f64 = 1e-6;

/// Most codes of failures, and most judges, that are kept apart.
const MAX_NAMES: usize = 16;

/// Who judged, where the record does not say it.
const NONE: &str = "none";

/// What a judge is asked about, each from 1 (bad) to 5 (good).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// Whether the text supports each statement.
    Faithfulness,
    /// Whether the summary has what matters of the text.
    Coverage,
    /// Whether it reads as one text.
    Coherence,
    /// Whether it has nothing to spare.
    Conciseness,
}

impl Criterion {
    /// All, in the order of their positions in a tally.
    pub const ALL: [Self; 4] = [Self::Faithfulness, Self::Coverage, Self::Coherence, Self::Conciseness];

    /// The name in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Faithfulness => "faithfulness",
            Self::Coverage => "coverage",
            Self::Coherence => "coherence",
            Self::Conciseness => "conciseness",
        }
    }

    /// The numbers of all, each from 1 to 5 whatever the record has.
    pub fn numbers(scores: &JudgeScores) -> [u8; Self::ALL.len()] {
        let JudgeScores { faithfulness, coverage, coherence, conciseness, .. } = *scores;
        [faithfulness, coverage, coherence, conciseness].map(|number| number.clamp(1, 5) as u8)
    }
}

/// Counts and weighted sums over the first opinions on summaries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judged {
    /// Documents by judge.
    judges: Bounded<String, u64, MAX_NAMES>,
    /// Documents whose judge is the model that wrote the summary.
    same_model: u64,
    failures: Bounded<String, u64, MAX_NAMES>,
    /// Σ w of the judged.
    weight: i128,
    /// Σ w times the number of each criterion.
    criteria: [i128; Criterion::ALL.len()],
    /// Sums over those of the judged that have a quality index.
    indexed: Sums,
    /// Σ w and Σ w² of those with a quality index, with those that the judge failed on.
    asked: [i128; 2],
}

/// Σ w, Σ w z, Σ w x, Σ w z², Σ w z x, Σ w x², and the same with w²; z: score, x: index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sums {
    documents: u64,
    weighted: [i128; 6],
    squared: [i128; 6],
}

impl Judged {
    /// Counts a first opinion that was asked for with this weight.
    pub(super) fn add(&mut self, evaluation: &Evaluation, weight: Weight) {
        let index = evaluation.quality_index.filter(|index| index.is_finite());
        if index.is_some() {
            add(&mut self.asked, [weight.0, weight.0 * weight.0]);
        }
        let scores = evaluation.scores.filter(|scores| scores.score.is_finite());
        let Some(scores) = scores else {
            let code = evaluation.code.as_deref().unwrap_or(NONE);
            *self.failures.slot(code.to_owned()) += 1;
            return;
        };
        let judge = evaluation.judge.as_ref().map_or_else(|| NONE.to_owned(), model_name);
        *self.judges.slot(judge) += 1;
        self.same_model += u64::from(evaluation.same_model);
        self.weight = self.weight.saturating_add(weight.0);
        add(&mut self.criteria, Criterion::numbers(&scores).map(|number| weight.0 * i128::from(number)));
        if let Some(index) = index {
            self.indexed.add(weight, scores.score, index);
        }
    }

    /// Documents that were judged.
    pub fn documents(&self) -> u64 {
        self.judges().map(|(_, count)| count).sum()
    }

    /// Documents by the model that judged.
    pub fn judges(&self) -> impl Iterator<Item = (&str, u64)> {
        by_name(&self.judges)
    }

    /// Documents whose judge is the model that wrote the summary.
    pub fn same_model(&self) -> u64 {
        self.same_model
    }

    /// Documents that the judge failed on, by code.
    pub fn failures(&self) -> impl Iterator<Item = (&str, u64)> {
        by_name(&self.failures)
    }

    /// The weighted mean of a criterion, 1 to 5; `None` where nothing was judged.
    pub fn criterion(&self, criterion: Criterion) -> Option<f64> {
        (self.weight > 0).then(|| self.criteria[criterion as usize] as f64 / self.weight as f64)
    }

    /// The sums that an estimate over all summaries is made of.
    pub fn sample(&self) -> JudgedSample {
        let Sums { documents, weighted, squared } = self.indexed;
        let [judge, index] = [1, 2].map(|at| weighted[at] as f64 / (weighted[0] as f64).max(1.0));
        // About the weighted means, from sums that are exact.
        let products = |sums: [i128; 6], units: f64| {
            let [ones, z, x, zz, zx, xx] = sums.map(|sum| sum as f64 / units);
            Products {
                judge: (zz - 2.0 * judge * z + judge * judge * ones).max(0.0) / UNITS.powi(2),
                both: (zx - judge * x - index * z + judge * index * ones) / UNITS.powi(2),
                index: (xx - 2.0 * index * x + index * index * ones).max(0.0) / UNITS.powi(2),
            }
        };
        JudgedSample {
            documents,
            weight: weighted[0] as f64 / WEIGHT_UNITS,
            squared_weight: squared[0] as f64 / WEIGHT_UNITS.powi(2),
            judge: judge / UNITS,
            index: index / UNITS,
            weighted: products(weighted, WEIGHT_UNITS),
            squared: products(squared, WEIGHT_UNITS.powi(2)),
            asked_weight: self.asked[0] as f64 / WEIGHT_UNITS,
            asked_squared_weight: self.asked[1] as f64 / WEIGHT_UNITS.powi(2),
        }
    }
}

impl Merge for Judged {
    fn merge(&mut self, other: Self) {
        self.judges.merge(other.judges);
        self.same_model += other.same_model;
        self.failures.merge(other.failures);
        self.weight = self.weight.saturating_add(other.weight);
        add(&mut self.criteria, other.criteria);
        self.indexed.documents += other.indexed.documents;
        add(&mut self.indexed.weighted, other.indexed.weighted);
        add(&mut self.indexed.squared, other.indexed.squared);
        add(&mut self.asked, other.asked);
    }
}

impl Sums {
    fn add(&mut self, Weight(weight): Weight, score: f64, index: f64) {
        let [z, x] = [score, index].map(|value| (value.clamp(0.0, 1.0) * UNITS).round() as i128);
        let values = [1, z, x, z * z, z * x, x * x];
        self.documents += 1;
        add(&mut self.weighted, values.map(|value| weight * value));
        add(&mut self.squared, values.map(|value| weight * weight * value));
    }
}

/// The reciprocal of a probability, in whole units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weight(i128);

impl Weight {
    /// `None` for a number that is no probability, or 0.
    pub(super) fn of(probability: f64) -> Option<Self> {
        let is_one = probability > 0.0 && probability <= 1.0;
        is_one.then(|| Self((WEIGHT_UNITS / probability.max(MIN_PROBABILITY)).round() as i128))
    }
}

fn add<const N: usize>(sums: &mut [i128; N], more: [i128; N]) {
    sums.iter_mut().zip(more).for_each(|(own, more)| *own = own.saturating_add(more));
}

/// What goes beyond [`MAX_NAMES`] is `other`.
fn by_name(counts: &Bounded<String, u64, MAX_NAMES>) -> impl Iterator<Item = (&str, u64)> {
    let kept = counts.kept().map(|(name, count)| (name.as_str(), *count));
    kept.chain(counts.other().map(|count| ("other", *count)))
}
