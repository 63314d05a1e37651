//! The largest and the too large of everything that a worker writes: whatever its size, a document
//! ends, and an object is never created that cannot be published.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use precis_flow::{Delivery, EmbeddedConfig, Log, LogConfig, MAX_OUTPUT_BYTES, Output, Processor, Record, Rejection};
use precis_objects::{DirectoryConfig, ObjectStore, StoreConfig, keys};
use precis_pipeline::answer_text::MAX_ANSWER_BYTES;
use precis_pipeline::control::{apply_policy, switch_tier};
use precis_pipeline::prompt::Prompt;
use precis_pipeline::settle::{Claim, Draft, REPEAT_HEADER};
use precis_pipeline::{
    Control, GenerateError, Generated, Identity, Job, RoutingKeys, Settler, Summariser, TierWorker, identity, topics,
};
use precis_policy::{Policy, TierKind};
use precis_schemas::{
    Answer, CacheLayer, Decision, Document, Escalation, ModelIdentity, Origin, Outcome, RoutedDocument, Sensitivity,
    Status, SwitchState, Trial, TrialResult, Usd, codec,
};
use tokio_util::sync::CancellationToken;

const LOCAL: &str = include_str!("../../../../infra/policy/local.toml");
const MEBIBYTE: usize = 1024 * 1024;
const TEXT: &str = "The harbour board met on Monday. It agreed to rebuild the old ferry terminal, because the roof leaks and the \
    tickets are still sold by hand. Work begins in spring and the ferries keep running from the second pier meanwhile.";

/// A server that answers with far more than was asked for.
struct Flood {
    text: String,
    calls: Arc<AtomicUsize>,
}

#[async_trait]
impl Summariser for Flood {
    fn model(&self, prompt: &Prompt) -> ModelIdentity {
        ModelIdentity {
            provider: "test".into(),
            name: "flood".into(),
            revision: "1".into(),
            quantisation: "none".into(),
            adapter: None,
            prompt_digest: prompt.digest.clone(),
        }
    }

    fn decoding(&self) -> String {
        "greedy".into()
    }

    fn tier_kind(&self) -> TierKind {
        TierKind::Gpu
    }

    async fn summarise(&self, _job: Job<'_>) -> Result<Generated, GenerateError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(Generated {
            text: self.text.clone(),
            finish_reason: "stop".into(),
            input_tokens: 50,
            cached_input_tokens: 0,
            output_tokens: 20,
            chunks: 1,
            cut_chunks: 0,
            cost: Usd::ZERO,
            price_digest: None,
            logprob: None,
        })
    }
}

struct World {
    _directory: tempfile::TempDir,
    log: Arc<dyn Log>,
    store: Arc<dyn ObjectStore>,
    control: Arc<Control>,
    keys: Arc<RoutingKeys>,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config =
            LogConfig { embedded: EmbeddedConfig { path: directory.path().join("log.db") }, ..LogConfig::default() };
        let log = precis_flow::open(&config).await.unwrap();
        log.ensure_topics(&topics::all(&["acme".into()], &["gpu".into()], 1, None)).await.unwrap();
        let store = StoreConfig {
            directory: DirectoryConfig { path: directory.path().join("objects") },
            ..StoreConfig::default()
        };
        let store = precis_objects::open(&store).await.unwrap();
        let control = Control::follow(&log, Policy::parse(LOCAL).unwrap()).await.unwrap();
        let keys = Arc::new(RoutingKeys::open(&*store).await.unwrap());
        Self { _directory: directory, log, store, control, keys }
    }

    fn worker(&self, text: String) -> (TierWorker<Flood>, Arc<AtomicUsize>) {
        let calls = Arc::<AtomicUsize>::default();
        let flood = Flood { text, calls: calls.clone() };
        (TierWorker::new("gpu", flood, self.store.clone(), self.control.clone(), self.keys.clone()), calls)
    }

    fn routed(&self, document: &Document) -> RoutedDocument {
        let text = document.text.as_deref().unwrap_or_default();
        RoutedDocument {
            tenant: "acme".into(),
            document_id: document.document_id.clone(),
            revision: document.revision,
            origin: Origin { topic: "documents.acme".into(), partition: 0, offset: 7 },
            request_digest: identity::request_digest(document),
            request_fingerprint: identity::request_fingerprint("acme", document, text),
            document: codec::encode(document).unwrap(),
            tier: "gpu".into(),
            decision: Decision {
                eligible: vec!["gpu".into()],
                excluded: Vec::new(),
                features: BTreeMap::new(),
                score: 0.5,
                thresholds: BTreeMap::new(),
                shadow_price: 0.0,
                chosen: "gpu".into(),
                reason: "target_mix".into(),
                policy_digest: self.control.effective().digest,
                arm: String::new(),
            },
            trail: Vec::new(),
            policy_digest: self.control.effective().digest,
            purpose: document.purpose,
            priority: 0,
            deadline: None,
            replay: false,
            routed_at: 0,
        }
    }

    fn delivery(&self, routed: &RoutedDocument) -> Delivery {
        let proved = self.keys.prove(Output::to("work.gpu").value(codec::encode(routed).unwrap()));
        let record = Record {
            topic: "work.gpu".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            key: None,
            value: proved.value,
            headers: proved.headers,
        };
        Delivery::new(record, CancellationToken::new())
    }
}

fn document() -> Document {
    Document {
        document_id: "a".into(),
        text: Some(TEXT.into()),
        sensitivity: Some(Sensitivity::Public),
        ..Document::default()
    }
}

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
    }
}

/// An answered outcome with a summary of so many bytes.
fn answered(claim: &Claim, bytes: usize) -> Outcome {
    let draft = Draft::unrouted(claim, &Document::default(), "", 9);
    draft.answered("gpu", &answer("x".repeat(bytes)), "cache/acme/key", CacheLayer::None)
}

