//! A document's whole way through routers and workers that each know another policy and switches.
//!
//! Whatever these say and however stale they are, a document that may not leave the network does
//! not.
//!
//! The way is drawn at random: a first assignment (to *any* tier that the gate allows, so that the
//! property holds for every way to choose one), work delivered again to a worker that has read on,
//! answers that fail their checks, refusals, escalations, a replay that begins anew. A cached
//! answer is no step of its own: nothing is sent for it.

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::*;
use crate::next_tier;

const NAMES: [&str; 4] = ["t0", "t1", "t2", "t3"];
const SENSITIVITIES: [SensitivityName; 4] =
    [SensitivityName::Public, SensitivityName::Internal, SensitivityName::Confidential, SensitivityName::Restricted];

/// One reader's knowledge of `control`: a policy, even one that the parser would refuse, and
/// switches.
#[derive(Debug, Clone)]
struct KnownControl {
    policy: Policy,
    switches: Switches,
}

prop_compose! {
    fn any_tier(name: &'static str)(
        api in any::<bool>(),
        at in 0_usize..4,
        enabled in prop::bool::weighted(0.9),
        residency in prop_oneof![Just("*"), Just("eu"), Just("us")],
        tenants in prop_oneof![3 => Just("*"), 1 => Just("acme"), 1 => Just("other")],
    ) -> Tier {
        Tier {
            name: name.to_owned(),
            kind: if api { TierKind::Api } else { TierKind::Gpu },
            max_sensitivity: SENSITIVITIES[at],
            residency: vec![residency.to_owned()],
            tenants: vec![tenants.to_owned()],
            enabled,
            ..Policy::local().tiers[0].clone()
        }
    }
}

fn any_version() -> impl Strategy<Value = KnownControl> {
    let tiers = NAMES.map(any_tier).into_iter().collect::<Vec<_>>();
    let switches = prop::collection::btree_map(prop::sample::select(NAMES.to_vec()), any::<bool>(), 0..3);
    (tiers, prop::sample::subsequence(vec![0, 1, 2, 3], 1..=4), switches).prop_map(|(tiers, kept, switches)| {
        let state = |off| if off { SwitchState::Off } else { SwitchState::Drain };
        let switches = switches.into_iter().map(|(name, off)| (name.to_owned(), (state(off), String::new())));
        KnownControl {
            policy: Policy { tiers: kept.into_iter().map(|at| tiers[at].clone()).collect(), ..Policy::local() },
            switches: Switches::new(switches.collect()),
        }
    })
}

/// One step of the way: what the router knows, what the worker knows, the policy under which the
/// worker was started, and how the trial ends.
#[derive(Debug, Clone)]
struct Step {
    router: prop::sample::Index,
    worker: prop::sample::Index,
    started: prop::sample::Index,
    pick: prop::sample::Index,
    end: TrialEnd,
}

#[derive(Debug, Clone, Copy)]
enum TrialEnd {
    /// The answer fails its checks.
    Failed,
    /// The tier refuses for reasons of its own.
    Refused,
    /// The worker ended before it could commit: the same work is delivered again.
    Again,
    /// The document is replayed from the dead letters.
    Replayed,
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    let end =
        prop_oneof![Just(TrialEnd::Failed), Just(TrialEnd::Refused), Just(TrialEnd::Again), Just(TrialEnd::Replayed)];
    (index(), index(), index(), index(), end).prop_map(|(router, worker, started, pick, end)| Step {
        router,
        worker,
        started,
        pick,
        end,
    })
}

fn any_document() -> impl Strategy<Value = Document> {
    let labels = [None, Some(Sensitivity::Restricted), Some(Sensitivity::Confidential), Some(Sensitivity::Public)];
    let residency = prop_oneof![Just(None), Just(Some("eu".to_owned())), Just(Some("us".to_owned()))];
    (prop::sample::select(labels.to_vec()), residency).prop_map(|(sensitivity, residency)| Document {
        sensitivity,
        residency,
        ..Document::default()
    })
}

