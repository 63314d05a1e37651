//! What a tier's worker does with a routed document, on the embedded log and a directory store.
//! The summariser gives a fixed answer.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use precis_flow::{Delivery, Fault, Output, Processor, Record, Rejection, Scope, StageError};
use precis_objects::{ObjectError, ObjectInfo, ObjectStore, Put, keys};
use precis_pipeline::control::{apply_policy, switch_tier};
use precis_pipeline::prompt::Prompt;
use precis_pipeline::settle::REPEAT_HEADER;
use precis_pipeline::{Control, GenerateError, Generated, Job, Summariser, TierWorker, identity, topics};
use precis_policy::{DecodingRules, Policy, TierKind};
use precis_schemas::{
    Answer, Document, Escalation, ModelIdentity, Outcome, PolicyApplied, RoutedDocument, Sensitivity, Status,
    SwitchState, TrialResult, codec,
};

#[path = "worker/adapters.rs"]
mod adapters;
#[path = "worker/figures.rs"]
mod figures;
#[path = "worker/forged.rs"]
mod forged;
#[path = "worker/interrupted.rs"]
mod interrupted;
#[path = "worker/judging.rs"]
mod judging;
#[path = "worker/second_try.rs"]
mod second_try;
mod support;

use support::{Bench, FixedAnswer, LOCAL, TEXT, document, outcome};

const GOOD: &str = "The harbour board agreed to rebuild the old ferry terminal because the roof leaks, and the ferries keep running meanwhile.";
const BAD: &str = "The board of Rotterdam spent 5,000,000 dollars on a bridge to Antwerp in 1999.";

fn trial_of(output: &Output) -> precis_schemas::Trial {
    assert_eq!(output.topic, topics::ESCALATIONS);
    codec::decode::<Escalation>(output.value.as_deref().unwrap()).unwrap().trial
}

const MIX: &str = include_str!("../../../../infra/policy/70-20-10.toml");

#[tokio::test]
async fn accepted_answer_is_published_byte_for_byte_as_stored() {
    let bench = Bench::new(LOCAL).await;
    let outputs = bench.worker("gpu", GOOD).process(&bench.routed(&document("a"), "gpu", 7)).await.unwrap();
    let stored = bench.store.get(&keys::result("acme", "a", 0)).await.unwrap().unwrap();
    assert_eq!(outputs[0].value.as_deref(), Some(stored.as_slice()));
    let outcome = outcome(&outputs[0]);
    assert_eq!((outcome.status, outcome.summary.as_deref()), (Status::Answered, Some(GOOD)));
    assert!(outputs[0].headers.get(REPEAT_HEADER).is_none());
}

#[tokio::test]
async fn redelivery_publishes_the_same_bytes_and_generates_nothing() {
    let bench = Bench::new(LOCAL).await;
    let worker = bench.worker("gpu", GOOD);
    let delivery = bench.routed(&document("a"), "gpu", 7);
    let first = worker.process(&delivery).await.unwrap();
    let second = bench.worker("gpu", BAD).process(&delivery).await.unwrap();
    assert_eq!(first[0].value, second[0].value);
    assert!(second[0].headers.get(REPEAT_HEADER).is_none());
    assert_eq!(bench.calls(), 1);
}

#[tokio::test]
async fn a_crash_between_answer_and_result_costs_no_second_generation() {
    let bench = Bench::new(LOCAL).await;
    let delivery = bench.routed(&document("a"), "gpu", 7);
    bench.worker("gpu", GOOD).process(&delivery).await.unwrap();
    bench.store.delete(&keys::result("acme", "a", 0)).await.unwrap();
    let again = bench.worker("gpu", BAD).process(&delivery).await.unwrap();
    assert_eq!(outcome(&again[0]).summary.as_deref(), Some(GOOD));
    assert_eq!(bench.calls(), 1);
}

/// Whatever a server writes: what is stored, and so published, has neither reasoning nor anything
/// that controls a terminal.
#[tokio::test]
async fn reasoning_and_control_characters_are_not_stored() {
    let bench = Bench::new(LOCAL).await;
    let worker = bench.worker("gpu", format!("<think>hm</think>{GOOD}\u{1b}[2J"));
    worker.process(&bench.routed(&document("a"), "gpu", 7)).await.unwrap();
    let stored = bench.store.list(&keys::cache_of("acme"), 10).await.unwrap();
    let stored: Answer = codec::decode(&bench.store.get(&stored[0].key).await.unwrap().unwrap()).unwrap();
    assert_eq!(stored.text, format!("{GOOD}\u{fffd}[2J"));
}

