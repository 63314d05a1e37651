//! Property test of the router: no restricted document is written to an external tier's topic.
//!
//! Policies that replace each other, labels and the ends of trials are drawn at random. The
//! worker's half is tested with the worker.

use precis_policy::{Policy, TierKind};
use precis_schemas::{Document, RoutedDocument, Sensitivity, SwitchState, codec};
use proptest::prelude::*;

use super::harness::*;

/// A policy that the parser accepts: three tiers of any kind, with shares of 0.4, 0.3 and 0.3.
fn any_policy() -> impl Strategy<Value = String> {
    let tier = (any::<bool>(), 0_usize..4, prop_oneof![Just("*"), Just("eu"), Just("us")], any::<bool>());
    (prop::collection::vec(tier, 3), 0_u32..3, any::<bool>()).prop_map(|(tiers, hops, flag)| {
        let exhausted = if flag { "flag" } else { "fail" };
        let tier = |(name, (api, sensitivity, residency, enabled)): (&str, (bool, usize, &str, bool))| {
            let kind = if api { "kind = \"api\"\nprovider = \"openai\"\nmodel = \"m\"" } else { "kind = \"gpu\"" };
            let known = ["public", "internal", "confidential", "restricted"];
            let sensitivity = known[sensitivity.min(if api { 2 } else { 3 })];
            let share = if name == "gpu" { 0.4 } else { 0.3 };
            format!(
                "[[tiers]]\nname = \"{name}\"\n{kind}\nshare = {share}\nmax_sensitivity = \"{sensitivity}\"\n\
                 residency = [\"{residency}\"]\nenabled = {enabled}\n"
            )
        };
        let tiers: Vec<String> = ["gpu", "mid", "premium"].into_iter().zip(tiers).map(tier).collect();
        format!("version = 1\nmax_hops = {hops}\non_exhausted = \"{exhausted}\"\n{}", tiers.concat())
    })
}

/// One step: a policy that comes into force before it, a switch, and whether the trial ends as a
/// refusal.
type Step = (Option<String>, Option<(usize, bool)>, bool);

fn any_step() -> impl Strategy<Value = Step> {
    (prop::option::weighted(0.3, any_policy()), prop::option::weighted(0.2, (0_usize..3, any::<bool>())), any::<bool>())
}

/// Every work record of one document, each with the policy under which it was routed.
async fn way(first: &str, labels: &Document, steps: &[Step]) -> Vec<(RoutedDocument, Policy)> {
    let deployment = Deployment::with(first).await;
    let mut policy = Policy::parse(first).unwrap();
    let mut output = deployment.publish(labels, 7).await.unwrap();
    let mut seen = Vec::new();
    for (at, (next, switch, refuses)) in steps.iter().enumerate() {
        if !output.topic.starts_with("work.") {
            break;
        }
        let work = routed(&output);
        seen.push((work.clone(), policy.clone()));
        if let Some((tier, on)) = switch {
            let state = if *on { SwitchState::On } else { SwitchState::Off };
            deployment.switch(["gpu", "mid", "premium"][*tier], state).await;
        }
        if let Some(toml) = next {
            deployment.apply(toml).await;
            policy = Policy::parse(toml).unwrap();
        }
        let trial = if *refuses {
            refused(&work, "tier_off")
        } else {
            deployment.failed(&work, &format!("Wrong {at}."), &["language"]).await
        };
        output = deployment.escalate(&work, trial).await;
    }
    if output.topic.starts_with("work.") {
        seen.push((routed(&output), policy));
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, ..ProptestConfig::default() })]
    #[test]
    fn no_work_of_an_api_tier_is_ever_a_restricted_document(
        first in any_policy(),
        label in prop::sample::select(vec![None, Some(Sensitivity::Restricted), Some(Sensitivity::Internal)]),
        residency in prop::option::of(Just("eu".to_owned())),
        steps in prop::collection::vec(any_step(), 1..5),
    ) {
        let labels = Document { sensitivity: label, residency, ..document() };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        for (work, policy) in runtime.block_on(way(&first, &labels, &steps)) {
            let tier = policy.tier(&work.tier).unwrap();
            let document: Document = codec::decode(&work.document).unwrap();
            prop_assert_eq!(document.sensitivity, label, "the label travels with the work");
            prop_assert!(tier.kind == TierKind::Gpu || label == Some(Sensitivity::Internal), "{} got it", work.tier);
            // The decision record says for every tier why the document may or may not go there.
            prop_assert_eq!(&work.decision.policy_digest, &policy.digest());
            prop_assert!(work.decision.eligible.contains(&work.tier));
            prop_assert_eq!(work.decision.eligible.len() + work.decision.excluded.len(), policy.tiers.len());
        }
    }
}
