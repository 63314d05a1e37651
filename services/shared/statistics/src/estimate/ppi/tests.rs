//! Prediction-powered inference against the Python package.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::testing::{golden, numbers};

/// Within 1e-9, with and without weights, tuned and with a given power.
#[test]
fn figures_equal_those_of_the_python_package() {
    let kept = golden(include_str!("../../../tests/golden/ppi.json"));
    let mut compared = 0;
    for case in kept["cases"].as_array().unwrap() {
        let list = |name: &str| numbers(&case[name]);
        let (labels, predictions, unlabelled) = (list("labels"), list("predictions"), list("unlabelled"));
        let (weights, unlabelled_weights) = (list("weights"), list("unlabelled_weights"));
        for figure in case["figures"].as_array().unwrap() {
            let mut sample = Predicted::new(&labels, &predictions, &unlabelled);
            if figure["weighted"].as_bool().unwrap() {
                sample.weights = Some(&weights);
                sample.unlabelled_weights = Some(&unlabelled_weights);
            }
            let power = figure["power"].as_f64().map_or(Power::Tuned, Power::Fixed);
            let confidence = Confidence::new(1.0 - figure["alpha"].as_f64().unwrap()).unwrap();
            let interval = ppi_mean_interval(&sample, power, confidence).unwrap();
            let ours = [ppi_mean(&sample, power).unwrap(), interval.low, interval.high];
            let theirs = ["point", "low", "high"].map(|name| figure[name].as_f64().unwrap());
            for (ours, theirs) in ours.into_iter().zip(theirs) {
                assert!((ours - theirs).abs() < 1e-9, "{ours} is not {theirs}: {figure}");
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 96);
}

/// One label, or none, has no interval: the package's would have no width.
#[test]
fn fewer_than_two_labels_have_no_interval() {
    let interval = |labels: &[f64], unlabelled: &[f64]| {
        let predictions = vec![0.5; labels.len()];
        let sample = Predicted::new(labels, &predictions, unlabelled);
        ppi_mean_interval(&sample, Power::Tuned, Confidence::NINETY_FIVE_PERCENT).map_err(|error| error.code())
    };
    assert_eq!(interval(&[], &[0.5, 0.6]), Err("too_few_values"));
    assert_eq!(interval(&[0.7], &[0.5, 0.6]), Err("too_few_values"));
    assert_eq!(interval(&[0.7, 0.8], &[0.5]), Err("too_few_values"));
    assert!(interval(&[0.7, 0.8], &[0.5, 0.6]).unwrap().width() > 0.0);
    assert_eq!(interval(&[0.1; 9], &[0.5, 0.6]), Err("figure_undefined"), "nine alike prove nothing");
    assert_eq!(interval(&[f64::MAX, 0.0], &[0.5, 0.6]), Err("figure_undefined"), "their variance is infinite");
}

#[test]
fn values_that_cannot_be_counted_are_refused() {
    let sample = Predicted::new(&[0.1, 0.2], &[0.1, 0.3], &[0.4, 0.5]);
    let code = |sample: Predicted<'_>| ppi_mean(&sample, Power::Tuned).unwrap_err().code();
    assert_eq!(code(Predicted { labels: &[0.1, f64::NAN], ..sample }), "value_not_finite");
    assert_eq!(code(Predicted { unlabelled: &[f64::INFINITY], ..sample }), "value_not_finite");
    assert_eq!(code(Predicted { predictions: &[0.1], ..sample }), "lengths_differ");
    assert_eq!(code(Predicted { weights: Some(&[1.0, 0.0]), ..sample }), "value_out_of_range");
    assert_eq!(code(Predicted { unlabelled_weights: Some(&[1.0]), ..sample }), "lengths_differ");
    assert_eq!(ppi_mean(&sample, Power::Fixed(f64::NAN)).unwrap_err().code(), "value_not_finite");
}

proptest! {
    #[test]
    fn an_interval_holds_its_estimate_and_grows_with_confidence(
        labelled in proptest::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 2..50),
        unlabelled in proptest::collection::vec(0.0..1.0_f64, 2..50),
        confidence in 0.1..0.99_f64,
    ) {
        let (labels, predictions): (Vec<_>, Vec<_>) = labelled.into_iter().unzip();
        let sample = Predicted::new(&labels, &predictions, &unlabelled);
        let interval = |value: f64| ppi_mean_interval(&sample, Power::Tuned, Confidence::new(value).unwrap()).unwrap();
        let (narrow, wide) = (interval(confidence), interval(0.5 + confidence / 2.0));
        prop_assert!(narrow.contains(ppi_mean(&sample, Power::Tuned).unwrap()));
        prop_assert!(wide.low <= narrow.low && narrow.high <= wide.high);
        prop_assert!((0.0..=1.0).contains(&ppi_power(&sample, Power::Tuned).unwrap()));
    }

    /// Predictions off by any constant give the same figure: their bias is corrected.
    #[test]
    fn a_constant_bias_of_predictions_changes_nothing(
        labelled in proptest::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 2..30), bias in -5.0..5.0_f64,
    ) {
        let (labels, predictions): (Vec<_>, Vec<_>) = labelled.into_iter().unzip();
        let shifted = |values: &[f64]| values.iter().map(|value| value + bias).collect::<Vec<_>>();
        let unlabelled = [0.2, 0.9, 0.4, 0.35];
        let fair = ppi_mean(&Predicted::new(&labels, &predictions, &unlabelled), Power::Fixed(1.0)).unwrap();
        let (predictions, unlabelled) = (shifted(&predictions), shifted(&unlabelled));
        let biased = ppi_mean(&Predicted::new(&labels, &predictions, &unlabelled), Power::Fixed(1.0)).unwrap();
        prop_assert!((fair - biased).abs() < 1e-9);
    }
}