fn outcome(output: &Output) -> Outcome {
    assert_eq!(output.topic, topics::SUMMARIES);
    assert!(output.size_bytes() <= MAX_OUTPUT_BYTES, "{} bytes", output.size_bytes());
    codec::decode(output.value.as_deref().unwrap()).unwrap()
}

/// The largest outcome that fits is settled as it is; with one byte more it is a failure that says
/// so, and topic and store agree on it byte for byte.
#[tokio::test]
async fn an_outcome_too_large_to_publish_is_settled_as_failed() {
    let world = World::new().await;
    let settler = Settler::new(world.store.clone());
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
    assert_eq!(world.store.get(&keys::result("acme", "b", 0)).await.unwrap(), over.value);
    let repeat = Claim { origin: Origin { offset: 8, ..claim("b").origin }, ..claim("b") };
    let repeated = settler.settled(&repeat).await.unwrap().unwrap();
    assert_eq!(repeated.value, over.value);
    assert_eq!(repeated.headers.get_str(REPEAT_HEADER), Some("true"));
}

/// A result that an older version created and could never publish: every delivery and every repeat
/// ends the document with the same failure.
#[tokio::test]
async fn a_stored_result_too_large_to_publish_ends_its_document() {
    let world = World::new().await;
    let settler = Settler::new(world.store.clone());
    let stored = codec::encode(&answered(&claim("a"), 3 * MEBIBYTE)).unwrap();
    world.store.put_if_absent(&keys::result("acme", "a", 0), stored.clone()).await.unwrap();
    let first = settler.settled(&claim("a")).await.unwrap().unwrap();
    assert_eq!(outcome(&first).code.as_deref(), Some("output_too_large"));
    let again = settler.settle(&claim("a"), &answered(&claim("a"), 10)).await.unwrap();
    assert_eq!(first, again);
    let other = Claim { request_digest: "other".into(), ..claim("a") };
    assert_eq!(settler.settled(&other).await.unwrap_err().code(), "id_conflict");
    assert_eq!(world.store.get(&keys::result("acme", "a", 0)).await.unwrap(), Some(stored), "it stays as it is");
}

/// An identity that no record can hold settles nothing: no object is left without a record.
#[tokio::test]
async fn an_identity_too_large_to_publish_creates_no_result() {
    let world = World::new().await;
    let claim = claim(&"x".repeat(2 * MEBIBYTE));
    let error = Settler::new(world.store.clone()).settle(&claim, &answered(&claim, 1)).await.unwrap_err();
    assert_eq!(error.code(), "output_too_large");
    assert!(world.store.list("results/", 1).await.unwrap().is_empty());
}

/// Three mebibytes from a server: cut to what was asked for, stored, never asked for again, and the
/// document goes on as one whose answer was cut.
#[tokio::test]
async fn an_answer_of_megabytes_is_cut_and_paid_for_once() {
    let world = World::new().await;
    let (worker, calls) = world.worker("Äwords and more ".repeat(3 * MEBIBYTE / 16));
    let delivery = world.delivery(&world.routed(&document()));
    for _ in 0..2 {
        let outputs = worker.process(&delivery).await.unwrap();
        assert_eq!(outputs[0].topic, topics::ESCALATIONS);
        assert!(outputs[0].size_bytes() <= MAX_OUTPUT_BYTES);
        let trial = codec::decode::<Escalation>(outputs[0].value.as_deref().unwrap()).unwrap().trial;
        assert!(trial.failed_checks.iter().any(|check| check == "truncated"), "{:?}", trial.failed_checks);
        let stored: Answer =
            codec::decode(&world.store.get(&trial.answer_key.unwrap()).await.unwrap().unwrap()).unwrap();
        assert_eq!(stored.finish_reason, "length");
        assert!(stored.text.len() <= Prompt::for_document(&document(), None).max_answer_bytes());
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(world.store.list("results/", 1).await.unwrap().is_empty(), "the router ends the document");
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
    let world = World::new().await;
    let (worker, calls) = world.worker("unused".into());
    let routed = world.routed(&document());
    // The key is the worker's own: the first delivery creates it.
    worker.process(&world.delivery(&routed)).await.unwrap();
    let key = world.store.list(&keys::cache_of("acme"), 10).await.unwrap()[0].key.clone();
    world.store.delete(&key).await.unwrap();
    world.store.put_if_absent(&key, codec::encode(&answer("word ".repeat(MEBIBYTE))).unwrap()).await.unwrap();
    let outputs = worker.process(&world.delivery(&routed)).await.unwrap();
    assert_eq!(outputs[0].topic, topics::ESCALATIONS, "cut");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

/// A routed document so large that its escalation fits no record ends as failed.
#[tokio::test]
async fn a_document_too_large_to_escalate_ends_as_failed() {
    let world = World::new().await;
    let (worker, _) = world.worker("It rains in Antwerp since 1999.".into());
    let mut routed = world.routed(&document());
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
    let delivery = world.delivery(&routed);
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
    let world = World::new().await;
    switch_tier(&*world.log, "gpu", SwitchState::Drain, &"r".repeat(128 * 1024), "tests").await.unwrap();
    let before = world.control.effective().digest;
    let policy = format!("{LOCAL}\n# {}", "x".repeat(3 * MEBIBYTE));
    let error = apply_policy(&*world.log, &*world.store, &policy, "too large", "tests").await.unwrap_err();
    assert_eq!(error.code(), "record_too_large", "{error}");
    world.control.for_record("another").await.unwrap();
    assert_eq!(world.control.effective().digest, before);
    assert!(world.control.applied().is_none());
}
