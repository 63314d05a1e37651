//! Answers that are interrupted and go on where they were.

use super::*;

/// Finds as many partial answers as were kept, keeps one more, and is done at the third.
struct InChunks;

#[async_trait]
impl Summariser for InChunks {
    fn model(&self, prompt: &Prompt) -> ModelIdentity {
        FixedAnswer { text: GOOD.into(), kind: TierKind::Gpu, calls: Arc::default() }.model(prompt)
    }

    fn decoding(&self, _rules: &DecodingRules) -> String {
        "greedy".into()
    }

    fn tier_kind(&self) -> TierKind {
        TierKind::Gpu
    }

    async fn summarise(&self, job: Job<'_>) -> Result<Generated, GenerateError> {
        let mut kept = 0;
        while let Some(bytes) = job.partials.get(kept).await {
            assert_eq!(bytes, format!("partial {kept}").into_bytes());
            kept += 1;
        }
        job.partials.put(kept, format!("partial {kept}").into_bytes()).await;
        if kept < 2 {
            let (code, message) = ("interrupted", format!("after chunk {kept}"));
            return Err(GenerateError::Retry { scope: Scope::Record, code, message, after: None });
        }
        let fixed = FixedAnswer { text: GOOD.into(), kind: TierKind::Gpu, calls: Arc::default() };
        Ok(Generated { chunks: 3, cut_chunks: 1, ..fixed.summarise(job).await? })
    }
}

/// An interrupted answer goes on where it was; once it is stored, its partial answers are removed.
#[tokio::test]
async fn interrupted_answer_goes_on_from_its_partial_answers() {
    let bench = Bench::new(LOCAL).await;
    let worker = TierWorker::new("gpu", InChunks, bench.store.clone(), bench.control.clone(), bench.keys.clone());
    let delivery = bench.routed(&document("a"), "gpu", 7);
    for chunk in 0..2 {
        let error = worker.process(&delivery).await.unwrap_err();
        assert!(error.to_string().contains(&format!("after chunk {chunk}")), "{error}");
        let kept = bench.store.list(&keys::cache_of("acme"), 100).await.unwrap();
        assert_eq!(kept.len(), chunk + 1, "{kept:?}");
        assert!(kept.iter().all(|object| object.key.contains(".partial.")), "{kept:?}");
    }
    let outputs = worker.process(&delivery).await.unwrap();
    assert_eq!(outcome(&outputs[0]).summary.as_deref(), Some(GOOD));
    let kept = bench.store.list(&keys::cache_of("acme"), 100).await.unwrap();
    assert!(kept.iter().all(|object| !object.key.contains(".partial.")), "{kept:?}");
    assert!(!kept.is_empty(), "the answer stays");
    let cut = |outcome: Outcome| outcome.checks.into_iter().find(|check| check.name == "cut_chunks");
    let found = cut(outcome(&outputs[0])).unwrap();
    assert_eq!((found.value, found.passed), (Some(1.0), true), "recorded, and decides nothing");
}
