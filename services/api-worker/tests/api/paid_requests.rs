//! Bounds on how often a document is paid for. Answers in an unusual shape are read. An answer that
//! cannot be read or never comes costs a bounded number of requests, over attempts, deliveries and
//! processes. The provider counts.

use std::sync::Arc;

use precis_api_worker::caller::{ApiError, Caller, Subject};
use precis_api_worker::ledger::Ledger;
use precis_api_worker::{ApiWorkerSettings, BreakerSettings};
use precis_objects::ObjectStore as _;
use precis_pipeline::{PaidRequests, topics};
use precis_schemas::{Escalation, Outcome, Purpose, SettlementResult, Status, TrialResult, Usd, codec};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::calls::caller;
use crate::deployment::{Always, SUMMARY, TENANT, TestDeployment, paid_requests, policy, spending};
use crate::faults::{Answer, Faults};
use crate::memory::MemoryStore;
use crate::wires::{ANTHROPIC, OPENAI, Wire};
use crate::worker::{settings, start};

fn garbled() -> Answer {
    Answer::Http { status: 200, headers: Vec::new(), body: b"<html>hello</html>".to_vec() }
}

/// Settings whose every failure goes back to the stage at once: each attempt of the stage makes one
/// request.
fn one_attempt(deployment: &TestDeployment, faults: &Faults) -> ApiWorkerSettings {
    let mut settings = settings(deployment, &faults.url, true);
    settings.max_attempts = 1;
    settings
}

async fn deployment_for(wire: &Wire, tier: &str) -> Arc<TestDeployment> {
    Arc::new(TestDeployment::open(&(policy(wire.name, wire.model) + tier)).await)
}

async fn escalations(deployment: &TestDeployment, count: usize) -> Vec<Escalation> {
    let records = deployment.records(topics::ESCALATIONS, count).await;
    records.iter().map(|record| codec::decode(record.value.as_deref().unwrap()).unwrap()).collect()
}

