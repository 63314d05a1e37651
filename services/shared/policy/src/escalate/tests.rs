#![allow(clippy::unwrap_used)]

use super::*;

fn policy() -> Policy {
    Policy::parse(include_str!("../../../../../infra/policy/70-20-10.toml")).unwrap()
}

fn trail(steps: &[(&str, TrialResult)]) -> Vec<Trial> {
    steps
        .iter()
        .map(|(tier, result)| Trial {
            tier: (*tier).into(),
            result: *result,
            code: "c".into(),
            answer_key: None,
            failed_checks: Vec::new(),
            policy_digest: "p".into(),
            at: 0,
        })
        .collect()
}

fn eligible(names: &[&str]) -> Gate {
    Gate { eligible: names.iter().map(|name| (*name).to_owned()).collect(), excluded: Vec::new() }
}

use TrialResult::{FailedChecks, Refused};

#[test]
fn failed_answers_climb_at_most_two_hops() {
    let policy = policy();
    assert_eq!(next_tier(&policy, &eligible(&["mid", "premium"]), &trail(&[("gpu", FailedChecks)])), Ok("mid"));
    let twice = trail(&[("gpu", FailedChecks), ("mid", FailedChecks)]);
    assert_eq!(next_tier(&policy, &eligible(&["premium"]), &twice), Ok("premium"));
    let thrice = trail(&[("gpu", FailedChecks), ("mid", FailedChecks), ("premium", FailedChecks)]);
    assert_eq!(next_tier(&policy, &eligible(&["gpu"]), &thrice), Err(Exhausted::Hops));
}

#[test]
fn a_failed_answer_is_never_followed_by_a_cheaper_tier() {
    let failed_above = trail(&[("premium", FailedChecks)]);
    assert_eq!(next_tier(&policy(), &eligible(&["gpu", "mid"]), &failed_above), Err(Exhausted::NoTier));
}

#[test]
fn refusals_cost_no_hop_and_may_fall_back_to_a_cheaper_tier() {
    let refused = trail(&[("premium", Refused)]);
    assert_eq!(hops(&refused), 0);
    assert_eq!(next_tier(&policy(), &eligible(&["gpu", "mid"]), &refused), Ok("mid"));
    let both = trail(&[("premium", Refused), ("mid", Refused)]);
    assert_eq!(next_tier(&policy(), &eligible(&["gpu"]), &both), Ok("gpu"));
}

#[test]
fn without_an_eligible_tier_there_is_none() {
    assert_eq!(next_tier(&policy(), &eligible(&[]), &[]), Err(Exhausted::NoTier));
}
