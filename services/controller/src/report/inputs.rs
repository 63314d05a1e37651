//! How the documents of a group changed: length, language and type.
//!
//! With thousands of documents a test finds differences that matter to nobody. So a feature moved
//! only if it is far from the baseline and chance does not explain it: both, see
//! [`precis_statistics::drift`].

use std::collections::BTreeMap;

use precis_statistics::cause::Reading;
use precis_statistics::drift::{adjusted, align, chi_square, kolmogorov_smirnov_of_counts, population_stability};
use serde::Serialize;

use super::{Keyed, MIN_DOCUMENTS, OTHER, Windows};
use crate::calendar::Days;
use crate::view::{Axis, Lengths, Merge as _};

/// Population stability index, less what chance makes of it, from which on a feature moved: by
/// custom 0.1 is worth a look.
pub const MIN_DISTANCE: f64 = 0.1;

/// Largest p-value, adjusted for the number of features, of one that moved.
pub const MAX_CHANCE: f64 = 0.01;

/// Values with fewer documents in both windows together are put together, since the test of counts
/// is none for rare values.
const MIN_OF_A_VALUE: u64 = 10;

/// One feature of the documents in both windows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InputChange {
    /// The feature: length, language or type.
    pub feature: &'static str,
    /// The population stability index; `None` where a window has less than 50 documents.
    pub distance: Option<f64>,
    /// What chance alone makes of it.
    pub by_chance: Option<f64>,
    /// Probability of such a difference if nothing changed, adjusted for the number of features; by
    /// Kolmogorov and Smirnov's test for lengths, by chi-square for the others.
    pub p_value: Option<f64>,
    /// Whether the feature moved.
    pub reading: Reading,
}

/// The counts of a feature in the baseline and in the current window.
type Counts = (Vec<u64>, Vec<u64>);

/// Every feature of the group's documents.
pub(super) fn changes(own: &[Keyed<'_>], windows: &Windows) -> Vec<InputChange> {
    let Some(baseline) = windows.baseline else { return Vec::new() };
    let by = |axis| rare_together(align(&values(own, axis, baseline), &values(own, axis, windows.current)));
    let of_length = (lengths(own, baseline), lengths(own, windows.current));
    let length_p = kolmogorov_smirnov_of_counts(&of_length.0, &of_length.1).map(|found| found.p_value);
    let (languages, types) = (by(Axis::Language), by(Axis::Type));
    let by_category = |counts: &Counts| chi_square(&counts.0, &counts.1).map(|found| found.p_value);
    let (language_p, type_p) = (by_category(&languages), by_category(&types));
    let features = [
        ("length", of_length, length_p),
        (Axis::Language.as_str(), languages, language_p),
        (Axis::Type.as_str(), types, type_p),
    ];
    // One value in both windows is no test, and no difference.
    let p_values =
        features.each_ref().map(|(_, _, p_value)| p_value.as_ref().map_or(1.0, |value| value.clamp(0.0, 1.0)));
    let p_values = adjusted(&p_values).unwrap_or_else(|_| p_values.to_vec());
    features
        .into_iter()
        .zip(p_values)
        .map(|((feature, counts, _), p_value)| change(feature, &counts, p_value))
        .collect()
}

fn change(feature: &'static str, counts: &Counts, p_value: f64) -> InputChange {
    let (before, now) = counts;
    let has_few = [before, now].iter().any(|counts| counts.iter().sum::<u64>() < MIN_DOCUMENTS);
    if has_few {
        return InputChange { feature, distance: None, by_chance: None, p_value: None, reading: Reading::Unknown };
    }
    let filled: Vec<_> = before.iter().zip(now).filter(|(before, now)| **before + **now > 0).collect();
    let (before, now): Counts = filled.into_iter().map(|(before, now)| (*before, *now)).unzip();
    let (distance, by_chance) =
        population_stability(&before, &now).map_or((0.0, 0.0), |found| (found.index, found.by_chance));
    let has_moved = p_value <= MAX_CHANCE && distance - by_chance >= MIN_DISTANCE;
    InputChange {
        feature,
        distance: Some(distance),
        by_chance: Some(by_chance),
        p_value: Some(p_value),
        reading: if has_moved { Reading::Moved } else { Reading::Steady },
    }
}

/// Documents by their value on an axis.
fn values(own: &[Keyed<'_>], axis: Axis, days: Days) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (key, series) in own {
        let value = key.map_or(OTHER, |key| key.value(axis));
        *counts.entry(value.to_owned()).or_default() += series.documents_during(days);
    }
    counts
}

fn lengths(own: &[Keyed<'_>], days: Days) -> Vec<u64> {
    let mut all = Lengths::default();
    for (_, series) in own {
        for (_, tally) in series.days().filter(|(day, _)| days.contains(*day)) {
            all.merge(tally.lengths().clone());
        }
    }
    all.counts().to_vec()
}

fn rare_together((before, now): Counts) -> Counts {
    let (frequent, rare): (Vec<_>, Vec<_>) =
        before.into_iter().zip(now).partition(|(before, now)| before + now >= MIN_OF_A_VALUE);
    let rare = rare.into_iter().fold((0, 0), |sum, (before, now)| (sum.0 + before, sum.1 + now));
    frequent.into_iter().chain([rare]).filter(|(before, now)| before + now > 0).unzip()
}