/// A store that refuses the first create of an answer.
struct AwayOnce {
    store: Arc<dyn ObjectStore>,
    refused: AtomicUsize,
}

#[async_trait]
impl ObjectStore for AwayOnce {
    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Put, ObjectError> {
        if key.contains(".answer.") && self.refused.fetch_add(1, Ordering::SeqCst) == 0 {
            let detail = "away".to_owned();
            return Err(ObjectError::Unavailable { operation: "create", key: key.to_owned(), detail });
        }
        self.store.put_if_absent(key, bytes).await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ObjectError> {
        self.store.get(key).await
    }

    async fn get_range(&self, key: &str, range: std::ops::Range<u64>) -> Result<Option<Vec<u8>>, ObjectError> {
        self.store.get_range(key, range).await
    }

    async fn list(&self, prefix: &str, limit: usize) -> Result<Vec<ObjectInfo>, ObjectError> {
        self.store.list(prefix, limit).await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.store.delete(key).await
    }

    fn describe(&self) -> String {
        self.store.describe()
    }
}

#[tokio::test]
async fn an_answer_that_the_store_did_not_take_is_not_asked_for_again() {
    let mut bench = Bench::new(LOCAL).await;
    bench.store = Arc::new(AwayOnce { store: bench.store.clone(), refused: AtomicUsize::new(0) });
    let worker = bench.worker("gpu", GOOD);
    let delivery = bench.routed(&document("a"), "gpu", 7);
    let error = worker.process(&delivery).await.unwrap_err();
    assert!(matches!(error, StageError::Retry { scope: Scope::Dependency, .. }), "{error}");
    let outputs = worker.process(&delivery).await.unwrap();
    assert_eq!(outcome(&outputs[0]).summary.as_deref(), Some(GOOD));
    assert_eq!(bench.calls(), 1, "it was paid for");
}

#[tokio::test]
async fn the_same_request_from_another_record_is_marked_as_a_repeat() {
    let bench = Bench::new(LOCAL).await;
    let worker = bench.worker("gpu", GOOD);
    worker.process(&bench.routed(&document("a"), "gpu", 7)).await.unwrap();
    let repeat = worker.process(&bench.routed(&document("a"), "gpu", 8)).await.unwrap();
    assert_eq!(repeat[0].headers.get_str(REPEAT_HEADER), Some("true"));
}

/// Another request under a settled id is a conflict, and leaves no outcome.
#[tokio::test]
async fn other_request_under_a_settled_id_is_a_conflict() {
    let bench = Bench::new(LOCAL).await;
    let worker = bench.worker("gpu", GOOD);
    worker.process(&bench.routed(&document("a"), "gpu", 7)).await.unwrap();
    let changed = Document { max_words: Some(9), ..document("a") };
    let delivery = bench.routed(&changed, "gpu", 8);
    let Err(StageError::Reject(rejection)) = worker.process(&delivery).await else { panic!("not rejected") };
    assert_eq!(rejection.code, "id_conflict");
    assert!(worker.rejected(&delivery, &rejection).await.unwrap().is_empty());
}

/// An answer that invents names and numbers escalates, and stays stored.
#[tokio::test]
async fn invented_names_and_numbers_escalate() {
    let bench = Bench::new(LOCAL).await;
    let outputs = bench.worker("gpu", BAD).process(&bench.routed(&document("a"), "gpu", 7)).await.unwrap();
    let trial = trial_of(&outputs[0]);
    assert_eq!(trial.result, TrialResult::FailedChecks);
    assert!(trial.failed_checks.iter().any(|check| check == "unsupported_numbers"), "{:?}", trial.failed_checks);
    assert!(bench.store.get(&trial.answer_key.unwrap()).await.unwrap().is_some());
    assert!(bench.store.get(&keys::result("acme", "a", 0)).await.unwrap().is_none());
}

#[tokio::test]
async fn late_document_is_generated_only_if_the_policy_runs_it() {
    let late = |bench: &Bench| {
        let delivery = bench.routed(&document("a"), "gpu", 7);
        let routed: RoutedDocument = codec::decode(delivery.record.value.as_deref().unwrap()).unwrap();
        bench.deliver(&RoutedDocument { deadline: Some(1), ..routed })
    };
    let bench = Bench::new(&format!("on_late = \"flag\"\n{LOCAL}")).await;
    let trial = trial_of(&bench.worker("gpu", GOOD).process(&late(&bench)).await.unwrap()[0]);
    assert_eq!((trial.result, trial.code.as_str(), bench.calls()), (TrialResult::Refused, "deadline_passed", 0));
    let bench = Bench::new(LOCAL).await;
    let settled = outcome(&bench.worker("gpu", GOOD).process(&late(&bench)).await.unwrap()[0]);
    assert_eq!((settled.status, bench.calls()), (Status::Answered, 1));
}

/// A stored answer is checked again under the policy in force, with the confidence it was given
/// with.
#[tokio::test]
async fn stored_answer_is_checked_again_with_its_confidence() {
    let bench = Bench::new(LOCAL).await;
    let delivery = bench.routed(&document("a"), "gpu", 7);
    let first = outcome(&bench.worker("gpu", GOOD).process(&delivery).await.unwrap()[0]);
    let confidence = first.checks.iter().find(|check| check.name == "confidence").unwrap();
    assert_eq!((confidence.value, confidence.passed), (Some(-2.5), true), "measured, and no gate");
    bench.store.delete(&keys::result("acme", "a", 0)).await.unwrap();
    let strict = format!("{LOCAL}\n[checks.default]\ngates = [\"confidence\"]\nmin_logprob = -2.0\n");
    let digest = apply_policy(&*bench.log, &*bench.store, &strict, "", "test").await.unwrap();
    wait_for(&bench, |bench| bench.control.effective().digest == digest).await;
    let trial = trial_of(&bench.worker("gpu", GOOD).process(&delivery).await.unwrap()[0]);
    assert_eq!((trial.code.as_str(), bench.calls()), ("confidence", 1));
}

/// A restricted or unlabelled document that reached an API tier is refused before anything is sent.
#[tokio::test]
async fn restricted_document_at_an_api_tier_is_refused() {
    let bench = Bench::new(MIX).await;
    for sensitivity in [Some(Sensitivity::Restricted), None] {
        let secret = Document { sensitivity, ..document("a") };
        let outputs = bench.worker("mid", GOOD).process(&bench.routed(&secret, "mid", 7)).await.unwrap();
        let trial = trial_of(&outputs[0]);
        assert_eq!((trial.result, trial.code.as_str()), (TrialResult::Refused, "sensitivity"));
    }
    assert_eq!(bench.calls(), 0);
}

/// The policy of the worker's re-check is on record beside the router's.
#[tokio::test]
async fn outcome_names_the_policies_of_router_and_worker() {
    let bench = Bench::new(MIX).await;
    let delivery = bench.routed(&document("a"), "mid", 7);
    let decided = bench.control.effective().digest;
    let newer = MIX.replace("max_hops = 2", "max_hops = 1");
    let rechecked = apply_policy(&*bench.log, &*bench.store, &newer, "", "test").await.unwrap();
    wait_for(&bench, |bench| bench.control.effective().digest == rechecked).await;
    let outcome = outcome(&bench.worker("mid", GOOD).process(&delivery).await.unwrap()[0]);
    assert_eq!((outcome.policy_digest, outcome.decision.unwrap().policy_digest), (rechecked, decided));
}

#[tokio::test]
async fn a_worker_sends_nothing_for_a_tier_that_became_internal() {
    let bench = Bench::new(MIX).await;
    // As started under a policy that had this tier at a provider.
    let fixed = FixedAnswer { text: GOOD.into(), kind: TierKind::Api, calls: bench.calls.clone() };
    let external = TierWorker::new("gpu", fixed, bench.store.clone(), bench.control.clone(), bench.keys.clone());
    for document in [document("b"), Document { sensitivity: None, ..document("a") }] {
        let error = external.process(&bench.routed(&document, "gpu", 7)).await.unwrap_err();
        assert!(matches!(error, StageError::Retry { code: "tier_changed", .. }), "{error:?}");
    }
    assert_eq!(bench.calls(), 0);
}

#[tokio::test]
async fn tier_that_was_switched_off_refuses_what_it_still_has() {
    let bench = Bench::new(MIX).await;
    let delivery = bench.routed(&document("a"), "mid", 7);
    switch_tier(&*bench.log, "mid", SwitchState::Off, "outage", "test").await.unwrap();
    wait_for(&bench, |bench| bench.control.effective().switches.get("mid").is_some()).await;
    let outputs = bench.worker("mid", GOOD).process(&delivery).await.unwrap();
    assert_eq!(trial_of(&outputs[0]).code, "tier_off");
    assert_eq!(bench.calls(), 0);
}

#[tokio::test]
async fn unreadable_policy_switches_external_tiers_off() {
    let bench = Bench::new(MIX).await;
    let unreadable =
        PolicyApplied { digest: "x".into(), toml: "version = 99".into(), applied_by: "test".into(), applied_at: 0 };
    let output = Output::to(topics::CONTROL).key(b"policy".as_slice()).value(codec::encode(&unreadable).unwrap());
    bench.log.publish(vec![output]).await.unwrap();
    wait_for(&bench, |bench| bench.control.effective().switches.get("mid").is_some()).await;
    let effective = bench.control.effective();
    assert!(effective.switches.get("premium").is_some() && effective.switches.get("gpu").is_none());
    assert_eq!(effective.policy.tiers.len(), 3, "the last good policy stays for the rest");
}

#[tokio::test]
async fn policy_reaches_followers_and_an_invalid_one_does_not() {
    let bench = Bench::new(LOCAL).await;
    let before = bench.control.effective().digest;
    assert!(apply_policy(&*bench.log, &*bench.store, "version = 1\ntiers = []\n", "", "test").await.is_err());
    let digest = apply_policy(&*bench.log, &*bench.store, MIX, "", "test").await.unwrap();
    wait_for(&bench, |bench| bench.control.effective().digest == digest).await;
    assert_ne!(before, digest);
    assert_eq!(bench.store.get(&keys::policy(&digest)).await.unwrap().unwrap(), MIX.as_bytes());
}

#[tokio::test]
async fn a_service_that_starts_knows_the_applied_policy_at_once() {
    let bench = Bench::new(LOCAL).await;
    let digest = apply_policy(&*bench.log, &*bench.store, MIX, "", "test").await.unwrap();
    let started = Control::follow(&bench.log, Policy::local()).await.unwrap();
    assert_eq!(started.effective().digest, digest);
}

#[tokio::test]
async fn a_document_that_cannot_be_done_settles_as_failed() {
    let bench = Bench::new(LOCAL).await;
    let worker = bench.worker("gpu", GOOD);
    let delivery = bench.routed(&document("a"), "gpu", 7);
    let outputs = worker.rejected(&delivery, &Rejection::new("prompt_too_long", "too long")).await.unwrap();
    let outcome = outcome(&outputs[0]);
    assert_eq!((outcome.status, outcome.code.as_deref()), (Status::Failed, Some("prompt_too_long")));
}

#[tokio::test]
async fn an_undecodable_work_record_is_rejected_and_leaves_no_outcome() {
    let bench = Bench::new(LOCAL).await;
    let worker = bench.worker("gpu", GOOD);
    let proved = bench.routed(&document("a"), "gpu", 7);
    assert_eq!(worker.sender(&proved.record).as_deref(), Some("acme"), "as the record says");
    let garbage = bench.deliver_bytes("gpu", b"garbage".to_vec());
    let Err(StageError::Reject(rejection)) = worker.process(&garbage).await else { panic!("not rejected") };
    assert_eq!((rejection.code, rejection.fault), ("not_single_object", Fault::Ours), "only the router writes work");
    assert_eq!(worker.sender(&garbage.record), None);
    assert!(worker.rejected(&garbage, &rejection).await.unwrap().is_empty());
}

/// Waits until the follower knows a change; a test that waits for ever is ended by the runner.
async fn wait_for(bench: &Bench, seen: impl Fn(&Bench) -> bool) {
    while !seen(bench) {
        tokio::task::yield_now().await;
    }
}
