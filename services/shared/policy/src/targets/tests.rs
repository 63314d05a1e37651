#![allow(clippy::unwrap_used, clippy::float_cmp)]

use super::*;
use crate::Mix;

const MIX: &str = include_str!("../../../../../infra/policy/70-20-10.toml");

fn limited(rate: u64) -> Policy {
    let limit = format!("name = \"mid\"\ntokens_per_minute = {rate}");
    Policy::parse(&MIX.replace("name = \"mid\"", &limit)).unwrap()
}

fn anywhere() -> Eligibility {
    Eligibility { eligible: ["gpu", "mid", "premium"].map(str::to_owned).to_vec(), excluded: Vec::new() }
}

/// Shares and rates of the last 2,000 documents.
struct RunResult {
    shares: Vec<f64>,
    tokens_per_minute: Vec<f64>,
}

/// Assigns documents, `rate` of them a minute; `tokens` gives the length of a document by its
/// score.
fn run(
    policy: &Policy,
    targets: &mut Targets,
    documents: usize,
    rate: usize,
    tokens: impl Fn(f64) -> f64,
) -> RunResult {
    let mut mix = Mix::default();
    let mut last =
        RunResult { shares: vec![0.0; policy.tiers.len()], tokens_per_minute: vec![0.0; policy.tiers.len()] };
    for at in 0..documents {
        let score = (at * 7_919 % 997) as f64 / 997.0;
        let tokens = tokens(score);
        targets.track(policy, &anywhere(), score, tokens, (at * 60_000 / rate) as i64);
        let shares = targets.shares(policy).to_vec();
        let tier = mix.prefer(policy, &shares, score, &at.to_string()).tier;
        mix.assigned(policy, &shares, &tier);
        targets.assigned(&tier, tokens);
        if at + 2_000 >= documents {
            let tier = policy.tiers.iter().position(|known| known.name == tier).unwrap();
            last.shares[tier] += 1.0 / 2_000.0;
            last.tokens_per_minute[tier] += tokens * rate as f64 / 2_000.0;
        }
    }
    last
}

/// All documents are equally long.
fn alike(_: f64) -> f64 {
    1_000.0
}

#[track_caller]
fn assert_shares(found: &[f64], expected: [f64; 3]) {
    assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.02), "{found:?}");
}

/// Without a rate the policy's shares are the target, and places have their price.
#[test]
fn without_a_rate_the_policys_shares_are_the_target() {
    let policy = Policy::parse(MIX).unwrap();
    let mut targets = Targets::default();
    assert_shares(&run(&policy, &mut targets, 4_000, 1_000, alike).shares, [0.7, 0.2, 0.1]);
    assert_eq!(targets.shares(&policy), policy.shares());
    let prices: Vec<f64> = targets.prices().map(|(_, price)| price).collect();
    assert!(prices[0] == 0.0 && prices[1] > 0.0 && prices[2] > prices[1], "{prices:?}");
}

/// A rate that binds lowers the share to what fits; the first tier takes the rest.
#[test]
fn a_rate_that_binds_lowers_the_share_to_what_fits() {
    // 1,000 documents a minute of 1,000 tokens: a fifth would be 200,000 tokens.
    let mut targets = Targets::default();
    assert_shares(&run(&limited(100_000), &mut targets, 6_000, 1_000, alike).shares, [0.8, 0.1, 0.1]);
    let mut targets = Targets::default();
    assert_shares(&run(&limited(300_000), &mut targets, 6_000, 1_000, alike).shares, [0.7, 0.2, 0.1]);
}

/// A rate holds for the documents that the tier is really sent, which are longer than usual.
#[test]
fn a_rate_counts_the_documents_that_the_tier_is_really_sent() {
    // A tier that is sent the hard ones: those are four times as long as the easy ones.
    let mut targets = Targets::default();
    // The tier is sent the hard documents, which are four times as long as the easy ones.
    let found = run(&limited(100_000), &mut targets, 8_000, 1_000, |score| 2_000.0 - 1_500.0 * score);
    assert!((85_000.0..108_000.0).contains(&found.tokens_per_minute[1]), "{:?}", found.tokens_per_minute);
    assert!(found.shares[1] < 0.08, "{:?}", found.shares);
}

#[test]
fn a_share_comes_back_when_the_rush_is_over() {
    let (policy, mut targets) = (limited(100_000), Targets::default());
    run(&policy, &mut targets, 2_048, 2_000, alike);
    assert!((targets.shares(&policy)[1] - 0.05).abs() < 0.01, "{:?}", targets.shares);
    run(&policy, &mut targets, 2_048, 200, alike);
    assert!((targets.shares(&policy)[1] - 0.2).abs() < 1e-9, "{:?}", targets.shares);
}

#[test]
fn another_policy_is_followed_at_once() {
    let (policy, mut targets) = (limited(100_000), Targets::default());
    run(&policy, &mut targets, 2_048, 2_000, alike);
    let other = Policy::parse(MIX).unwrap();
    assert_eq!(targets.shares(&other), other.shares());
}

/// Assigns documents to a tier with a topic: its documents wait there, and `per_document` of them
/// are worked off whenever a document comes in.
fn run_with_a_topic(targets: &mut Targets, documents: usize, max_backlog: f64, per_document: f64) -> (Vec<f64>, f64) {
    let (policy, mut mix) = (Policy::parse(MIX).unwrap(), Mix::default());
    let (mut backlog, mut deepest, mut shares) = (0.0_f64, 0.0_f64, vec![0.0; 3]);
    for at in 0..documents {
        let score = (at * 7_919 % 997) as f64 / 997.0;
        targets.take_room(&policy, "mid", (max_backlog - backlog).max(0.0));
        targets.track(&policy, &anywhere(), score, 1_000.0, at as i64);
        let wanted = targets.shares(&policy).to_vec();
        let preference = mix.prefer(&policy, &wanted, score, &at.to_string()).tier;
        let tier = if preference == "mid" && backlog >= max_backlog { "gpu" } else { &preference };
        mix.assigned(&policy, &wanted, tier);
        targets.assigned(tier, 1_000.0);
        backlog = (backlog - per_document).max(0.0) + f64::from(u8::from(tier == "mid"));
        deepest = deepest.max(backlog);
        if at + 4_000 >= documents {
            shares[policy.tiers.iter().position(|known| known.name == tier).unwrap()] += 1.0 / 4_000.0;
        }
    }
    (shares, deepest)
}

/// A tier whose topic is full gets as much as its workers take out; the first tier takes the
/// rest.
#[test]
fn a_full_topic_lowers_the_share_to_what_workers_take_out() {
    // A fifth would be 0.2 for each document that comes; its workers do half of that.
    let mut targets = Targets::default();
    // A fifth would be 0.2 for each document that comes; the tier's workers do half of that.
    let (shares, deepest) = run_with_a_topic(&mut targets, 20_000, 300.0, 0.1);
    assert_shares(&shares, [0.8, 0.1, 0.1]);
    assert!(deepest <= 301.0, "{deepest}");
    // The target itself came down with the rate of the workers: the hardest documents still go to
    // the tier, and are not turned away there.
    let target = targets.shares(&Policy::parse(MIX).unwrap())[1];
    assert!((target - 0.1).abs() < 0.05, "{target}");
}

#[test]
fn a_topic_that_is_worked_off_leaves_the_share_alone() {
    let (shares, _) = run_with_a_topic(&mut Targets::default(), 20_000, 60.0, 0.3);
    assert_shares(&shares, [0.7, 0.2, 0.1]);
}
