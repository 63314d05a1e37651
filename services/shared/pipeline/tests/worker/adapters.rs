//! Answers with an adapter that the policy names.

use std::sync::Mutex;

use super::*;

/// Has the adapter `legal` in one version, and notes with which adapter it was asked.
struct Adapted {
    version: &'static str,
    asked: Arc<Mutex<Vec<Option<String>>>>,
}

#[async_trait]
impl Summariser for Adapted {
    fn model(&self, prompt: &Prompt) -> ModelIdentity {
        FixedAnswer { text: GOOD.to_owned(), kind: TierKind::Gpu, calls: Arc::default() }.model(prompt)
    }

    fn adapter(&self, name: &str) -> Result<String, GenerateError> {
        match name {
            "legal" => Ok(format!("legal@{}", self.version)),
            _ => Err(GenerateError::Refused { code: "unknown_adapter", message: format!("there is no `{name}`") }),
        }
    }

    fn decoding(&self, _rules: &DecodingRules) -> String {
        "greedy".into()
    }

    fn tier_kind(&self) -> TierKind {
        TierKind::Gpu
    }

    async fn summarise(&self, job: Job<'_>) -> Result<Generated, GenerateError> {
        self.asked.lock().unwrap().push(job.adapter.map(str::to_owned));
        FixedAnswer { text: GOOD.to_owned(), kind: TierKind::Gpu, calls: Arc::default() }.summarise(job).await
    }
}

fn policy() -> String {
    let rules = r#"adapters = [{ adapter = "legal", types = ["contract"] }, { adapter = "gone", types = ["letter"] }]"#;
    LOCAL.replace("name = \"gpu\"", &format!("name = \"gpu\"\n{rules}"))
}

fn of_type(id: &str, document_type: &str) -> Document {
    Document { document_type: document_type.into(), ..document(id) }
}

/// The adapter is part of the answer and of its fingerprint: another version of it answers anew.
#[tokio::test]
async fn answers_name_the_adapter_of_their_document() {
    let bench = Bench::new(&policy()).await;
    let asked: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let worker = |version| {
        let adapted = Adapted { version, asked: asked.clone() };
        TierWorker::new("gpu", adapted, bench.store.clone(), bench.control.clone(), bench.keys.clone())
    };
    let mut keys = Vec::new();
    for (id, document_type, version, adapter) in [
        ("a", "contract", "1", Some("legal@1")),
        ("b", "contract", "1", Some("legal@1")),
        ("c", "contract", "2", Some("legal@2")),
        ("d", "report", "1", None),
    ] {
        let outputs = worker(version).process(&bench.routed(&of_type(id, document_type), "gpu", 7)).await.unwrap();
        let outcome = outcome(&outputs[0]);
        assert_eq!(outcome.model.as_ref().and_then(|model| model.adapter.as_deref()), adapter, "{id}");
        keys.push(outcome.answer_key);
    }
    assert_eq!(keys[0], keys[1], "equal requests share an answer");
    assert_ne!(keys[0], keys[2], "another version of the adapter answers anew");
    let asked: Vec<Option<String>> = asked.lock().unwrap().clone();
    assert_eq!(asked, [Some("legal@1".to_owned()), Some("legal@2".to_owned()), None]);
}

#[tokio::test]
async fn an_unknown_adapter_refuses_its_document_alone() {
    let bench = Bench::new(&policy()).await;
    let adapted = Adapted { version: "1", asked: Arc::default() };
    let worker = TierWorker::new("gpu", adapted, bench.store.clone(), bench.control.clone(), bench.keys.clone());
    let outputs = worker.process(&bench.routed(&of_type("a", "letter"), "gpu", 7)).await.unwrap();
    let trial = trial_of(&outputs[0]);
    assert_eq!((trial.result, trial.code.as_str()), (TrialResult::Refused, "unknown_adapter"));
    let outputs = worker.process(&bench.routed(&of_type("b", "contract"), "gpu", 8)).await.unwrap();
    assert_eq!(outcome(&outputs[0]).status, Status::Answered);
    // A summariser that knows nothing of adapters refuses, too.
    let outputs = bench.worker("gpu", GOOD).process(&bench.routed(&of_type("c", "contract"), "gpu", 9)).await.unwrap();
    assert_eq!(trial_of(&outputs[0]).code, "unknown_adapter");
    assert_eq!(bench.calls(), 0);
}
