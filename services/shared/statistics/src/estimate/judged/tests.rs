//! Tests of the judge's mean, among them 2,000 simulated days for each way of sampling.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::Random;

/// Simulated days.
const RUNS: u32 = 2000;

const CONFIDENCE: Confidence = Confidence::NINETY_FIVE_PERCENT;

/// A document that was chosen.
#[derive(Clone, Copy)]
struct Chosen {
    /// `None` where the judge failed.
    judge: Option<f64>,
    index: f64,
    probability: f64,
}

fn sample(chosen: &[Chosen]) -> JudgedSample {
    let weight = |chosen: &Chosen| 1.0 / chosen.probability;
    let judged: Vec<_> = chosen.iter().filter_map(|one| Some((one.judge?, one.index, weight(one)))).collect();
    let total: f64 = judged.iter().map(|(_, _, weight)| weight).sum();
    let mean = |of: fn(&(f64, f64, f64)) -> f64| judged.iter().map(|one| one.2 * of(one)).sum::<f64>() / total;
    let (judge, index) = (mean(|one| one.0), mean(|one| one.1));
    let products = |times: fn(f64) -> f64| {
        let mut sums = Products::default();
        for (z, x, weight) in &judged {
            sums.judge += times(*weight) * (z - judge).powi(2);
            sums.both += times(*weight) * (z - judge) * (x - index);
            sums.index += times(*weight) * (x - index).powi(2);
        }
        sums
    };
    JudgedSample {
        documents: judged.len() as u64,
        weight: total,
        squared_weight: judged.iter().map(|(_, _, weight)| weight.powi(2)).sum(),
        judge,
        index,
        weighted: products(|weight| weight),
        squared: products(|weight| weight.powi(2)),
        asked_weight: chosen.iter().map(weight).sum(),
        asked_squared_weight: chosen.iter().map(|one| weight(one).powi(2)).sum(),
    }
}

fn all(index: &[f64]) -> Sample {
    let mean = index.iter().sum::<f64>() / index.len() as f64;
    Sample { count: index.len() as u64, mean, variance: 0.0 }
}

/// A day: how documents are, and how they are chosen.
#[derive(Debug)]
struct Day {
    documents: usize,
    /// Deviation of what the index does not know, in the judge's scores.
    noise: f64,
    /// Probability for a usual document, and for one with a low index.
    rates: [f64; 2],
    /// The share of those asked on which the judge fails.
    failures: f64,
}

/// An index below it is low.
const UNCERTAIN_BELOW: f64 = 0.7;

/// What 2,000 days show.
#[derive(Debug)]
struct Shown {
    covered: f64,
    covered_alone: f64,
    width: f64,
    width_alone: f64,
    bias: f64,
    judged: f64,
}

/// The index is biased: it is too mild by 0.17 on average, most where the summary is bad. A mean
/// that does not weigh would be too low, since bad documents are judged more often.
fn simulate(seed: u64, day: &Day) -> Shown {
    let mut random = Random::new(seed);
    let truth = 0.6;
    let mut shown = Shown { covered: 0.0, covered_alone: 0.0, width: 0.0, width_alone: 0.0, bias: 0.0, judged: 0.0 };
    for _ in 0..RUNS {
        let (mut index, mut chosen) = (Vec::new(), Vec::new());
        for _ in 0..day.documents {
            // From 0.3 to 0.9.
            let quality = truth + 0.3 * (2.0 * random.unit() - 1.0);
            // In sixteenths, as a judge's scores are; rounded by chance, so that the mean stays.
            let judge = (16.0 * (quality + day.noise * (2.0 * random.unit() - 1.0)) + random.unit()).floor() / 16.0;
            let own = 0.5 + 0.45 * quality;
            let rate = day.rates[usize::from(own < UNCERTAIN_BELOW)];
            index.push(own);
            if random.happens(rate) {
                let judge = (!random.happens(day.failures)).then_some(judge);
                chosen.push(Chosen { judge, index: own, probability: rate });
            }
        }
        let found = judged_mean(&sample(&chosen), &all(&index), CONFIDENCE).unwrap();
        shown.covered += f64::from(u8::from(found.interval.contains(truth)));
        shown.covered_alone += f64::from(u8::from(found.judge_alone.contains(truth)));
        shown.width += found.interval.width();
        shown.width_alone += found.judge_alone.width();
        shown.bias += found.value - truth;
        shown.judged += chosen.len() as f64;
    }
    let runs = f64::from(RUNS);
    let Shown { covered, covered_alone, width, width_alone, bias, judged } = shown;
    Shown {
        covered: covered / runs,
        covered_alone: covered_alone / runs,
        width: width / runs,
        width_alone: width_alone / runs,
        bias: bias / runs,
        judged: judged / runs,
    }
}

/// Documents chosen at 10 %, and at 30 % where their index is low.
const USUAL: Day = Day { documents: 1000, noise: 0.1, rates: [0.1, 0.3], failures: 0.0 };

