//! The figure over all strata, with its interval: see [`crate::estimate`] for the estimator.

use serde::{Deserialize, Serialize};

use super::MIN_TUNING_LABELS;
use super::coefficients::{Coefficients, Quadratic};
use super::segments::{LEAST_RATE, Layers, Scored, Segments};
use crate::numbers::{Confidence, Interval};
use crate::{StatisticsError, special};

/// The mean of people's labels over all documents, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The estimate for the strata that people review, 0 to 1; `None` if there are none.
    pub value: Option<f64>,
    /// The interval for all documents. What nobody reviews may be anything from 0 to 1.
    pub interval: Interval,
    /// The interval from people's labels alone, to tell what judge and metrics are worth.
    pub people_alone: Interval,
    /// Share of the documents that belong to strata with at least two labels.
    pub covered: f64,
    /// Documents.
    pub documents: u64,
    /// Those that the judge scored.
    pub judged: u64,
    /// Those that people reviewed.
    pub labels: u64,
}

/// Fewest labels of a stratum whose variance can be estimated.
const MIN_LABELS: usize = 2;

/// Residuals with less variance are all alike.
const NO_VARIANCE: f64 = 1e-12;

/// A stratum that people review.
struct Covered {
    segments: Segments,
    /// Its share of all documents.
    weight: f64,
}

/// Estimates the mean of people's labels over all documents of these strata.
///
/// `strata`: the documents of each stratum; within one, rates may differ as long as none is 0.
///
/// # Errors
/// `value_out_of_range` for a score or label outside of 0 to 1, for a reviewed document whose rate
/// of review is 0, and for a stratum in which people review some documents and never see others:
/// make two strata of it.
pub fn figure(strata: &[&[Scored]], confidence: Confidence) -> Result<Figure, StatisticsError> {
    let documents: usize = strata.iter().map(|stratum| stratum.len()).sum();
    let (mut judged, mut labels) = (0, 0);
    let mut covered = Vec::new();
    for stratum in strata {
        for document in *stratum {
            document.check()?;
            let (by_judge, by_person) = match document.layers {
                Layers::Automatic => (false, false),
                Layers::Judged { .. } => (true, false),
                Layers::Reviewed { judge, .. } => (judge.is_some(), true),
            };
            judged += u64::from(by_judge);
            labels += u64::from(by_person);
        }
        if is_covered(stratum)? {
            let weight = stratum.len() as f64 / documents as f64;
            covered.push(Covered { segments: Segments::of(stratum), weight });
        }
    }

    let mut all = Quadratic::default();
    for stratum in &covered {
        all.add(&Quadratic::of(&stratum.segments), stratum.weight.powi(2));
    }
    let covered_labels: usize = covered.iter().map(|stratum| stratum.segments.reviewed.count).sum();
    let of_all = if covered_labels < MIN_TUNING_LABELS { Coefficients::default() } else { all.least().0 };
    let tuned = |segments: &Segments| match segments.reviewed.count {
        0..MIN_TUNING_LABELS => (of_all.usable_in(segments), 0),
        _ => Quadratic::of(segments).least(),
    };
    let (value, interval) = combine(&covered, confidence, tuned);
    let (_, people_alone) = combine(&covered, confidence, |_| (Coefficients::default(), 0));
    let share: f64 = covered.iter().map(|stratum| stratum.weight).sum();
    Ok(Figure { value, interval, people_alone, covered: share.min(1.0), documents: documents as u64, judged, labels })
}

/// Whether the stratum's labels tell about all of its documents.
fn is_covered(stratum: &[Scored]) -> Result<bool, StatisticsError> {
    let reviewed = stratum.iter().filter(|document| matches!(document.layers, Layers::Reviewed { .. })).count();
    if reviewed > 0 && stratum.iter().any(|document| document.person_rate.value() < LEAST_RATE) {
        let allowed = "above 0 where documents of the stratum are reviewed; put those that are not into another";
        return Err(StatisticsError::OutOfRange { what: "a rate of review", value: 0.0, allowed });
    }
    Ok(reviewed >= MIN_LABELS)
}

/// The estimate for the covered strata, and the interval for all documents.
///
/// `choose`: the trust in judge and metrics for a stratum, and how many coefficients of it were
/// estimated from the stratum's own labels.
fn combine(
    strata: &[Covered],
    confidence: Confidence,
    choose: impl Fn(&Segments) -> (Coefficients, usize),
) -> (Option<f64>, Interval) {
    if strata.is_empty() {
        return (None, Interval::UNIT);
    }
    let (mut sum, mut covered, mut variance, mut by_freedom) = (0.0, 0.0, 0.0, 0.0);
    let mut alike = Vec::new();
    for Covered { segments, weight } in strata {
        let (coefficients, estimated) = choose(segments);
        let parts = [
            (&segments.reviewed, coefficients.reviewed(), estimated),
            (&segments.judged, coefficients.judged(), 0),
            (&segments.automatic, coefficients.automatic(), 0),
        ];
        for (moments, coefficients, estimated) in parts.into_iter().filter(|(moments, ..)| moments.count > 1) {
            let whole = moments.count as f64 - 1.0;
            let freedom = whole - estimated as f64;
            let part = weight.powi(2) * moments.variance(coefficients) * whole / freedom;
            sum += weight * moments.mean(coefficients);
            variance += part;
            by_freedom += part.powi(2) / freedom;
        }
        covered += weight;
        let count = segments.reviewed.count as f64;
        if segments.reviewed.variance(coefficients.reviewed()) * count < NO_VARIANCE {
            alike.push(Alike { labels: count, weight: weight * coefficients.range() });
        }
    }
    // Below it the square of the variance has no digits.
    let sampling = if variance > 1e-100 {
        special::student_two_sided_quantile(confidence.value(), variance.powi(2) / by_freedom) * variance.sqrt()
    } else {
        0.0
    };
    let margin = sampling + missed(&alike, 0.5 * confidence.error());
    let uncovered = (1.0 - covered).max(0.0);
    let interval = Interval { low: sum - margin, high: sum + margin + uncovered }.within_unit();
    (Some((sum / covered).clamp(0.0, 1.0)), interval)
}

/// A stratum whose labels are all alike, once judge and metrics are taken off.
struct Alike {
    labels: f64,
    /// How much the figure changes if all documents of the stratum were of another kind.
    weight: f64,
}

/// By how much the figure may be off since documents of another kind were missed by chance.
///
/// If a share q of each stratum is of another kind, the samples miss all of them with probability
/// Π (1 - q)^labels. The result is the largest Σ weight q for which that is at least `tail`: with
/// one stratum 1 - tail^(1 / labels), the bound of Clopper and Pearson. At the largest, 1 - q is
/// λ labels / weight, or 1 where that is more (Lagrange).
fn missed(strata: &[Alike], tail: f64) -> f64 {
    if strata.is_empty() {
        return 0.0;
    }
    let kept = |stratum: &Alike, scale: f64| (scale * stratum.labels / stratum.weight).min(1.0);
    let chance = |scale: f64| strata.iter().map(|stratum| stratum.labels * kept(stratum, scale).ln()).sum::<f64>();
    // Scales as logarithms: few labels keep next to nothing.
    let largest = strata.iter().map(|stratum| stratum.weight / stratum.labels).fold(0.0, f64::max).ln();
    let (mut low, mut high) = (largest - 100.0, largest);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if chance(middle.exp()) < tail.ln() {
            low = middle;
        } else {
            high = middle;
        }
    }
    strata.iter().map(|stratum| stratum.weight * (1.0 - kept(stratum, low.exp()))).sum()
}

#[cfg(test)]
mod tests;
