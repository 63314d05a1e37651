//! What the tests share: outcomes, and numbers that are the same every time.
#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use precis_schemas::{CheckResult, Evaluation, EvaluationStatus, JudgeScores, Outcome};
use serde_json::json;

pub(crate) const HOUR: i64 = 3_600_000;

static ANSWERED: LazyLock<Outcome> = LazyLock::new(|| {
    serde_json::from_value(json!({
        "tenant": "acme", "document_id": "a", "revision": 0, "status": "answered", "summary": "Short.",
        "tier": "gpu", "language": "en", "document_type": "letter", "words_in": 800, "cost": "0",
        "model": {"provider": "precis", "name": "small", "revision": "v1", "prompt_digest": "p1"},
        "checks": [{"name": "language", "passed": true}, {"name": "coverage", "passed": true, "value": 0.9}],
        "scores": {"source_rouge_l": 0.7, "novelty2": 0.2}, "quality_index": 0.9,
        "origin": {"topic": "documents.acme", "partition": 0, "offset": 0}, "request_digest": "", "request_fingerprint": "",
        "policy_digest": "", "submitted_at": 0, "settled_at": 0
    }))
    .unwrap()
});

/// An outcome of the tier `gpu` that was answered in hour 0.
pub(crate) fn answered() -> Outcome {
    ANSWERED.clone()
}

static JUDGED: LazyLock<Evaluation> = LazyLock::new(|| {
    serde_json::from_value(json!({
        "tenant": "acme", "document_id": "a", "revision": 0, "round": 1, "status": "judged", "rubric": "rubric.v1",
        "scores": {"faithfulness": 5, "coverage": 4, "coherence": 5, "conciseness": 4, "score": 0.875},
        "judge_tier": "judge", "judge": {"provider": "elsewhere", "name": "large", "prompt_digest": "j1"},
        "probability": 0.5, "outcome_status": "answered", "tier": "gpu",
        "model": {"provider": "precis", "name": "small", "revision": "v1", "prompt_digest": "p1"},
        "quality_index": 0.9, "language": "en", "document_type": "letter", "cost": "0",
        "origin": {"topic": "documents.acme", "partition": 0, "offset": 0}, "request_digest": "", "policy_digest": "",
        "settled_at": 0
    }))
    .unwrap()
});

/// The first opinion on a summary of the tier `gpu`, given in hour 0 with a probability of a half.
pub(crate) fn judged() -> Evaluation {
    JUDGED.clone()
}

/// The same with these numbers.
pub(crate) fn judged_as(numbers: [i32; 4]) -> Evaluation {
    let [faithfulness, coverage, coherence, conciseness] = numbers;
    let score = f64::from(numbers.iter().sum::<i32>() - 4) / 16.0;
    Evaluation { scores: Some(JudgeScores { faithfulness, coverage, coherence, conciseness, score }), ..judged() }
}

/// The same, but that the judge failed.
pub(crate) fn not_judged(code: &str) -> Evaluation {
    Evaluation { status: EvaluationStatus::Failed, code: Some(code.to_owned()), scores: None, ..judged() }
}

/// A check that failed.
pub(crate) fn failed(name: &str) -> CheckResult {
    CheckResult { name: name.to_owned(), passed: false, value: None, detail: String::new() }
}

/// `SplitMix64`: the same numbers on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
