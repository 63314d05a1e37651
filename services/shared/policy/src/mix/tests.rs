#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn policy() -> Policy {
    Policy::parse(include_str!("../../../../../infra/policy/70-20-10.toml")).unwrap()
}

/// The largest miss of any tier's share over any 2,000 assignments in a row.
fn worst(assigned: &[String], policy: &Policy) -> f64 {
    let mut worst: f64 = 0.0;
    for window in assigned.windows(2_000).step_by(100) {
        for tier in &policy.tiers {
            let share = window.iter().filter(|name| **name == tier.name).count() as f64 / 2_000.0;
            worst = worst.max((share - tier.share).abs());
        }
    }
    worst
}

fn run(scores: impl Iterator<Item = f64>) -> Vec<String> {
    let (policy, mut mix) = (policy(), Mix::default());
    scores
        .enumerate()
        .map(|(at, score)| {
            let tier = mix.prefer(&policy, &policy.shares(), score, &format!("document-{at}")).tier;
            mix.assigned(&policy, &policy.shares(), &tier);
            tier
        })
        .collect()
}

fn noise(seed: u64, at: usize) -> f64 {
    hash01(&format!("{seed}/{at}"))
}

#[test]
fn constant_scores_still_spread_by_the_target_mix() {
    assert!(worst(&run(std::iter::repeat_n(0.5, 6_000)), &policy()) < 0.02);
}

#[test]
fn harder_documents_start_further_up() {
    let (policy, mut mix) = (policy(), Mix::default());
    for at in 0..4_000 {
        let tier = mix.prefer(&policy, &policy.shares(), noise(1, at), &at.to_string()).tier;
        mix.assigned(&policy, &policy.shares(), &tier);
    }
    assert_eq!(mix.clone().prefer(&policy, &policy.shares(), 0.01, "hard").tier, "premium");
    assert_eq!(mix.clone().prefer(&policy, &policy.shares(), 0.2, "middling").tier, "mid");
    assert_eq!(mix.prefer(&policy, &policy.shares(), 0.9, "easy").tier, "gpu");
}

#[test]
fn documents_kept_internal_send_no_flood_to_providers_later() {
    let (policy, mut mix) = (policy(), Mix::default());
    for _ in 0..50_000 {
        mix.assigned(&policy, &policy.shares(), "gpu");
    }
    let away = (0..200)
        .filter(|at| {
            let tier = mix.prefer(&policy, &policy.shares(), noise(2, *at), &at.to_string()).tier;
            mix.assigned(&policy, &policy.shares(), &tier);
            tier != "gpu"
        })
        .count();
    assert!(away < 120, "{away} of 200 left the network to make up for the past");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn shares_hold_within_two_points_whatever_the_scores(seed in any::<u64>(), shape in 0_u8..5) {
        let score = |at: usize| {
            let x = noise(seed, at);
            match shape {
                0 => x,
                1 => x.powi(8),
                2 => f64::from(u8::from(x > 0.97)),
                3 => at as f64 / 6_000.0,           // ever easier
                _ => if at % 500 < 250 { 0.1 } else { 0.9 }, // in bursts
            }
        };
        let miss = worst(&run((0..6_000).map(score)), &policy());
        prop_assert!(miss < 0.02, "shape {shape}: missed by {miss}");
    }
}
