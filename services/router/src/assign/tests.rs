#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use precis_policy::{DocumentFacts, Policy, Switches, gate};

use super::*;

#[test]
fn a_fallback_goes_to_the_nearest_cheaper_tier_first() {
    let order = ["gpu", "mid", "premium"];
    assert_eq!(nearest(&order, "mid", &["gpu", "mid", "premium"]), Some(("mid", "score")));
    assert_eq!(nearest(&order, "mid", &["gpu", "premium"]), Some(("gpu", "fallback")));
    assert_eq!(nearest(&order, "premium", &["gpu", "mid"]), Some(("mid", "fallback")));
    assert_eq!(nearest(&order, "gpu", &["mid", "premium"]), Some(("mid", "fallback")));
    assert_eq!(nearest(&order, "premium", &["gpu"]), Some(("gpu", "only_eligible")));
    assert_eq!(nearest(&order, "premium", &[]), None);
}

const POLICY: &str = include_str!("../../../../infra/policy/70-20-10.toml");

fn effective() -> EffectivePolicy {
    let policy = Arc::new(Policy::parse(POLICY).unwrap());
    EffectivePolicy {
        digest: policy.digest(),
        cache_generation: policy.cache_generation(),
        switches: Switches::default(),
        policy,
    }
}

/// Assigns a document of the tenant acme, one each millisecond.
fn first(
    assigner: &mut Assigner,
    effective: &EffectivePolicy,
    gate: &Eligibility,
    measured: &Measured,
    index: usize,
    has_room: impl Fn(&str) -> bool,
) -> Decision {
    let document_id = format!("d{index}");
    let input = AssignInput { gate, measured, tenant: "acme", document_id: &document_id, now_ms: index as i64 };
    assigner.first(effective, &input, has_room).unwrap()
}

