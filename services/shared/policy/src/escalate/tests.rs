#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

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

fn eligible(names: &[&str]) -> Eligibility {
    Eligibility { eligible: names.iter().map(|name| (*name).to_owned()).collect(), excluded: Vec::new() }
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

#[test]
fn a_deadline_counts_only_where_the_policy_says_what_to_do() {
    let with = |on_late: &str| Policy::parse(&format!("on_late = \"{on_late}\"\n{LOCAL}")).unwrap();
    let (run, flag, fail) = (with("run"), with("flag"), with("fail"));
    assert!(!run.is_late(Some(10), 11));
    for policy in [&flag, &fail] {
        assert!(policy.is_late(Some(10), 11));
        assert!(!policy.is_late(Some(10), 10), "the deadline itself is in time");
        assert!(!policy.is_late(None, i64::MAX));
    }
    assert!(flag.flags(Exhausted::Late) && !fail.flags(Exhausted::Late));
    assert!(fail.flags(Exhausted::NoTier), "a document that is exhausted in time follows on_exhausted");
    assert_eq!(run.digest(), Policy::parse(LOCAL).unwrap().digest());
}

const LOCAL: &str = include_str!("../../../../../infra/policy/local.toml");

proptest! {
    /// Whatever tiers there are, whichever are open and however they answer: no tier gets the
    /// document twice, no tier below a failed answer gets it, at most `max_hops` failed answers are
    /// followed by another tier, and the escalation ends.
    #[test]
    fn every_escalation_climbs_and_ends(
        count in 1_usize..6,
        max_hops in 0_u32..4,
        start in any::<prop::sample::Index>(),
        answers in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<bool>(), 6)), 12),
    ) {
        let tier = Policy::local().tiers[0].clone();
        let tiers: Vec<_> = (0..count).map(|at| crate::Tier { name: format!("t{at}"), ..tier.clone() }).collect();
        let policy = Policy { max_hops, tiers, ..Policy::local() };
        let position = |name: &str| policy.tiers.iter().position(|tier| tier.name == name).unwrap();
        let mut current = policy.tiers[start.index(count)].name.clone();
        let mut trail: Vec<Trial> = Vec::new();
        for (refused, open) in answers {
            prop_assert!(trail.iter().all(|trial| trial.tier != current), "{current} again");
            let failed = trail.iter().filter(|trial| trial.result == FailedChecks);
            prop_assert!(failed.map(|trial| position(&trial.tier)).all(|failed| failed < position(&current)));
            let result = if refused { Refused } else { FailedChecks };
            trail.push(Trial { tier: current.clone(), result, code: "c".into(), answer_key: None, failed_checks: Vec::new(), policy_digest: "p".into(), at: 0 });
            // Like the gate: tiers that were tried are excluded, and rules exclude others.
            let tried = |name: &str| trail.iter().any(|trial| trial.tier == name);
            let names = policy.tier_names().zip(open).filter(|(name, open)| *open && !tried(name));
            let gate = Eligibility { eligible: names.map(|(name, _)| name.to_owned()).collect(), excluded: Vec::new() };
            match next_tier(&policy, &gate, &trail) {
                Ok(next) => {
                    prop_assert!(gate.eligible.iter().any(|name| name == next), "{next} is not eligible");
                    prop_assert!(hops(&trail) <= max_hops);
                    current = next.to_owned();
                }
                Err(Exhausted::Hops) => {
                    prop_assert!(hops(&trail) == max_hops + 1);
                    return Ok(());
                }
                Err(_) => return Ok(()),
            }
        }
    }
}