/// The requests that were sent to a provider: the tier, and what the worker knew.
fn sent(versions: &[KnownControl], document: &Document, steps: &[Step]) -> Vec<(String, KnownControl)> {
    let mut sent = Vec::new();
    let mut trail: Vec<Trial> = Vec::new();
    let mut held: Option<String> = None;
    for step in steps {
        let router = step.router.get(versions);
        let facts = DocumentFacts::of("acme", document);
        let tier = held.take().or_else(|| {
            let allowed = gate(&router.policy, &router.switches, &facts, &trail);
            match trail.is_empty() {
                true if allowed.eligible.is_empty() => None,
                true => Some(step.pick.get(&allowed.eligible).clone()),
                false => next_tier(&router.policy, &allowed, &trail).ok().map(str::to_owned),
            }
        });
        // The document is settled as flagged or failed. A replay may follow.
        let Some(tier) = tier else {
            trail.clear();
            continue;
        };
        // The worker of the topic is of the kind that the tier had when the worker started.
        let started = step.started.get(versions).policy.tier(&tier).map_or(TierKind::Api, |tier| tier.kind);
        let worker = step.worker.get(versions);
        let code = match recheck(&worker.policy, &worker.switches, &facts, &tier, started) {
            Ok(()) => {
                if started == TierKind::Api {
                    sent.push((tier.clone(), worker.clone()));
                }
                None
            }
            Err(code) => Some(code),
        };
        match (code, step.end) {
            (_, TrialEnd::Again) => held = Some(tier),
            (_, TrialEnd::Replayed) => trail.clear(),
            (None, TrialEnd::Failed) => trail.push(trial(&tier, TrialResult::FailedChecks, &worker.policy.digest())),
            (_, _) => trail.push(trial(&tier, TrialResult::Refused, &worker.policy.digest())),
        }
    }
    sent
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn restricted_or_unlabelled_documents_never_reach_an_api_tier(
        versions in prop::collection::vec(any_version(), 1..4),
        document in any_document(),
        steps in prop::collection::vec(any_step(), 1..8),
    ) {
        for (name, version) in sent(&versions, &document, &steps) {
            let tier = version.policy.tier(&name).unwrap();
            prop_assert!(!matches!(document.sensitivity, None | Some(Sensitivity::Restricted)), "{name} got a restricted document");
            prop_assert_eq!(tier.kind, TierKind::Api);
            prop_assert!(tier.enabled && SensitivityName::from(document.sensitivity.unwrap()) <= tier.max_sensitivity);
            let stays = document.residency.as_ref().is_none_or(|residency| tier.residency.iter().any(|one| one == residency || one == "*"));
            prop_assert!(stays, "{name} is not where the data must stay");
            prop_assert!(version.switches.get(&name).is_none_or(|(state, _)| state == SwitchState::Drain));
        }
    }

    /// The router's half alone: it does not depend on the worker's re-check.
    #[test]
    fn the_gate_alone_keeps_restricted_documents_internal(
        version in any_version(),
        labelled in any::<bool>(),
        residency in prop::option::of(prop_oneof![Just("eu"), Just("us")]),
        trials in prop::collection::vec((0_usize..4, any::<bool>()), 0..4),
    ) {
        let facts = facts(labelled.then_some(Sensitivity::Restricted), residency);
        let result = |refused| if refused { TrialResult::Refused } else { TrialResult::FailedChecks };
        let trail: Vec<Trial> = trials.iter().map(|(at, refused)| trial(NAMES[*at], result(*refused), "other")).collect();
        let allowed = gate(&version.policy, &version.switches, &facts, &trail);
        for name in version.policy.external_tiers() {
            prop_assert!(!allowed.eligible.iter().any(|eligible| eligible == name));
            prop_assert!(recheck(&version.policy, &version.switches, &facts, name, TierKind::Gpu).is_err());
        }
        if let Ok(next) = next_tier(&version.policy, &allowed, &trail) {
            prop_assert!(version.policy.external_tiers().all(|external| external != next));
        }
    }
}

/// The property above would hold of a gate that lets nothing out at all.
#[test]
fn random_ways_do_send_what_may_be_sent() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let ways = (prop::collection::vec(any_version(), 1..4), any_document(), prop::collection::vec(any_step(), 1..8));
    let count = (0..300)
        .filter(|_| {
            let (versions, document, steps) = ways.new_tree(&mut runner).unwrap().current();
            !sent(&versions, &document, &steps).is_empty()
        })
        .count();
    assert!(count > 30, "only {count} of 300 ways left the network");
}