/// Assigns documents of these scores: every `free`-th may go anywhere, the others to internal tiers
/// alone. Returns each tier's share.
fn shares(scores: impl Iterator<Item = f64>, free: usize) -> BTreeMap<String, f64> {
    let effective = effective();
    let mut assigner = Assigner::default();
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for (index, score) in scores.take(4_000).enumerate() {
        let sensitivity = (index % free == 0).then_some(precis_schemas::Sensitivity::Public);
        let facts = DocumentFacts::of("acme", &Document { sensitivity, ..Document::default() });
        let allowed = gate(&effective.policy, &effective.switches, &facts, &[]);
        let measured = Measured { features: BTreeMap::new(), score, tokens: 500.0 };
        let decision = first(&mut assigner, &effective, &allowed, &measured, index, |_| true);
        // The first window fills the mix's memory; the second one is measured.
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

#[tokio::test]
async fn a_score_is_reproducible_from_its_record() {
    let effective = effective();
    let document = Document::default();
    let text = "On 3 May 2021 the 14 members met in Paris and paid 3,200 euros.";
    let measured = Measured::of(&effective, &document, text).await.unwrap();
    assert!((score(&measured.features, &effective.policy.score, "") - measured.score).abs() < 1e-12);
    let french = Document { language: Some("FR-ca".to_owned()), ..document };
    let labelled = Measured::of(&effective, &french, text).await.unwrap();
    assert!(labelled.features["not_english"] > 0.5);
}

/// The largest miss of any share over disjoint windows of 2,000 first assignments, the first
/// included. `document` returns the score and whether the document may go to external tiers.
fn worst_window(document: impl Fn(usize) -> (f64, bool)) -> f64 {
    let effective = effective();
    let mut assigner = Assigner::default();
    let chosen: Vec<String> = (0..10_000)
        .map(|index| {
            let (score, free) = document(index);
            let sensitivity = free.then_some(precis_schemas::Sensitivity::Public);
            let facts = DocumentFacts::of("acme", &Document { sensitivity, ..Document::default() });
            let allowed = gate(&effective.policy, &effective.switches, &facts, &[]);
            let measured = Measured { features: BTreeMap::new(), score, tokens: 500.0 };
            first(&mut assigner, &effective, &allowed, &measured, index, |_| true).chosen
        })
        .collect();
    let miss = |window: &[String], name: &str, target: f64| {
        (window.iter().filter(|chosen| *chosen == name).count() as f64 / window.len() as f64 - target).abs()
    };
    let windows = chosen.chunks(2_000).flat_map(|window| {
        effective.policy.tiers.iter().map(move |tier| miss(window, &tier.name, tier.share)).collect::<Vec<_>>()
    });
    windows.fold(0.0, f64::max)
}

/// Evenly spread over 0 to 1, without order.
fn spread(index: usize) -> f64 {
    (index.wrapping_mul(2_654_435_761) % 100_003) as f64 / 100_003.0
}

/// Disjoint windows of 2,000 hold the mix through skew, bursts, drift, types and rules.
#[test]
fn disjoint_windows_hold_the_mix() {
    let skewed = worst_window(|at| (spread(at).powi(8), true));
    let bursts = worst_window(|at| (if at % 600 < 300 { 0.05 } else { 0.95 } + spread(at) * 0.01, true));
    let drifting = worst_window(|at| ((at as f64 / 1_500.0).sin().abs() * 0.8 + spread(at) * 0.2, true));
    // Three types in turn, each with scores of its own: contracts low, letters high, tables all
    // alike.
    let types = worst_window(|at| {
        let score = match at / 250 % 3 {
            0 => 0.2 + spread(at) * 0.2,
            1 => 0.8 + spread(at) * 0.1,
            _ => 0.5,
        };
        (score, true)
    });
    // More than half of the documents are bound to internal tiers, in runs: the easy ones, or the
    // hard ones.
    let bound_easy = worst_window(|at| (if at % 90 < 50 { 0.9 } else { 0.4 } + spread(at) * 0.1, at % 90 >= 50));
    let bound_hard = worst_window(|at| (if at % 90 < 50 { 0.1 } else { 0.6 } + spread(at) * 0.1, at % 90 >= 50));
    for (name, miss) in [
        ("skewed", skewed),
        ("bursts", bursts),
        ("drifting", drifting),
        ("types", types),
        ("bound_easy", bound_easy),
        ("bound_hard", bound_hard),
    ] {
        assert!(miss <= 0.02, "{name}: missed by {miss}");
    }
}

#[test]
fn internal_tiers_take_what_rules_keep_from_the_mix() {
    // Four fifths are bound to internal tiers, so the external ones cannot have their three tenths.
    let miss = worst_window(|at| (spread(at), at % 5 == 0));
    assert!((0.08..0.12).contains(&miss), "{miss}");
}

/// Assigns 400 documents that may go anywhere, numbered from `from` on. Returns how many went to
/// each tier, by reason.
fn chosen(assigner: &mut Assigner, from: usize, has_room: impl Fn(&str) -> bool) -> BTreeMap<(String, String), usize> {
    let effective = effective();
    let facts = DocumentFacts::of(
        "acme",
        &Document { sensitivity: Some(precis_schemas::Sensitivity::Public), ..Document::default() },
    );
    let allowed = gate(&effective.policy, &effective.switches, &facts, &[]);
    let mut chosen = BTreeMap::new();
    for index in from..from + 400 {
        let measured = Measured { features: BTreeMap::new(), score: spread(index), tokens: 500.0 };
        let decision = first(assigner, &effective, &allowed, &measured, index, &has_room);
        *chosen.entry((decision.chosen, decision.reason)).or_default() += 1;
    }
    chosen
}

fn count(chosen: &BTreeMap<(String, String), usize>, tier: &str, reason: &str) -> usize {
    chosen.get(&(tier.to_owned(), reason.to_owned())).copied().unwrap_or_default()
}

#[test]
fn a_tier_without_room_gives_only_to_cheaper_ones() {
    let found = chosen(&mut Assigner::default(), 0, |tier| tier == "gpu");
    assert_eq!(found.keys().filter(|(tier, _)| tier != "gpu").count(), 0, "{found:?}");
    assert!(count(&found, "gpu", "backlog") > 60, "{found:?}");
    // Documents for internal tiers wait for these, whatever room external ones have.
    let found = chosen(&mut Assigner::default(), 0, |tier| tier != "gpu");
    assert!(count(&found, "gpu", "score") > 240, "{found:?}");
    assert_eq!(found.keys().filter(|(_, reason)| reason == "backlog").count(), 0, "{found:?}");
    // Where no tier has room, each document waits for the tier that it belongs to.
    let found = chosen(&mut Assigner::default(), 0, |_| false);
    assert!(count(&found, "gpu", "score") > 240 && count(&found, "mid", "score") > 40, "{found:?}");
}

#[test]
fn a_tier_out_of_money_gets_nothing_of_that_tenant_for_a_minute() {
    let refusal = |code: &str| Trial {
        tier: "mid".to_owned(),
        result: TrialResult::Refused,
        code: code.to_owned(),
        answer_key: None,
        failed_checks: Vec::new(),
        policy_digest: String::new(),
        at: 0,
    };
    let mut assigner = Assigner::default();
    assigner.refused("other", &refusal("budget_exhausted"), 0);
    assigner.refused("acme", &refusal("too_long"), 0);
    let found = chosen(&mut assigner, 0, |_| true);
    assert!(count(&found, "mid", "score") > 40, "{found:?}");
    assigner.refused("acme", &refusal("budget_exhausted"), 400);
    let found = chosen(&mut assigner, 400, |_| true);
    assert!(count(&found, "mid", "score") == 0 && count(&found, "gpu", "budget") > 40, "{found:?}");
    let found = chosen(&mut assigner, 400 + OUT_OF_MONEY_BACKOFF_MS as usize, |_| true);
    assert!(count(&found, "mid", "score") > 40, "{found:?}");
}
