//! A summary that is judged: chosen with its outcome, asked for once, ended once.

use std::collections::VecDeque;
use std::sync::Mutex;

use precis_flow::MAX_OUTPUT_BYTES;
use precis_pipeline::evaluation;
use precis_schemas::{Evaluation, EvaluationStatus, Purpose};

use super::*;

const VERDICT: &str =
    r#"{"faithfulness": 5, "coverage": 4, "coherence": 5, "conciseness": 4, "unsupported_claims": [], "remark": ""}"#;

/// The mix, whose middle tier judges every summary once.
fn judged_by(tier: &str) -> String {
    format!("{MIX}\n[evaluation]\njudges = [\"{tier}\"]\nrate = 1.0\nsecond_opinions = 0.0")
}

/// Says one thing after another, and keeps what it was asked.
struct Judge {
    says: Mutex<VecDeque<Result<&'static str, GenerateError>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Summariser for Judge {
    fn model(&self, prompt: &Prompt) -> ModelIdentity {
        ModelIdentity {
            provider: "anthropic".into(),
            name: "judge".into(),
            revision: String::new(),
            quantisation: String::new(),
            adapter: None,
            prompt_digest: prompt.digest.clone(),
        }
    }

    fn decoding(&self, rules: &DecodingRules) -> String {
        assert_eq!(rules.no_repeat_tokens, Some(0), "a verdict is JSON: nothing keeps it to its text");
        "greedy".into()
    }

    fn tier_kind(&self) -> TierKind {
        TierKind::Api
    }

    async fn summarise(&self, job: Job<'_>) -> Result<Generated, GenerateError> {
        assert_eq!((job.routed.purpose, job.max_parts), (Purpose::Evaluation, 1));
        self.asked.lock().unwrap().push(job.prompt.whole.clone());
        let text = self.says.lock().unwrap().pop_front().unwrap()?.to_owned();
        Ok(Generated {
            text,
            finish_reason: "stop".into(),
            input_tokens: 100,
            cached_input_tokens: 0,
            output_tokens: 30,
            chunks: 1,
            cut_chunks: 0,
            cost: "0.25".parse().unwrap(),
            price_digest: Some("p1".into()),
            logprob: None,
        })
    }
}

type Said = Result<&'static str, GenerateError>;

fn judge(bench: &Bench, says: impl IntoIterator<Item = Said>) -> (TierWorker<Judge>, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let judge = Judge { says: Mutex::new(says.into_iter().collect()), asked: asked.clone() };
    (TierWorker::new("mid", judge, bench.store.clone(), bench.control.clone(), bench.keys.clone()), asked)
}

/// A document's summary is published; its request to judge, as the router gives it to the judge.
async fn to_judge(bench: &Bench, document: &Document) -> Delivery {
    let outputs = bench.worker("gpu", GOOD).process(&bench.routed(document, "gpu", 7)).await.unwrap();
    let routed: RoutedDocument = codec::decode(outputs[1].value.as_deref().unwrap()).unwrap();
    bench.deliver(&RoutedDocument { tier: "mid".into(), ..routed })
}

fn read(output: &Output) -> Evaluation {
    assert_eq!(output.topic, topics::EVALUATIONS);
    codec::decode(output.value.as_deref().unwrap()).unwrap()
}

/// Every delivery that publishes the outcome takes the request along: only the transaction that
/// counts does count. A repeat by the publisher takes none.
#[tokio::test]
async fn the_request_goes_with_the_outcome_and_not_with_a_repeat() {
    let bench = Bench::new(&judged_by("mid")).await;
    let worker = bench.worker("gpu", GOOD);
    let delivery = bench.routed(&document("a"), "gpu", 7);
    let first = worker.process(&delivery).await.unwrap();
    let again = worker.process(&delivery).await.unwrap();
    for outputs in [&first, &again] {
        assert_eq!(outputs.len(), 2);
        let routed: RoutedDocument = codec::decode(outputs[1].value.as_deref().unwrap()).unwrap();
        assert_eq!((outputs[1].topic.as_str(), routed.tier.as_str()), (topics::ESCALATIONS, ""));
        assert_eq!((routed.purpose, routed.evaluation.unwrap().probability), (Purpose::Evaluation, 1.0));
        assert_eq!(outputs[1].key, outputs[0].key);
        assert!(outputs[1].headers.get(precis_pipeline::proof::PROOF_HEADER).is_some());
    }
    let repeat = worker.process(&bench.routed(&document("a"), "gpu", 8)).await.unwrap();
    assert_eq!((repeat.len(), repeat[0].headers.get(REPEAT_HEADER).is_some()), (1, true));
}

