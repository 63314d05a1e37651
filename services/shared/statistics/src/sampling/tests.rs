//! Tests of the samples.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn rate(value: f64) -> Rate {
    Rate::new(value).unwrap()
}

/// A redelivery samples the same, in this version and in later ones: this place is kept.
#[test]
fn a_place_depends_on_salt_and_identity_alone() {
    let place = |salt: &str, identity: &[&str]| Sampler::new(salt).place(identity).value();
    let kept = place("judge 1", &["acme", "report-7", "3"]);
    assert!((kept - KEPT_PLACE).abs() < 1e-15, "{kept:.17}");
    assert_eq!(kept.to_bits(), place("judge 1", &["acme", "report-7", "3"]).to_bits());
    for other in [
        place("judge 2", &["acme", "report-7", "3"]),
        place("judge 1", &["acme", "report-73", ""]),
        place("judge 1", &["acmereport-7", "3"]),
        place("judge 1", &["acme", "report-7", "4"]),
    ] {
        assert_ne!(kept.to_bits(), other.to_bits());
    }
}

/// Computed by Python's `hashlib`: the first 53 bits of SHA-256 over the length-prefixed fields.
const KEPT_PLACE: f64 = 0.396_340_615_741_162_75;

/// Chi-square over 100 cells of 100,000 identities: below the 99.9 % quantile, 148.2.
#[test]
fn places_are_uniform() {
    let sampler = Sampler::new("uniform");
    let mut cells = [0_u32; 100];
    for document in 0..100_000 {
        let place = sampler.place(&["tenant", &document.to_string(), "0"]);
        cells[(place.value() * 100.0) as usize] += 1;
    }
    let statistic: f64 = cells.iter().map(|cell| (f64::from(*cell) - 1000.0).powi(2) / 1000.0).sum();
    assert!(statistic < 148.2, "{statistic}");
}

/// A document in one sample is in an independent one as often as any other.
#[test]
fn samples_of_two_salts_are_independent() {
    let (judge, again) = (Sampler::new("judge"), Sampler::new("judged twice"));
    let both = (0..100_000).filter(|document| {
        let id = document.to_string();
        judge.place(&["t", &id]).is_in(rate(0.1)) && again.place(&["t", &id]).is_in(rate(0.1))
    });
    let both = both.count();
    assert!((850..1150).contains(&both), "{both} of 100,000, where 1,000 are expected");
}

#[test]
fn a_stratum_without_a_rate_has_the_default() {
    let rates: Rates = serde_json::from_str(r#"{"default": 0.05, "strata": {"critical": 1.0, "draft": 0.0}}"#).unwrap();
    assert_eq!([rates.of("critical"), rates.of("draft"), rates.of("news")], [Rate::ALL, Rate::NONE, rate(0.05)]);
    let place = Sampler::new("s").place(&["t", "d", "0"]);
    assert!(place.is_in(Rate::ALL) && !place.is_in(Rate::NONE));
    assert!(serde_json::from_str::<Rates>(r#"{"default": 1.5}"#).is_err());
    assert!(Rate::new(f64::NAN).is_err());
}

#[test]
fn labels_go_where_they_narrow_the_figure_most() {
    let strata = [(1000.0, 0.3), (1000.0, 0.1), (8000.0, 0.0)]
        .map(|(documents, deviation)| Uncertainty { documents, deviation });
    let rates = allocate(&strata, 280.0, rate(0.01)).unwrap();
    assert!((rates[0].value() - 0.15).abs() < 1e-9 && (rates[1].value() - 0.05).abs() < 1e-9, "{rates:?}");
    assert_eq!(rates[2], rate(0.01));
    // More labels than documents: everybody whose label adds something.
    assert_eq!(allocate(&strata, 1e9, rate(0.01)).unwrap(), [Rate::ALL, Rate::ALL, rate(0.01)]);
    assert_eq!(allocate(&strata, 1.0, rate(0.01)).unwrap(), [rate(0.01); 3]);
    assert_eq!(allocate(&[], 5.0, Rate::NONE).unwrap(), []);
    assert!(allocate(&strata, f64::NAN, Rate::NONE).is_err());
}

proptest! {
    /// Whoever is chosen at a rate is chosen at every higher one.
    #[test]
    fn samples_of_one_salt_are_nested(id in ".{0,20}", a in 0.0..=1.0_f64, b in 0.0..=1.0_f64) {
        let place = Sampler::new("nested").place(&["tenant", &id]);
        prop_assert!((0.0..1.0).contains(&place.value()));
        let (low, high) = (rate(a.min(b)), rate(a.max(b)));
        prop_assert!(!place.is_in(low) || place.is_in(high));
    }

    #[test]
    fn an_allocation_keeps_within_its_budget(
        sizes in proptest::collection::vec((0.0..1e5_f64, 0.0..1.0_f64), 1..9), budget in 1.0..1e5_f64,
    ) {
        let strata: Vec<_> =
            sizes.iter().map(|&(documents, deviation)| Uncertainty { documents, deviation }).collect();
        let rates = allocate(&strata, budget, Rate::NONE).unwrap();
        let cost: f64 = strata.iter().zip(&rates).map(|(stratum, rate)| stratum.documents * rate.value()).sum();
        prop_assert!(cost <= budget * (1.0 + 1e-9));
    }
}
