//! The largest and the too large of everything that a worker writes: whatever its size, a document
//! ends, and an object is never created that cannot be published.
#![allow(clippy::unwrap_used)]

use precis_flow::{MAX_OUTPUT_BYTES, Output, Processor, Rejection};
use precis_objects::keys;
use precis_pipeline::answer_text::MAX_ANSWER_BYTES;
use precis_pipeline::control::{apply_policy, switch_tier};
use precis_pipeline::prompt::Prompt;
use precis_pipeline::settle::{Claim, Draft, REPEAT_HEADER};
use precis_pipeline::{Identity, Settler, topics};
use precis_schemas::{
    Answer, CacheLayer, Document, Escalation, ModelIdentity, Origin, Outcome, Status, SwitchState, Trial, TrialResult,
    Usd, codec,
};

mod support;

use support::{Bench, LOCAL, document};

const MEBIBYTE: usize = 1024 * 1024;

fn claim(document_id: &str) -> Claim {
    Claim {
        identity: Identity { tenant: "acme".into(), document_id: document_id.into(), revision: 0 },
        origin: Origin { topic: "documents.acme".into(), partition: 0, offset: 7 },
        request_digest: "d".into(),
        replay: false,
    }
}

fn answer(text: String) -> Answer {
    Answer {
        tenant: "acme".into(),
        request_fingerprint: "r".into(),
        answer_fingerprint: "f".into(),
        text,
        finish_reason: "stop".into(),
        model: ModelIdentity {
            provider: "test".into(),
            name: "m".into(),
            revision: String::new(),
            quantisation: String::new(),
            adapter: None,
            prompt_digest: "p".into(),
        },
        input_tokens: 1,
        cached_input_tokens: 0,
        output_tokens: 1,
        chunks: 1,
        checks: Vec::new(),
        accepted: true,
        cost: Usd::from_nanos(5).unwrap(),
        price_digest: None,
        generation_ms: 1,
        created_at: 1,
        subject_ids: Vec::new(),
        scores: None,
    }
}

/// An answered outcome with a summary of so many bytes.
fn answered(claim: &Claim, bytes: usize) -> Outcome {
    let draft = Draft::unrouted(claim, &Document::default(), "", 9);
    draft.answered("gpu", &answer("x".repeat(bytes)), "cache/acme/key", CacheLayer::None)
}

/// An outcome that can be published.
fn outcome(output: &Output) -> Outcome {
    assert!(output.size_bytes() <= MAX_OUTPUT_BYTES, "{} bytes", output.size_bytes());
    support::outcome(output)
}

/// The largest outcome that fits is settled as it is; with one byte more it is a failure that says
/// so, and topic and store agree on it byte for byte.
#[tokio::test]
async fn an_outcome_too_large_to_publish_is_settled_as_failed() {
    let bench = Bench::new(LOCAL).await;
    let settler = Settler::new(bench.store.clone());
    let probe = settler.settle(&claim("p"), &answered(&claim("p"), MEBIBYTE)).await.unwrap();
    // The mark of a repeat counts, although the first publication does not have it.
    let mark = REPEAT_HEADER.len() + "true".len();
    let room = MEBIBYTE + MAX_OUTPUT_BYTES - probe.size_bytes() - mark;
    let largest = settler.settle(&claim("a"), &answered(&claim("a"), room)).await.unwrap();
    assert_eq!(outcome(&largest).status, Status::Answered);
    let over = settler.settle(&claim("b"), &answered(&claim("b"), room + 1)).await.unwrap();
    let failed = outcome(&over);
    assert_eq!((failed.status, failed.code.as_deref()), (Status::Failed, Some("output_too_large")));
    assert_eq!((failed.summary, failed.answer_key.as_deref()), (None, Some("cache/acme/key")));
    assert_eq!(failed.cost, Usd::from_nanos(5).unwrap(), "it was paid for");
    assert_eq!(bench.store.get(&keys::result("acme", "b", 0)).await.unwrap(), over.value);
    let repeat = Claim { origin: Origin { offset: 8, ..claim("b").origin }, ..claim("b") };
    let repeated = settler.settled(&repeat).await.unwrap().unwrap();
    assert_eq!(repeated.value, over.value);
    assert_eq!(repeated.headers.get_str(REPEAT_HEADER), Some("true"));
}

/// A result that an older version created and could never publish: every delivery and every repeat
/// ends the document with the same failure.
#[tokio::test]
async fn a_stored_result_too_large_to_publish_ends_its_document() {
    let bench = Bench::new(LOCAL).await;
    let settler = Settler::new(bench.store.clone());
    let stored = codec::encode(&answered(&claim("a"), 3 * MEBIBYTE)).unwrap();
    bench.store.put_if_absent(&keys::result("acme", "a", 0), stored.clone()).await.unwrap();
    let first = settler.settled(&claim("a")).await.unwrap().unwrap();
    assert_eq!(outcome(&first).code.as_deref(), Some("output_too_large"));
    let again = settler.settle(&claim("a"), &answered(&claim("a"), 10)).await.unwrap();
    assert_eq!(first, again);
    let other = Claim { request_digest: "other".into(), ..claim("a") };
    assert_eq!(settler.settled(&other).await.unwrap_err().code(), "id_conflict");
    assert_eq!(bench.store.get(&keys::result("acme", "a", 0)).await.unwrap(), Some(stored), "it stays as it is");
}

/// An identity that no record can hold settles nothing: no object is left without a record.
#[tokio::test]
async fn an_identity_too_large_to_publish_creates_no_result() {
    let bench = Bench::new(LOCAL).await;
    let claim = claim(&"x".repeat(2 * MEBIBYTE));
    let error = Settler::new(bench.store.clone()).settle(&claim, &answered(&claim, 1)).await.unwrap_err();
    assert_eq!(error.code(), "output_too_large");
    assert!(bench.store.list("results/", 1).await.unwrap().is_empty());
}

