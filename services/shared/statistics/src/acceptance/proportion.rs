//! Clopper and Pearson's bounds of a proportion (Biometrika 1934): exact, whatever the number.

use crate::numbers::{Confidence, Interval, require_count};
use crate::{StatisticsError, special};

fn check(count: u64, trials: u64) -> Result<(), StatisticsError> {
    require_count("trials", usize::try_from(trials).unwrap_or(usize::MAX), 1)?;
    if count > trials {
        let value = count as f64;
        return Err(StatisticsError::OutOfRange { what: "the count", value, allowed: "at most the trials" });
    }
    Ok(())
}

/// The interval that covers a proportion with at least this confidence, after `count` of `trials`.
///
/// Equal to scipy's `binomtest(count, trials).proportion_ci(method="exact")`.
///
/// # Errors
/// `too_few_values` without trials; `value_out_of_range` for more counted than tried.
pub fn proportion_interval(count: u64, trials: u64, confidence: Confidence) -> Result<Interval, StatisticsError> {
    check(count, trials)?;
    let tail = 0.5 * confidence.error();
    Ok(Interval { low: lower(count, trials, tail), high: upper(count, trials, tail) })
}

/// The bound that a proportion exceeds with at most 1 - confidence, after `count` of `trials`.
///
/// # Errors
/// `too_few_values` without trials; `value_out_of_range` for more counted than tried.
pub fn proportion_upper_bound(count: u64, trials: u64, confidence: Confidence) -> Result<f64, StatisticsError> {
    check(count, trials)?;
    Ok(upper(count, trials, confidence.error()))
}

fn lower(count: u64, trials: u64, tail: f64) -> f64 {
    if count == 0 {
        return 0.0;
    }
    special::beta_quantile(tail, count as f64, (trials - count) as f64 + 1.0)
}

fn upper(count: u64, trials: u64, tail: f64) -> f64 {
    if count == trials {
        return 1.0;
    }
    // Mirrored, so that a small tail keeps its precision.
    1.0 - special::beta_quantile(tail, (trials - count) as f64, count as f64 + 1.0)
}
