#![allow(clippy::unwrap_used)]

use precis_schemas::Sensitivity;
use proptest::prelude::*;

use super::*;

fn mix() -> Policy {
    Policy::parse(include_str!("../../../../../infra/policy/70-20-10.toml")).unwrap()
}

fn facts(sensitivity: Option<Sensitivity>, residency: Option<&str>) -> DocumentFacts {
    let document = Document { sensitivity, residency: residency.map(str::to_owned), ..Document::default() };
    DocumentFacts::of("acme", &document)
}

fn trial(tier: &str, result: TrialResult, digest: &str) -> Trial {
    Trial {
        tier: tier.into(),
        result,
        code: "c".into(),
        answer_key: None,
        failed_checks: Vec::new(),
        policy_digest: digest.into(),
        at: 0,
    }
}

#[test]
fn a_document_without_a_label_stays_in_the_house() {
    let gate = gate(&mix(), &Switches::default(), &facts(None, None), &[]);
    assert_eq!(gate.eligible, ["gpu"]);
    assert!(gate.excluded.iter().all(|(_, code)| code == "sensitivity"));
}

#[test]
fn a_public_document_may_go_everywhere_its_residency_allows() {
    let open =
        |residency| gate(&mix(), &Switches::default(), &facts(Some(Sensitivity::Public), residency), &[]).eligible;
    assert_eq!(open(None), ["gpu", "mid", "premium"]);
    assert_eq!(open(Some("us")), ["gpu", "mid", "premium"]);
    assert_eq!(open(Some("eu")), ["gpu"]);
}

#[test]
fn a_switched_off_tier_gets_nothing_and_a_draining_one_finishes() {
    let public = facts(Some(Sensitivity::Public), None);
    let switches = Switches::new(BTreeMap::from([
        ("mid".to_owned(), (SwitchState::Off, "outage".to_owned())),
        ("premium".to_owned(), (SwitchState::Drain, "change".to_owned())),
    ]));
    assert_eq!(gate(&mix(), &switches, &public, &[]).eligible, ["gpu"]);
    assert_eq!(recheck(&mix(), &switches, &public, "mid"), Err("tier_off".to_owned()));
    assert_eq!(recheck(&mix(), &switches, &public, "premium"), Ok(()));
}

#[test]
fn a_refusal_counts_until_the_policy_changes_and_a_failed_answer_for_ever() {
    let (policy, public) = (mix(), facts(Some(Sensitivity::Public), None));
    let trail = [
        trial("gpu", TrialResult::FailedChecks, "old"),
        trial("mid", TrialResult::Refused, "old"),
        trial("premium", TrialResult::Refused, &policy.digest()),
    ];
    let gate = gate(&policy, &Switches::default(), &public, &trail);
    assert_eq!(gate.eligible, ["mid"]);
    assert_eq!(gate.excluded, [("gpu".to_owned(), "tried".to_owned()), ("premium".to_owned(), "refused".to_owned())]);
}

#[test]
fn a_tier_that_the_policy_no_longer_names_does_nothing() {
    assert_eq!(recheck(&mix(), &Switches::default(), &facts(None, None), "old"), Err("tier_unknown".to_owned()));
}

prop_compose! {
    fn any_tier()(api in any::<bool>(), sensitivity in 0_u8..4, enabled in any::<bool>(), everywhere in any::<bool>()) -> Tier {
        let max_sensitivity = [SensitivityName::Public, SensitivityName::Internal, SensitivityName::Confidential, SensitivityName::Restricted][usize::from(sensitivity)];
        let list = vec![if everywhere { "*" } else { "eu" }.to_owned()];
        Tier {
            name: String::new(),
            kind: if api { TierKind::Api } else { TierKind::Gpu },
            provider: None, model: None, share: 0.1, max_sensitivity, residency: list, tenants: vec!["*".into()], enabled,
        }
    }
}

proptest! {
    #[test]
    fn a_restricted_or_unlabelled_document_never_reaches_an_api_tier(
        tiers in prop::collection::vec(any_tier(), 1..6),
        labelled in any::<bool>(),
        residency in prop::option::of(prop_oneof![Just("eu"), Just("us")]),
        trials in prop::collection::vec((0_usize..6, any::<bool>()), 0..4),
    ) {
        let tiers: Vec<Tier> = tiers.into_iter().enumerate().map(|(at, tier)| Tier { name: format!("t{at}"), ..tier }).collect();
        let policy = Policy { tiers, ..Policy::local() };
        let facts = facts(labelled.then_some(Sensitivity::Restricted), residency);
        let trail: Vec<Trial> = trials.iter().map(|(at, refused)| {
            trial(&format!("t{at}"), if *refused { TrialResult::Refused } else { TrialResult::FailedChecks }, "other")
        }).collect();
        let gate = gate(&policy, &Switches::default(), &facts, &trail);
        for name in policy.external_tiers() {
            prop_assert!(!gate.eligible.iter().any(|eligible| eligible == name));
            prop_assert!(recheck(&policy, &Switches::default(), &facts, name).is_err());
        }
        if let Ok(next) = crate::next_tier(&policy, &gate, &trail) {
            prop_assert!(policy.external_tiers().all(|external| external != next));
        }
    }
}
