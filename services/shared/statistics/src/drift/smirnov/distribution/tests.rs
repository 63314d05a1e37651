//! The distribution against scipy's.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{golden, numbers};

/// In every region, within 1e-9.
#[test]
fn survival_equals_that_of_scipy() {
    let kept = golden(include_str!("../../../../tests/golden/samples.json"));
    for row in kept["one_sample"].as_array().unwrap().iter().map(numbers) {
        let ours = survival(row[0], row[1]);
        assert!((ours - row[2]).abs() < 1e-9, "{row:?}: {ours}");
    }
}