async fn outcome(deployment: &TestDeployment) -> Outcome {
    codec::decode(deployment.records(topics::SUMMARIES, 1).await[0].value.as_deref().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_whose_answers_cannot_be_read_is_paid_for_twice() {
    for wire in [&ANTHROPIC, &OPENAI] {
        for max_attempts in [1, 4] {
            let deployment = deployment_for(wire, "").await;
            let faults = Faults::start(Vec::new(), garbled()).await;
            let worker = start(&deployment, ApiWorkerSettings { max_attempts, ..one_attempt(&deployment, &faults) });
            deployment.route("one").await;
            let trial = escalations(&deployment, 1).await.remove(0).trial;
            assert_eq!((trial.result, trial.code.as_str()), (TrialResult::Refused, "provider_unreadable"));
            worker.stop().await;
            assert!(faults.seen().len() <= 2, "{} {max_attempts}: {}", wire.name, faults.seen().len());
            let (attempts, settlements) = deployment.ledger().await;
            assert_eq!(attempts.len(), faults.seen().len());
            for settlement in settlements {
                assert_eq!(settlement.result, SettlementResult::Unknown);
                assert_eq!(settlement.cost, attempts[0].reserved, "the most that it can have cost");
            }
        }
    }
}

/// Each body has the text, in a shape that a strict reader does not take.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_an_unusual_shape_is_paid_for_once() {
    let whole = |message: Value, usage: Value| {
        json!({ "choices": [{ "index": 0, "finish_reason": "stop", "message": message }], "usage": usage }).to_string()
    };
    let usage = json!({ "prompt_tokens": 80, "completion_tokens": 20 });
    let text = json!({ "role": "assistant", "content": SUMMARY });
    for (body, billed) in [
        (whole(json!({ "content": [{ "type": "text", "text": SUMMARY }] }), usage.clone()), true),
        (whole(text.clone(), json!({ "prompt_tokens": 80.0, "completion_tokens": 20.0 })), true),
        (whole(text.clone(), json!({ "prompt_tokens": 80 })), false),
        (whole(text.clone(), json!({ "prompt_tokens": null, "completion_tokens": "?" })), false),
        (whole(text.clone(), json!({ "prompt_tokens": 0, "completion_tokens": 0 })), false),
        (format!("\n\n  \n{}", whole(text, usage.clone())), true),
        (
            whole(json!({ "content": SUMMARY.replace("three", "X three") }), usage).replace("X three", "\\ud83d three"),
            true,
        ),
    ] {
        let deployment = deployment_for(&OPENAI, "").await;
        let answer = Answer::Http { status: 200, headers: Vec::new(), body: body.clone().into_bytes() };
        let faults = Faults::start(vec![answer], OPENAI.problem(OPENAI.bad_request)).await;
        let worker = start(&deployment, one_attempt(&deployment, &faults));
        deployment.route("one").await;
        let outcome = outcome(&deployment).await;
        assert_eq!(outcome.status, Status::Answered, "{body}");
        assert_eq!(outcome.summary.unwrap().replace("\u{fffd} ", ""), SUMMARY, "{body}");
        worker.stop().await;
        assert_eq!(faults.seen().len(), 1, "{body}");
        let total = deployment.spend().await.total();
        assert_eq!((total.billed > Usd::ZERO, total.possibly_billed > Usd::ZERO), (billed, !billed), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reasoning_and_a_fence_are_paid_for_and_not_published() {
    for text in [
        format!("<think>The user wants it short.</think>\n\n{SUMMARY}"),
        format!("Okay, a harbour.\n</think>\n\n{SUMMARY}"),
        format!("```markdown\n{SUMMARY}\n```"),
    ] {
        let deployment = deployment_for(&OPENAI, "").await;
        let faults = Faults::start(Vec::new(), OPENAI.ok(&text, "stop", 80, 0, 200)).await;
        let worker = start(&deployment, one_attempt(&deployment, &faults));
        deployment.route("one").await;
        let outcome = outcome(&deployment).await;
        assert_eq!((outcome.summary.as_deref(), outcome.output_tokens), (Some(SUMMARY), 200), "{text}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reasoning_without_end_is_a_cut_answer() {
    let deployment = deployment_for(&OPENAI, "").await;
    let faults = Faults::start(Vec::new(), OPENAI.ok(&format!("<think>{SUMMARY}"), "stop", 80, 0, 200)).await;
    let worker = start(&deployment, one_attempt(&deployment, &faults));
    deployment.route("one").await;
    let trial = escalations(&deployment, 1).await.remove(0).trial;
    assert_eq!(trial.result, TrialResult::FailedChecks);
    assert!(trial.failed_checks.iter().any(|check| check == "truncated"), "{:?}", trial.failed_checks);
    worker.stop().await;
    assert_eq!(faults.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_bounds_what_one_document_may_cost() {
    let Answer::Http { body, .. } = OPENAI.ok(SUMMARY, "stop", 80, 0, 20) else { unreachable!() };
    let error = Answer::json(200, &json!({ "error": { "code": 429, "message": "upstream" } }));
    for failure in [OPENAI.problem((500, "server_error", "")), Answer::Half(body), Answer::Closes, error] {
        let deployment = deployment_for(&OPENAI, "max_paid_requests = 3\n").await;
        let faults = Faults::start(Vec::new(), failure.clone()).await;
        let worker = start(&deployment, one_attempt(&deployment, &faults));
        deployment.route("one").await;
        let trial = escalations(&deployment, 1).await.remove(0).trial;
        assert_eq!((trial.result, trial.code.as_str()), (TrialResult::Refused, "paid_requests_exhausted"));
        worker.stop().await;
        assert_eq!(faults.seen().len(), 3, "{failure:?}");
        let metrics = deployment.runtime.recorder.render();
        assert!(metrics.contains("precis_api_repeated_requests_total{tier=\"api\"}"), "{metrics}");
    }
}

/// A server that speaks another format is not paid for every document twice.
#[tokio::test(flavor = "multi_thread")]
async fn unreadable_answers_in_a_row_end_the_spending() {
    let deployment = deployment_for(&OPENAI, "").await;
    let faults = Faults::start(Vec::new(), garbled()).await;
    let mut settings = one_attempt(&deployment, &faults);
    settings.openai.max_concurrency = 1;
    settings.openai.breaker = BreakerSettings { refuse_after_ms: 0, ..BreakerSettings::default() };
    let worker = start(&deployment, settings);
    for number in 0..40 {
        deployment.route(&format!("document-{number}")).await;
    }
    for escalation in escalations(&deployment, 40).await {
        assert_eq!(escalation.trial.code, "provider_unreadable");
    }
    worker.stop().await;
    assert_eq!(faults.seen().len(), 20);
    let metrics = deployment.runtime.recorder.render();
    assert!(metrics.contains("precis_api_unreadable_state{provider=\"openai\",model=\"gpt-5.4-nano\"}"), "{metrics}");
}

async fn call(caller: &Caller, requests: &PaidRequests) -> Result<(), ApiError> {
    let subject = Subject { tenant: TENANT, document_id: "document", revision: 3, purpose: Purpose::Production };
    let stop = CancellationToken::new();
    caller.call(OPENAI.request(), subject, spending(&[], requests), &Always, &stop).await.map(|_| ())
}

/// A process that dies with a request in flight has paid for it: the next process knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_its_process_died_with_counts() {
    let deployment = deployment_for(&OPENAI, "").await;
    let store = MemoryStore::new();
    let faults = Faults::start(vec![Answer::Hangs, Answer::Hangs], OPENAI.ok(SUMMARY, "stop", 80, 0, 20)).await;
    let caller = Arc::new(caller(&OPENAI, OPENAI.at(&faults.url), Ledger::new(deployment.log())));
    for number in 1..=2 {
        let (caller, store) = (Arc::clone(&caller), Arc::clone(&store));
        let died = tokio::spawn(async move { call(&caller, &paid_requests(store, "document", 2)).await });
        while faults.seen().len() < number {
            tokio::task::yield_now().await;
        }
        died.abort();
        assert!(died.await.unwrap_err().is_cancelled());
    }
    let error = call(&caller, &paid_requests(store.clone(), "document", 2)).await.unwrap_err();
    assert_eq!((error.code(), faults.seen().len()), ("paid_requests_exhausted", 2));
    call(&caller, &paid_requests(store, "another", 2)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_surely_not_billed_does_not_count() {
    let deployment = deployment_for(&OPENAI, "").await;
    let throttled = OPENAI.problem(OPENAI.throttled).with("retry-after-ms", "1");
    let faults = Faults::start(vec![throttled; 3], OPENAI.ok(SUMMARY, "stop", 80, 0, 20)).await;
    let caller = caller(&OPENAI, OPENAI.at(&faults.url), Ledger::new(deployment.log()));
    let store = MemoryStore::new();
    let requests = paid_requests(store.clone(), "document", 1);
    call(&caller, &requests).await.unwrap();
    assert_eq!(faults.seen().len(), 4);
    requests.clear().await;
    assert!(store.list("", 10).await.unwrap().is_empty(), "an answered document leaves nothing behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_that_the_store_cannot_mark() {
    let deployment = deployment_for(&OPENAI, "").await;
    let faults = Faults::start(Vec::new(), OPENAI.ok(SUMMARY, "stop", 80, 0, 20)).await;
    let caller = caller(&OPENAI, OPENAI.at(&faults.url), Ledger::new(deployment.log()));
    let store = MemoryStore::new();
    store.fail(1.0);
    let error = call(&caller, &paid_requests(store, "document", 6)).await.unwrap_err();
    assert!(matches!(error, ApiError::Unmarked(_)), "{error}");
    assert!(faults.seen().is_empty() && deployment.ledger().await.0.is_empty());
}