/// Coverage is 95 % ± 1 over 2,000 runs, the index's bias is gone, and the interval is half as wide
/// as that of the judge's sample alone: what four times as many judged documents would give.
#[test]
fn a_biased_index_narrows_the_interval_and_coverage_stays() {
    let shown = simulate(1, &USUAL);
    assert!((0.94..=0.96).contains(&shown.covered), "{shown:?}");
    assert!((0.94..=0.96).contains(&shown.covered_alone), "{shown:?}");
    assert!(shown.width < 0.55 * shown.width_alone, "{shown:?}");
    assert!(shown.bias.abs() < 0.001, "{shown:?}");
}

/// The same with a fifth of failures, with rates that are fifteen times apart, where half or more
/// of the documents are judged, and where all are.
#[test]
fn coverage_stays_with_failures_and_other_rates() {
    for (seed, day) in [
        (1, Day { failures: 0.2, ..USUAL }),
        (2, Day { documents: 4000, rates: [0.02, 0.3], ..USUAL }),
        (3, Day { documents: 400, rates: [0.5, 1.0], ..USUAL }),
        (4, Day { documents: 400, rates: [1.0, 1.0], ..USUAL }),
        (5, Day { documents: 400, rates: [1.0, 1.0], failures: 0.2, ..USUAL }),
    ] {
        let shown = simulate(seed, &day);
        assert!((0.94..=0.96).contains(&shown.covered), "{day:?}: {shown:?}");
        assert!(shown.width <= shown.width_alone && shown.bias.abs() < 0.001, "{day:?}: {shown:?}");
    }
}

/// Chosen documents of equal weights: judge's scores in sixteenths, an index that follows them.
fn hundred(probability: f64) -> Vec<Chosen> {
    let one = |number: u32| {
        let judge = f64::from(number % 17) / 16.0;
        Chosen { judge: Some(judge), index: 0.5 + 0.4 * judge, probability }
    };
    (0..100).map(one).collect()
}

/// With a probability of 1 the interval is Student's, whatever the index is.
#[test]
fn documents_that_are_all_judged_have_the_interval_of_student() {
    let all_judged = hundred(1.0);
    let index: Vec<f64> = all_judged.iter().map(|one| one.index).collect();
    let found = judged_mean(&sample(&all_judged), &all(&index), CONFIDENCE).unwrap();
    let scores: Vec<f64> = all_judged.iter().filter_map(|one| one.judge).collect();
    let mean = scores.iter().sum::<f64>() / 100.0;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / 99.0;
    let student = Sample { count: 100, mean, variance }.interval(CONFIDENCE).unwrap();
    assert!((found.interval.low - student.low).abs() < 1e-9 && (found.interval.high - student.high).abs() < 1e-9);
    assert!(found.index_trust == 0.0 && found.covered >= 1.0 && (found.value - mean).abs() < 1e-12, "{found:?}");
}

/// A tenth of the documents is judged, but the judge was switched on in the middle: the mean index
/// over all of them is of other documents, and is not used.
#[test]
fn documents_that_could_not_be_chosen_are_not_covered() {
    let chosen = hundred(0.1);
    let found = judged_mean(&sample(&chosen), &Sample { count: 2000, mean: 0.3, variance: 0.0 }, CONFIDENCE).unwrap();
    assert!((found.covered - 0.5).abs() < 1e-9 && found.index_trust == 0.0, "{found:?}");
    assert_eq!(found.interval, found.judge_alone);
    let found = judged_mean(&sample(&chosen), &Sample { count: 1100, mean: 0.7, variance: 0.0 }, CONFIDENCE).unwrap();
    assert!(found.covered >= 1.0 && found.index_trust > 1.0, "{found:?}");
}

#[test]
fn scores_that_are_all_alike_prove_no_certainty() {
    let alike: Vec<_> = hundred(0.1).into_iter().map(|one| Chosen { judge: Some(1.0), ..one }).collect();
    let found = judged_mean(&sample(&alike), &Sample { count: 1000, mean: 0.7, variance: 0.0 }, CONFIDENCE).unwrap();
    assert!((found.interval.low - 0.025_f64.powf(0.01)).abs() < 1e-9 && found.interval.high >= 1.0, "{found:?}");
}

/// One document of a small probability counts for many, so the sample counts as few.
#[test]
fn too_few_judged_documents_are_told_with_what_would_do() {
    let of = |chosen: &[Chosen]| {
        judged_mean(&sample(chosen), &Sample { count: 1000, mean: 0.7, variance: 0.0 }, CONFIDENCE).unwrap_err()
    };
    let few = |found, needed| StatisticsError::TooFew { what: "judged documents", found, needed };
    assert_eq!(of(&hundred(0.1)[..29]), few(29, 30));
    let mut uneven = hundred(0.5);
    uneven[0].probability = 0.005;
    // (99 × 2 + 200)² / (99 × 4 + 200²) = 3.9 documents.
    assert_eq!(of(&uneven), few(100, 766));
    let empty = judged_mean(&JudgedSample::default(), &Sample::default(), CONFIDENCE).unwrap_err();
    assert_eq!(empty, few(0, 30));
}