/// A document whose process died again and again behind the stored result is taken for what killed
/// it: the document is rejected, and its summary is what is published.
#[tokio::test]
async fn a_rejection_that_finds_a_summary_takes_its_request_along() {
    let bench = Bench::new(&judged_by("mid")).await;
    let worker = bench.worker("gpu", GOOD);
    let delivery = bench.routed(&document("a"), "gpu", 7);
    let first = worker.process(&delivery).await.unwrap();
    let left = worker.rejected(&delivery, &Rejection::new("crash_suspect", "died again and again")).await.unwrap();
    assert_eq!((left.len(), &left[0].value), (2, &first[0].value));
    assert_eq!((left[1].topic.as_str(), &left[1].key), (topics::ESCALATIONS, &first[1].key));
    assert!(left[1].headers.get(precis_pipeline::proof::PROOF_HEADER).is_some());
}

#[tokio::test]
async fn a_request_that_no_record_takes_does_not_cost_the_outcome() {
    let bench = Bench::new(&judged_by("mid")).await;
    let published = bench.worker("gpu", GOOD).process(&bench.routed(&document("a"), "gpu", 7)).await.unwrap();
    let effective = bench.control.effective();
    let requests = |bytes| evaluation::requests(&effective, &published[0], || Some(vec![0; bytes])).unwrap();
    assert_eq!((requests(1_000).len(), requests(MAX_OUTPUT_BYTES).len()), (1, 0));
}

