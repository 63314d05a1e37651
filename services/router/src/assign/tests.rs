#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use precis_policy::{DocumentFacts, Policy, Switches, gate};

use super::*;

#[test]
fn a_fallback_goes_to_the_nearest_cheaper_tier_first() {
    let order = ["gpu", "mid", "premium"];
    let eligible = |tiers: &[&str]| tiers.iter().map(|tier| (*tier).to_owned()).collect::<Vec<_>>();
    assert_eq!(nearest(&order, "mid", &eligible(&["gpu", "mid", "premium"])), Some(("mid", "score")));
    assert_eq!(nearest(&order, "mid", &eligible(&["gpu", "premium"])), Some(("gpu", "fallback")));
    assert_eq!(nearest(&order, "premium", &eligible(&["gpu", "mid"])), Some(("mid", "fallback")));
    assert_eq!(nearest(&order, "gpu", &eligible(&["mid", "premium"])), Some(("mid", "fallback")));
    assert_eq!(nearest(&order, "premium", &eligible(&["gpu"])), Some(("gpu", "only_eligible")));
    assert_eq!(nearest(&order, "premium", &[]), None);
}

const POLICY: &str = include_str!("../../../../infra/policy/70-20-10.toml");

fn governing() -> Governing {
    let policy = Arc::new(Policy::parse(POLICY).unwrap());
    Governing {
        digest: policy.digest(),
        cache_generation: policy.cache_generation(),
        switches: Switches::default(),
        policy,
    }
}

/// Assigns documents of these scores, every `free`-th of them free to go anywhere and the others bound to the house.
fn shares(scores: impl Iterator<Item = f64>, free: usize) -> BTreeMap<String, f64> {
    let governing = governing();
    let mut assigner = Assigner::default();
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for (index, score) in scores.take(4_000).enumerate() {
        let sensitivity = (index % free == 0).then_some(precis_schemas::Sensitivity::Public);
        let facts = DocumentFacts::of("acme", &Document { sensitivity, ..Document::default() });
        let allowed = gate(&governing.policy, &governing.switches, &facts, &[]);
        let measured = Measured { features: BTreeMap::new(), score };
        let decision = assigner.first(&governing, &allowed, &measured, &format!("d{index}")).unwrap();
        // The first window also fills the mix's memory; the second is measured.
        if index >= 2_000 {
            *counts.entry(decision.chosen).or_default() += 1.0 / 2_000.0;
        }
    }
    counts
}

#[track_caller]
fn assert_share(shares: &BTreeMap<String, f64>, tier: &str, expected: f64) {
    let share = shares.get(tier).copied().unwrap_or_default();
    assert!((share - expected).abs() <= 0.02, "{tier}: {share} instead of {expected}");
}

#[test]
fn first_assignments_hold_the_target_mix_whatever_the_scores() {
    let spread = (0..).map(|index| f64::from(index % 997) / 997.0);
    let constant = std::iter::repeat(0.5);
    let rising = (0..).map(f64::from);
    for shares in [shares(spread, 1), shares(constant, 1), shares(rising, 1)] {
        assert_share(&shares, "gpu", 0.7);
        assert_share(&shares, "mid", 0.2);
        assert_share(&shares, "premium", 0.1);
    }
}

#[test]
fn free_documents_make_up_for_those_that_must_stay() {
    let shares = shares((0..).map(|index| f64::from(index % 997) / 997.0), 2);
    assert_share(&shares, "gpu", 0.7);
    assert_share(&shares, "mid", 0.2);
}

#[test]
fn a_score_is_reproducible_from_its_record() {
    let governing = governing();
    let document = Document::default();
    let text = "On 3 May 2021 the 14 members met in Paris and paid 3,200 euros.";
    let measured = Measured::of(&governing, &document, text);
    assert!((score(&measured.features, &governing.policy.score, "") - measured.score).abs() < 1e-12);
    let labelled = Measured::of(&governing, &Document { language: Some("FR-ca".to_owned()), ..document }, text);
    assert!(labelled.features["not_english"] > 0.5);
}
