//! A second answer under other rules of decoding, where the first fails its checks.

use std::sync::Mutex;

use super::*;

/// Says one thing in a first try and another where names must be the source's; notes how it was
/// asked.
struct Decoded {
    answers: [&'static str; 2],
    /// Whether it can follow rules of decoding, as a provider cannot.
    follows_rules: bool,
    asked: Arc<Mutex<Vec<DecodingRules>>>,
}

#[async_trait]
impl Summariser for Decoded {
    fn model(&self, prompt: &Prompt) -> ModelIdentity {
        FixedAnswer { text: GOOD.to_owned(), kind: TierKind::Gpu, calls: Arc::default() }.model(prompt)
    }

    fn decoding(&self, rules: &DecodingRules) -> String {
        if self.follows_rules { format!("{rules:?}") } else { "the provider's".to_owned() }
    }

    fn tier_kind(&self) -> TierKind {
        TierKind::Gpu
    }

    async fn summarise(&self, job: Job<'_>) -> Result<Generated, GenerateError> {
        self.asked.lock().unwrap().push(job.decoding);
        let parts = format!("a part by {:?}", job.part_decoding);
        let kept = job.partials.get(0).await;
        assert!(kept.is_none_or(|kept| kept == parts.as_bytes()));
        job.partials.put(0, parts.into_bytes()).await;
        let is_second = job.decoding != job.part_decoding;
        assert_eq!(job.partials.get(1).await.is_some(), is_second, "a second try finds the first one's parts");
        job.partials.put(1, vec![]).await;
        let text = self.answers[usize::from(job.decoding.names_from_source == Some(true))].to_owned();
        let fixed = FixedAnswer { text, kind: TierKind::Gpu, calls: Arc::default() };
        Ok(Generated { chunks: 2, ..fixed.summarise(job).await? })
    }
}

const INVENTED: &str = "The harbour board and the mayor Robert Kowalski agreed to rebuild the old ferry terminal.";
const LOOP: &str = "It agreed with Robert Kowalski. It was the old ferry terminal. It was the old ferry terminal.";

fn policy() -> String {
    LOCAL
        .replace("[decoding.default]", "[decoding.types.report]")
        .replace("no_repeat_tokens = 4, ", "")
        .replace("on_exhausted = \"extract\"", "on_exhausted = \"flag\"")
}

/// The worker of a tier that says these two, and how it was asked.
fn worker(
    bench: &Bench,
    answers: [&'static str; 2],
    follows_rules: bool,
) -> (TierWorker<Decoded>, Arc<Mutex<Vec<DecodingRules>>>) {
    let asked: Arc<Mutex<Vec<DecodingRules>>> = Arc::default();
    let decoded = Decoded { answers, follows_rules, asked: asked.clone() };
    let worker = TierWorker::new("gpu", decoded, bench.store.clone(), bench.control.clone(), bench.keys.clone());
    (worker, asked)
}

fn of_type(id: &str, document_type: &str) -> Document {
    Document { document_type: document_type.into(), ..document(id) }
}

/// How many partial answers are kept.
async fn parts_of(bench: &Bench) -> usize {
    let kept = bench.store.list(&keys::cache_of("acme"), 100).await.unwrap();
    kept.iter().filter(|object| object.key.contains(".partial.")).count()
}

#[tokio::test]
async fn a_failed_answer_is_tried_again_under_other_rules() {
    let bench = Bench::new(&policy()).await;
    let (worker, asked) = worker(&bench, [INVENTED, GOOD], true);
    let outputs = worker.process(&bench.routed(&of_type("a", "report"), "gpu", 7)).await.unwrap();
    let settled = outcome(&outputs[0]);
    assert_eq!((settled.status, settled.summary.as_deref()), (Status::Answered, Some(GOOD)));
    let names: Vec<Option<bool>> = asked.lock().unwrap().iter().map(|rules| rules.names_from_source).collect();
    assert_eq!(names, [None, Some(true)]);
    assert_eq!(parts_of(&bench).await, 0, "they are removed after the second try");
    // Another type has one try.
    let outputs = worker.process(&bench.routed(&of_type("b", "letter"), "gpu", 8)).await.unwrap();
    assert_eq!(trial_of(&outputs[0]).result, TrialResult::FailedChecks);
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_good_answer_is_not_tried_again() {
    let bench = Bench::new(&policy()).await;
    let (worker, asked) = worker(&bench, [GOOD, INVENTED], true);
    let outputs = worker.process(&bench.routed(&of_type("a", "report"), "gpu", 7)).await.unwrap();
    assert_eq!(outcome(&outputs[0]).summary.as_deref(), Some(GOOD));
    assert_eq!(asked.lock().unwrap().len(), 1);
    assert_eq!(parts_of(&bench).await, 0);
}

/// Of two answers that fail, the one with fewer failed checks goes on to the next tier.
#[tokio::test]
async fn the_better_of_two_failed_answers_counts() {
    for (answers, kept) in [([LOOP, INVENTED], INVENTED), ([INVENTED, LOOP], INVENTED)] {
        let bench = Bench::new(&policy()).await;
        let (worker, _) = worker(&bench, answers, true);
        let outputs = worker.process(&bench.routed(&of_type("a", "report"), "gpu", 7)).await.unwrap();
        let trial = trial_of(&outputs[0]);
        let stored = bench.store.get(trial.answer_key.as_deref().unwrap()).await.unwrap().unwrap();
        let answer: precis_schemas::Answer = codec::decode(&stored).unwrap();
        assert_eq!(answer.text, kept);
    }
}

/// A provider decodes as it does: a second request would be paid for and change nothing.
#[tokio::test]
async fn a_provider_is_asked_once() {
    let bench = Bench::new(&policy()).await;
    let (worker, asked) = worker(&bench, [INVENTED, GOOD], false);
    let outputs = worker.process(&bench.routed(&of_type("a", "report"), "gpu", 7)).await.unwrap();
    assert_eq!(trial_of(&outputs[0]).result, TrialResult::FailedChecks);
    assert_eq!(asked.lock().unwrap().len(), 1);
}
