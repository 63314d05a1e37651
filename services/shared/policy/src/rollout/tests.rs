#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use precis_schemas::{Document, Sensitivity};
use proptest::prelude::*;

use super::*;
use crate::{Policy, Switches, gate};

const MIX: &str = include_str!("../../../../../infra/policy/70-20-10.toml");

/// The shipped policy with these rollouts, by tier.
fn policy(rollouts: &[(&str, Rollout)]) -> Policy {
    let mut policy = Policy::parse(MIX).unwrap();
    for (name, rollout) in rollouts {
        policy.tiers.iter_mut().find(|tier| tier.name == *name).unwrap().rollout = Some(rollout.clone());
    }
    policy
}

fn to(share: f64) -> Rollout {
    Rollout { share, types: BTreeMap::new(), tenants: BTreeMap::new() }
}

fn facts(tenant: &str, id: &str, document_type: &str) -> DocumentFacts {
    let document = Document {
        document_id: id.to_owned(),
        document_type: document_type.to_owned(),
        sensitivity: Some(Sensitivity::Public),
        ..Document::default()
    };
    DocumentFacts::of(tenant, &document)
}

/// Which of 4,000 documents may come to the tier.
fn arm(policy: &Policy, tier: &str, tenant: &str, document_type: &str) -> BTreeSet<usize> {
    let may = |id: &usize| {
        let facts = facts(tenant, &format!("document-{id}"), document_type);
        gate(policy, &Switches::default(), &facts, &[]).eligible.iter().any(|name| name == tier)
    };
    (0..4_000).filter(may).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn raising_a_share_only_adds_documents_and_each_share_is_met(low in 0.0..1.0_f64, more in 0.0..1.0_f64) {
        let high = low + (1.0 - low) * more;
        let (before, after) = (arm(&policy(&[("mid", to(low))]), "mid", "acme", ""), arm(&policy(&[("mid", to(high))]), "mid", "acme", ""));
        prop_assert!(before.is_subset(&after));
        for (arm, share) in [(before, low), (after, high)] {
            // Five standard deviations.
            let miss = (arm.len() as f64 / 4_000.0 - share).abs();
            prop_assert!(miss < 5.0 * (share * (1.0 - share) / 4_000.0).sqrt() + 1e-9, "{share} missed by {miss}");
        }
    }
}

#[test]
fn nothing_at_0_and_everything_at_1() {
    assert!(arm(&policy(&[("mid", to(0.0))]), "mid", "acme", "").is_empty());
    assert_eq!(arm(&policy(&[("mid", to(1.0))]), "mid", "acme", "").len(), 4_000);
}

#[test]
fn two_tiers_arms_and_two_tenants_arms_are_independent() {
    let policy = policy(&[("mid", to(0.5)), ("premium", to(0.5))]);
    let mid = arm(&policy, "mid", "acme", "");
    for other in [arm(&policy, "premium", "acme", ""), arm(&policy, "mid", "other", "")] {
        // Independent: a quarter in both; equal arms would share a half, opposite ones nothing.
        let both = mid.intersection(&other).count() as f64 / 4_000.0;
        assert!((both - 0.25).abs() < 0.04, "{both}");
    }
}

#[test]
fn of_a_types_and_a_tenants_own_shares_the_smaller_holds() {
    let rollout = Rollout {
        share: 0.1,
        types: BTreeMap::from([("contract".to_owned(), 1.0), ("medical".to_owned(), 0.0)]),
        tenants: BTreeMap::from([("pilot".to_owned(), 0.5)]),
    };
    let policy = policy(&[("mid", rollout)]);
    let share = |tenant, document_type| arm(&policy, "mid", tenant, document_type).len() as f64 / 4_000.0;
    for (tenant, document_type, expected) in [
        ("acme", "", 0.1),
        ("acme", "contract", 1.0),
        ("acme", "medical", 0.0),
        ("pilot", "", 0.5),
        ("pilot", "contract", 0.5),
        ("pilot", "medical", 0.0),
    ] {
        let found = share(tenant, document_type);
        assert!((found - expected).abs() < 0.04, "{tenant} {document_type}: {found}");
    }
}

/// Outside of the arm the tier is excluded with that reason, and a revision changes nothing.
#[test]
fn outside_of_the_arm_the_tier_is_excluded() {
    let policy = policy(&[("mid", to(0.0))]);
    let allowed = gate(&policy, &Switches::default(), &facts("acme", "a", ""), &[]);
    assert_eq!(allowed.excluded, [("mid".to_owned(), "rollout".to_owned())]);
    let revised = Document { document_id: "a".to_owned(), revision: 7, ..Document::default() };
    assert_eq!(DocumentFacts::of("acme", &revised).document_id, "a");
}
