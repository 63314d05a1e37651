//! How far two raters agree, beyond what chance would give.
//!
//! Cohen's kappa is for verdicts on a short scale: 1 is full agreement, 0 what chance gives, less
//! than 0 is worse. Spearman's rank correlation is for scores, such as a judge's beside people's:
//! it does not mind that one rater is milder than the other.

use crate::StatisticsError;
use crate::numbers::{mean, require_count, require_equal_lengths, require_finite};

/// How much two different verdicts disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disagreement {
    /// Any two different verdicts disagree wholly: for verdicts without an order.
    Plain,
    /// By the distance on the scale.
    Linear,
    /// By the square of the distance on the scale.
    Quadratic,
}

impl Disagreement {
    fn between(self, left: usize, right: usize) -> f64 {
        let distance = left.abs_diff(right) as f64;
        match self {
            Self::Plain => distance.min(1.0),
            Self::Linear => distance,
            Self::Quadratic => distance * distance,
        }
    }
}

/// Longest scale of verdicts: the table of verdicts has this number's square of cells.
pub const MAX_CATEGORIES: usize = 256;

/// Cohen's kappa of two raters' verdicts on the same documents.
///
/// `pairs`: both raters' verdicts, each a position on a scale of `categories` verdicts, from 0.
/// Equal to scikit-learn's `cohen_kappa_score` with all labels given. Cohen 1960 and 1968.
///
/// # Errors
/// `too_few_values` without pairs; `value_out_of_range` for a verdict that is not on the scale, or
/// a scale longer than [`MAX_CATEGORIES`]; `figure_undefined` if both raters gave one and the same
/// verdict throughout, so that chance would agree as well.
pub fn kappa(pairs: &[(usize, usize)], categories: usize, disagreement: Disagreement) -> Result<f64, StatisticsError> {
    require_count("verdicts", pairs.len(), 1)?;
    if categories > MAX_CATEGORIES {
        let value = categories as f64;
        return Err(StatisticsError::OutOfRange { what: "the length of the scale", value, allowed: "at most 256" });
    }
    let (mut left, mut right) = (vec![0_u64; categories], vec![0_u64; categories]);
    let mut observed = 0.0;
    for &(first, second) in pairs {
        if first.max(second) >= categories {
            let value = first.max(second) as f64;
            return Err(StatisticsError::OutOfRange { what: "a verdict", value, allowed: "a position on its scale" });
        }
        left[first] += 1;
        right[second] += 1;
        observed += disagreement.between(first, second);
    }
    let count = pairs.len() as f64;
    let mut expected = 0.0;
    for (first, lefts) in left.iter().enumerate() {
        for (second, rights) in right.iter().enumerate() {
            expected += disagreement.between(first, second) * *lefts as f64 * (*rights as f64 / count);
        }
    }
    if expected == 0.0 {
        return Err(StatisticsError::Undefined { what: "kappa", why: "both gave one and the same verdict throughout" });
    }
    Ok(1.0 - observed / expected)
}

/// Spearman's rank correlation of two raters' scores of the same documents: -1 to 1.
///
/// Equal scores share the mean of their ranks, as in scipy's `spearmanr`.
///
/// # Errors
/// `lengths_differ`; `too_few_values` below two pairs; `value_not_finite`; `figure_undefined` if a
/// rater gave one score throughout.
pub fn spearman(left: &[f64], right: &[f64]) -> Result<f64, StatisticsError> {
    require_equal_lengths("scores", left.len(), right.len())?;
    require_count("pairs of scores", left.len(), 2)?;
    require_finite("the first rater's scores", left)?;
    require_finite("the second rater's scores", right)?;
    let (left, right) = (ranks(left), ranks(right));
    let centre = mean(left.iter().copied());
    let products = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - centre) * (b - centre)).sum::<f64>();
    let spread = products(&left, &left) * products(&right, &right);
    if spread == 0.0 {
        return Err(StatisticsError::Undefined { what: "the rank correlation", why: "one rater gave one score only" });
    }
    Ok((products(&left, &right) / spread.sqrt()).clamp(-1.0, 1.0))
}

/// The rank of each value, from 1; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    // 0.0 for -0.0, which `total_cmp` would tell apart.
    let values: Vec<f64> = values.iter().map(|value| value + 0.0).collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&left, &right| values[left].total_cmp(&values[right]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equal in order.chunk_by(|&left, &right| values[left].total_cmp(&values[right]).is_eq()) {
        let rank = f64::midpoint((before + 1) as f64, (before + equal.len()) as f64);
        for &position in equal {
            ranks[position] = rank;
        }
        before += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests;
