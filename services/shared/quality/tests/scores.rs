//! Scores against a reference, beside what rouge-score and sacreBLEU say of the same texts.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use precis_quality::reference::{PrecisionRecall, ReferenceScores, Rouge};
use precis_quality::{Input, Thresholds, judge};
use serde_json::Value;

/// How far a figure may be from the packages', as a share of it: the order of additions.
const TOLERANCE: f64 = 1e-12;

/// `loadtest/quality/scores.py --golden` wrote the file with the packages themselves.
fn golden() -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/scores.json");
    let pairs: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    pairs.as_array().unwrap().clone()
}

fn differ(found: f64, expected: &Value) -> bool {
    let expected = expected.as_f64().unwrap();
    (found - expected).abs() > TOLERANCE * expected.abs().max(1.0)
}

#[test]
fn scores_are_those_of_the_python_packages() {
    let (mut pairs, mut problems) = (0, Vec::new());
    for pair in golden() {
        pairs += 1;
        let (reference, summary) = (pair["reference"].as_str().unwrap(), pair["summary"].as_str().unwrap());
        let expected = &pair["scores"];
        let scores = ReferenceScores::of(reference, summary);
        let mut compare = |name: &str, found: f64, expected: &Value| {
            if differ(found, expected) {
                problems.push(format!("{name} is {found} instead of {expected} for {reference:?} and {summary:?}"));
            }
        };
        compare("bleu", scores.bleu, &expected["bleu"]);
        compare("chrf", scores.chrf, &expected["chrf"]);
        for (prefix, rouge) in [("", scores.rouge), ("stemmed_", scores.rouge_stemmed)] {
            let Rouge { rouge1, rouge2, rouge_l, rouge_lsum } = rouge;
            for (name, PrecisionRecall { precision, recall, f }) in
                [("rouge1", rouge1), ("rouge2", rouge2), ("rougeL", rouge_l), ("rougeLsum", rouge_lsum)]
            {
                let name = format!("{prefix}{name}");
                for (number, figure) in [precision, recall, f].into_iter().enumerate() {
                    compare(&format!("{name}, figure {number}"), figure, &expected[&name][number]);
                }
            }
        }
    }
    assert!(pairs >= 40);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Precision against a source is that against a reference with the source's text.
#[test]
fn precision_in_the_source_is_the_packages_too() {
    for pair in golden() {
        let (source, summary) = (pair["reference"].as_str().unwrap(), pair["summary"].as_str().unwrap());
        let scores = judge(&Input { source, summary, ..Input::default() }, &Thresholds::default()).scores;
        let figures =
            [("rouge1", scores.source_rouge1), ("rouge2", scores.source_rouge2), ("rougeL", scores.source_rouge_l)];
        for (name, found) in figures {
            let expected = &pair["scores"][name][0];
            assert!(
                !differ(found.unwrap_or_default(), expected),
                "{name}: {found:?} instead of {expected}: {summary:?}"
            );
        }
    }
}
