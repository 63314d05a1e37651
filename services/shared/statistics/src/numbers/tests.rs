//! Tests of checked numbers.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

#[test]
fn a_confidence_is_strictly_between_0_and_1() {
    for wrong in [0.0, 1.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert_eq!(Confidence::new(wrong).unwrap_err().code(), "value_out_of_range", "{wrong}");
    }
    assert!(serde_json::from_str::<Confidence>("1.0").is_err());
    assert_eq!(serde_json::from_str::<Confidence>("0.9").unwrap().value().to_bits(), 0.9_f64.to_bits());
}

#[test]
fn the_first_value_that_is_not_finite_is_named() {
    let error = require_finite("scores", &[0.5, f64::NAN, f64::INFINITY]).unwrap_err();
    assert_eq!(error, StatisticsError::NotFinite { what: "scores", position: 1 });
}

proptest! {
    /// A number of 15 digits comes back from JSON bit for bit.
    #[test]
    fn fifteen_digits_survive_json(value in -1e6..1e6_f64) {
        let short = to_15_digits(value);
        let read: f64 = serde_json::from_str(&serde_json::to_string(&short).unwrap()).unwrap();
        prop_assert_eq!(read.to_bits(), short.to_bits());
        prop_assert!((short - value).abs() <= value.abs() * 1e-14);
    }
}
