#![allow(clippy::unwrap_used)]

use crate::{CheckName, IndexWeights, Input, Thresholds, index_parts, judge};

const SOURCE: &str = "The tenant, Martin Dubois, pays a rent of EUR 1,250 on the first day of each month. The deposit is two \
    months' rent, and the lease runs for three years from 1 March 2021.";
const GOOD: &str = "Martin Dubois pays a rent of EUR 1,250 each month, and the lease runs for three years.";

fn index_of(summary: &str, weights: &IndexWeights) -> f64 {
    let input = Input { source: SOURCE, summary, asked_words: Some(20), finish_reason: "stop", ..Input::default() };
    judge(&input, &Thresholds::default()).index(weights).unwrap()
}

fn usual(summary: &str) -> f64 {
    index_of(summary, &IndexWeights::default())
}

fn only(change: impl FnOnce(&mut IndexWeights)) -> IndexWeights {
    let mut weights = IndexWeights {
        whole: 0.0,
        language: 0.0,
        coverage: 0.0,
        numbers: 0.0,
        names: 0.0,
        repetition: 0.0,
        length: 0.0,
        ..IndexWeights::default()
    };
    change(&mut weights);
    weights
}

#[track_caller]
fn is(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
}

#[test]
fn a_faithful_summary_has_nearly_one_and_faults_cost() {
    let good = usual(GOOD);
    assert!((0.95..=1.0).contains(&good), "{good}");
    for worse in [
        "Martin Dubois pays a rent of EUR 1,520 each month, and the lease runs for three years.",
        "Edgar Quarrington pays a rent of EUR 1,250 each month, and the lease runs for three years.",
        "Martin Dubois pays a rent of EUR 1,250 each month, and the lease runs for",
        "Rent is paid.",
        "Martin Dubois pays a rent of EUR 1,250 each month. Martin Dubois pays a rent of EUR 1,250 each month.",
    ] {
        assert!(usual(worse) < good - 0.02, "{worse}: {}", usual(worse));
    }
}

#[test]
fn no_words_and_a_refusal_have_the_index_zero() {
    is(usual(""), 0.0);
    is(usual("…"), 0.0);
    is(usual("I'm sorry, but I cannot summarize this."), 0.0);
}

/// What a refit gets is what the index is made of, in one order.
#[test]
fn weights_and_parts_have_one_order() {
    let weights = IndexWeights::default();
    assert_eq!(IndexWeights::of(weights.by_name().map(|(_, weight)| weight)), weights);
    let input =
        Input { source: SOURCE, summary: GOOD, asked_words: Some(20), finish_reason: "stop", ..Input::default() };
    let found = judge(&input, &Thresholds::default());
    let check = |name: CheckName| found.checks.iter().find(|check| check.name == name.as_str());
    let parts = index_parts(|name| check(name).map(|check| (check.passed, check.value)), &found.scores).unwrap();
    for (position, part) in parts.into_iter().enumerate() {
        let mut only = [0.0; 10];
        only[position] = 1.0;
        assert_eq!(found.index(&IndexWeights::of(only)), part, "{position}");
    }
}

#[test]
fn only_ratios_of_weights_count() {
    let double = IndexWeights {
        whole: 0.3,
        language: 0.2,
        coverage: 0.3,
        numbers: 0.5,
        names: 0.3,
        repetition: 0.2,
        length: 0.2,
        ..IndexWeights::default()
    };
    is(index_of(GOOD, &double), usual(GOOD));
}

#[test]
fn each_part_is_what_its_weight_says() {
    let numbers = only(|weights| weights.numbers = 1.0);
    is(index_of(GOOD, &numbers), 1.0);
    is(index_of("The rent is EUR 1,520.", &numbers), 0.5);
    is(index_of("The rent is EUR 1,520 for 7 years.", &numbers), 1.0 / 3.0);
    let length = only(|weights| weights.length = 1.0);
    is(index_of("Rent is due.", &length), 0.3);
    is(index_of(&"rent ".repeat(15), &length), 1.0);
    is(index_of(&"rent ".repeat(30), &length), 0.5);
    is(index_of(&"rent ".repeat(50), &length), 0.0);
    is(index_of("The tenant is French.", &only(|weights| weights.novelty = 1.0)), 2.0 / 3.0);
}

/// A part that was not measured takes no part: here there is no reference, and no model tells its
/// probabilities.
#[test]
fn what_was_not_measured_is_left_out() {
    let weights = IndexWeights { reference: 5.0, confidence: 5.0, ..IndexWeights::default() };
    is(index_of(GOOD, &weights), usual(GOOD));
    let input = Input { source: SOURCE, summary: GOOD, ..Input::default() };
    let judgement = judge(&input, &Thresholds::default());
    assert_eq!(judgement.index(&only(|weights| weights.reference = 1.0)), None);
}

#[test]
fn a_reference_counts_where_the_weights_say_so() {
    let of = |weights: &IndexWeights| {
        let input = Input { source: SOURCE, summary: GOOD, reference: Some(GOOD), ..Input::default() };
        judge(&input, &Thresholds::default()).index(weights).unwrap()
    };
    is(of(&only(|weights| weights.reference = 1.0)), 1.0);
}
