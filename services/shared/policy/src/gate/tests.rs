#![allow(clippy::unwrap_used)]

use precis_schemas::Sensitivity;

use super::*;

mod paths;

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
fn a_document_without_a_label_stays_internal() {
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
    assert_eq!(recheck(&mix(), &switches, &public, "mid", TierKind::Api), Err("tier_off"));
    assert_eq!(recheck(&mix(), &switches, &public, "premium", TierKind::Api), Ok(()));
}

#[test]
fn a_refusal_counts_for_one_policy_a_failed_answer_for_ever() {
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
    let found = recheck(&mix(), &Switches::default(), &facts(None, None), "old", TierKind::Gpu);
    assert_eq!(found, Err("tier_unknown"));
}

#[test]
fn an_external_worker_sends_nothing_for_an_internal_tier() {
    let (switches, public) = (Switches::default(), facts(Some(Sensitivity::Public), None));
    assert_eq!(recheck(&mix(), &switches, &public, "gpu", TierKind::Api), Err(TIER_CHANGED));
    assert_eq!(
        recheck(&mix(), &switches, &public, "mid", TierKind::Gpu),
        Ok(()),
        "a worker of an internal tier sends nothing out"
    );
}