#[tokio::test]
async fn a_verdict_is_asked_for_once_and_published_byte_for_byte() {
    let bench = Bench::new(&judged_by("mid")).await;
    let delivery = to_judge(&bench, &document("a")).await;
    let (worker, asked) = judge(&bench, [Ok(VERDICT)]);
    let first = worker.process(&delivery).await.unwrap();
    let second = worker.process(&delivery).await.unwrap();
    assert_eq!((first.len(), &first[0].value), (1, &second[0].value));
    let verdict = read(&first[0]);
    assert_eq!((verdict.status, verdict.scores.unwrap().score), (EvaluationStatus::Judged, 0.875));
    assert_eq!((verdict.judge_tier.as_deref(), verdict.tier.as_deref()), (Some("mid"), Some("gpu")));
    assert_eq!((verdict.cost.to_string().as_str(), verdict.same_model), ("$0.25", false));
    assert_eq!(verdict.summary_sha256, identity::sha256_hex(GOOD.as_bytes()));
    let asked = asked.lock().unwrap();
    assert!(asked.len() == 1 && asked[0].contains(GOOD) && !asked[0].contains("gpu"), "{asked:?}");
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_asked_for_once_more() {
    let bench = Bench::new(&judged_by("mid")).await;
    let delivery = to_judge(&bench, &document("a")).await;
    let (worker, asked) = judge(&bench, [Ok("It is good."), Ok(VERDICT)]);
    let verdict = read(&worker.process(&delivery).await.unwrap()[0]);
    assert_eq!((verdict.status, verdict.cost.to_string().as_str()), (EvaluationStatus::Judged, "$0.50"));
    assert_eq!((verdict.input_tokens, asked.lock().unwrap().len()), (200, 2));
}

/// A judge that fails is no judgement of the summary, and is paid for twice at most.
#[tokio::test]
async fn a_judge_that_answers_nonsense_twice_has_failed() {
    let bench = Bench::new(&judged_by("mid")).await;
    let delivery = to_judge(&bench, &document("a")).await;
    let (worker, asked) = judge(&bench, [Ok("It is good."), Ok("{}")]);
    for _ in 0..2 {
        let failed = read(&worker.process(&delivery).await.unwrap()[0]);
        assert_eq!((failed.status, failed.scores), (EvaluationStatus::Failed, None));
        assert_eq!(failed.code.as_deref(), Some("judge_unreadable"));
        assert!(failed.judge.is_some() && !failed.message.unwrap().contains("It is good"));
    }
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_crash_between_answer_and_verdict_costs_no_second_request() {
    let bench = Bench::new(&judged_by("mid")).await;
    let delivery = to_judge(&bench, &document("a")).await;
    let (worker, asked) = judge(&bench, [Ok("nonsense"), Ok(VERDICT)]);
    let first = read(&worker.process(&delivery).await.unwrap()[0]);
    bench.store.delete(&keys::evaluation("acme", "a", 0, 1)).await.unwrap();
    let again = read(&worker.process(&delivery).await.unwrap()[0]);
    assert_eq!(Evaluation { settled_at: first.settled_at, ..again }, first);
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_refusal_goes_back_to_the_router_and_a_retry_waits() {
    let bench = Bench::new(&judged_by("mid")).await;
    let delivery = to_judge(&bench, &document("a")).await;
    let refused = GenerateError::Refused { code: "out_of_money", message: String::new() };
    let (code, message) = ("provider_throttled", String::new());
    let waits = GenerateError::Retry { scope: Scope::Dependency, code, message, after: None };
    let (worker, _) = judge(&bench, [Err(waits), Err(refused)]);
    assert!(matches!(worker.process(&delivery).await.unwrap_err(), StageError::Retry { .. }));
    let outputs = worker.process(&delivery).await.unwrap();
    let trial = trial_of(&outputs[0]);
    assert_eq!((trial.tier.as_str(), trial.result, trial.code.as_str()), ("mid", TrialResult::Refused, "out_of_money"));
}

/// The worker's own re-check: what the router lets through by mistake does not leave.
#[tokio::test]
async fn a_restricted_document_is_not_sent_to_a_judge_outside() {
    let bench = Bench::new(&judged_by("mid")).await;
    let restricted = Document { sensitivity: None, ..document("a") };
    let delivery = to_judge(&bench, &restricted).await;
    let (worker, asked) = judge(&bench, [Ok(VERDICT)]);
    let outputs = worker.process(&delivery).await.unwrap();
    assert_eq!((trial_of(&outputs[0]).code.as_str(), asked.lock().unwrap().len()), ("sensitivity", 0));
}

/// A policy that names no such judge any more ends what is under way.
#[tokio::test]
async fn a_tier_that_is_no_judge_judges_nothing() {
    let bench = Bench::new(&judged_by("premium")).await;
    let delivery = to_judge(&bench, &document("a")).await;
    let (worker, asked) = judge(&bench, [Ok(VERDICT)]);
    let outputs = worker.process(&delivery).await.unwrap();
    assert_eq!((trial_of(&outputs[0]).code.as_str(), asked.lock().unwrap().len()), ("not_a_judge", 0));
}

#[tokio::test]
async fn a_result_that_is_gone_and_a_record_that_is_rejected_end_as_failed() {
    let bench = Bench::new(&judged_by("mid")).await;
    let delivery = to_judge(&bench, &document("a")).await;
    bench.store.delete(&keys::result("acme", "a", 0)).await.unwrap();
    let (worker, asked) = judge(&bench, []);
    let failed = read(&worker.process(&delivery).await.unwrap()[0]);
    assert_eq!((failed.code.as_deref(), asked.lock().unwrap().len()), (Some("result_gone"), 0));
    let delivery = to_judge(&bench, &document("b")).await;
    let rejection = Rejection::new("text_too_slow", "took too long");
    let failed = read(&worker.rejected(&delivery, &rejection).await.unwrap()[0]);
    assert_eq!((failed.document_id.as_str(), failed.code.as_deref()), ("b", Some("text_too_slow")));
    assert_eq!(failed.summary_sha256, identity::sha256_hex(GOOD.as_bytes()), "it says what was not judged");
}
