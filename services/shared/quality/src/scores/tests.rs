#![allow(clippy::unwrap_used)]

use crate::{Input, Scores, Thresholds, check, judge};

const SOURCE: &str =
    "The tenant pays a rent of EUR 1,250 on the first day of each month. The deposit is two months' rent.";

fn scores(summary: &str) -> Scores {
    judge(&Input { source: SOURCE, summary, ..Input::default() }, &Thresholds::default()).scores
}

fn is(found: Option<f64>, expected: f64) {
    assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?} instead of {expected}");
}

#[test]
fn what_is_copied_is_not_novel() {
    let scores = scores("The tenant pays a rent of EUR 1,250.");
    is(scores.source_rouge1, 1.0);
    is(scores.source_rouge2, 1.0);
    is(scores.source_rouge_l, 1.0);
    is(scores.novelty1, 0.0);
    is(scores.novelty3, 0.0);
}

/// Four words, of which the source has `tenant`, `rent` and `month`, in this order and apart.
#[test]
fn what_is_said_anew_is_novel() {
    let scores = scores("Tenant settles rent month");
    is(scores.source_rouge1, 0.75);
    is(scores.source_rouge2, 0.0);
    is(scores.source_rouge_l, 0.75);
    is(scores.novelty1, 0.25);
    is(scores.novelty2, 1.0);
    is(scores.novelty3, 1.0);
}

/// A title supports a name, but is not the text that was summarised.
#[test]
fn words_of_the_title_are_novel() {
    let context = ["Lease"];
    let input = Input { source: SOURCE, context: &context, summary: "Lease", ..Input::default() };
    is(judge(&input, &Thresholds::default()).scores.novelty1, 1.0);
}

#[test]
fn length_is_measured_against_what_was_asked_for() {
    let ratio = |max_words, asked_words| {
        let input = Input { source: SOURCE, summary: "One two three.", max_words, asked_words, ..Input::default() };
        judge(&input, &Thresholds::default()).scores.length_ratio
    };
    is(ratio(Some(6), None), 0.5);
    is(ratio(None, Some(12)), 0.25);
    assert_eq!(ratio(None, None), None);
    assert_eq!(ratio(None, Some(0)), None);
}

#[test]
fn nothing_is_measured_where_there_is_nothing() {
    let scores = scores("");
    let none = [scores.source_rouge1, scores.source_rouge_l, scores.novelty1, scores.novelty2];
    assert_eq!(none, [None; 4]);
    assert_eq!(scores.reference, None);
}

/// In Chinese rouge-score finds no word; novelty counts characters.
#[test]
fn words_of_every_script_are_novel_or_not() {
    let input = Input { source: "房租每月一日支付。", summary: "房租支付了", ..Input::default() };
    let scores = judge(&input, &Thresholds::default()).scores;
    assert_eq!(scores.source_rouge1, None);
    is(scores.novelty1, 0.2);
}

#[test]
fn a_judgement_has_the_checks_and_the_same_text_the_same_figures() {
    let input =
        Input { source: SOURCE, summary: "The rent is due.", reference: Some("Rent is due."), ..Input::default() };
    let found = judge(&input, &Thresholds::default());
    assert_eq!(found.checks, check(&input, &Thresholds::default()));
    assert_eq!(found, judge(&input, &Thresholds::default()));
    assert!(found.scores.reference.is_some());
}