/// Three mebibytes from a server: cut to what was asked for, stored, never asked for again, and the
/// document goes on as one whose answer was cut.
#[tokio::test]
async fn an_answer_of_megabytes_is_cut_and_paid_for_once() {
    let bench = Bench::new(LOCAL).await;
    let worker = bench.worker("gpu", "Äwords and more ".repeat(3 * MEBIBYTE / 16));
    let delivery = bench.routed(&document("a"), "gpu", 7);
    for _ in 0..2 {
        let outputs = worker.process(&delivery).await.unwrap();
        assert_eq!(outputs[0].topic, topics::ESCALATIONS);
        assert!(outputs[0].size_bytes() <= MAX_OUTPUT_BYTES);
        let trial = codec::decode::<Escalation>(outputs[0].value.as_deref().unwrap()).unwrap().trial;
        assert!(trial.failed_checks.iter().any(|check| check == "truncated"), "{:?}", trial.failed_checks);
        let stored: Answer =
            codec::decode(&bench.store.get(&trial.answer_key.unwrap()).await.unwrap().unwrap()).unwrap();
        assert_eq!(stored.finish_reason, "length");
        assert!(stored.text.len() <= Prompt::for_document(&document("a"), None).max_answer_bytes());
    }
    assert_eq!(bench.calls(), 1);
    assert!(bench.store.list("results/", 1).await.unwrap().is_empty(), "the router ends the document");
}

/// The longest answer to the longest summary that a policy may allow fits its outcome.
#[test]
fn the_longest_answer_of_any_policy_fits_its_outcome() {
    let longest = Document { max_words: Some(10_000), ..Document::default() };
    assert!(Prompt::for_document(&longest, None).max_answer_bytes() <= MAX_ANSWER_BYTES);
    let unbounded = Document { max_words: Some(i32::MAX), ..Document::default() };
    assert!(Prompt::for_document(&unbounded, None).max_output_tokens() > 1_000_000, "it does not wrap");
    const { assert!(2 * MAX_ANSWER_BYTES < MAX_OUTPUT_BYTES) };
}

/// An answer that an older version stored whole is cut when it is found again.
#[tokio::test]
async fn a_stored_answer_too_large_is_cut_when_it_is_found() {
    let bench = Bench::new(LOCAL).await;
    let worker = bench.worker("gpu", "unused");
    let delivery = bench.routed(&document("a"), "gpu", 7);
    // The key is the worker's own: the first delivery creates it.
    worker.process(&delivery).await.unwrap();
    let key = bench.store.list(&keys::cache_of("acme"), 10).await.unwrap()[0].key.clone();
    bench.store.delete(&key).await.unwrap();
    bench.store.put_if_absent(&key, codec::encode(&answer("word ".repeat(MEBIBYTE))).unwrap()).await.unwrap();
    let outputs = worker.process(&delivery).await.unwrap();
    assert_eq!(outputs[0].topic, topics::ESCALATIONS);
    let trial = codec::decode::<Escalation>(outputs[0].value.as_deref().unwrap()).unwrap().trial;
    assert!(trial.failed_checks.iter().any(|check| check == "truncated"), "{:?}", trial.failed_checks);
    assert_eq!(bench.calls(), 1);
}

/// A routed document so large that its escalation fits no record ends as failed.
#[tokio::test]
async fn a_document_too_large_to_escalate_ends_as_failed() {
    let bench = Bench::new(LOCAL).await;
    let worker = bench.worker("gpu", "It rains in Antwerp since 1999.");
    let mut routed = bench.work(&document("a"), "gpu", 7);
    let trial = Trial {
        tier: "t".into(),
        result: TrialResult::Refused,
        code: "c".repeat(500),
        answer_key: None,
        failed_checks: Vec::new(),
        policy_digest: String::new(),
        at: 0,
    };
    while codec::encode(&routed).unwrap().len() + 200 * 600 < MAX_OUTPUT_BYTES {
        routed.trail.extend(std::iter::repeat_n(trial.clone(), 200));
    }
    while codec::encode(&routed).unwrap().len() + 2 * 600 < MAX_OUTPUT_BYTES {
        routed.trail.push(trial.clone());
    }
    routed.trail.push(Trial { code: "c".repeat(700), ..trial });
    let delivery = bench.deliver(&routed);
    let outputs = worker.process(&delivery).await.unwrap();
    assert!(outputs[0].size_bytes() > MAX_OUTPUT_BYTES, "the stage rejects it: {}", outputs[0].size_bytes());
    let rejection = Rejection::new("output_too_large", "over the limit").of_tenant("acme");
    let left = worker.rejected(&delivery, &rejection).await.unwrap();
    assert_eq!(outcome(&left[0]).code.as_deref(), Some("output_too_large"));
}

/// What operators write: a reason as long as a command line takes fits both records; a policy that
/// fits none changes nothing.
#[tokio::test]
async fn a_change_too_large_for_control_changes_nothing() {
    let bench = Bench::new(LOCAL).await;
    switch_tier(&*bench.log, "gpu", SwitchState::Drain, &"r".repeat(128 * 1024), "tests").await.unwrap();
    let before = bench.control.effective().digest;
    let policy = format!("{LOCAL}\n# {}", "x".repeat(3 * MEBIBYTE));
    let error = apply_policy(&*bench.log, &*bench.store, &policy, "too large", "tests").await.unwrap_err();
    assert_eq!(error.code(), "record_too_large", "{error}");
    bench.control.for_record("another").await.unwrap();
    assert_eq!(bench.control.effective().digest, before);
    assert!(bench.control.applied().is_none());
}
