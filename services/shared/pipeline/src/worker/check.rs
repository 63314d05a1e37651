//! An answer against its source, under the thresholds in force.

use precis_schemas::Answer;
use precis_telemetry::metrics::Counter;

use super::work::{AnswerSpec, Work};
use crate::answer_checks::{self, Judged};
use crate::figures::Figures;

/// Among an answer's checks: how many partial answers of a long document ended before they were
/// done. Only recorded, and only where there are any.
pub(super) const CUT_CHUNKS: &str = "cut_chunks";

/// An answer with its checks.
pub(super) struct Checked {
    pub(super) answer: Answer,
    /// The gating checks that it failed, in order of cost.
    pub(super) failed: Vec<String>,
    /// What describes it besides.
    pub(super) figures: Figures,
}

/// Checks an answer; what only the model could measure is taken from the answer's own checks. Where
/// the checks do not end, nothing is known of the answer, and it fails.
pub(super) async fn check(work: &Work<'_>, spec: &AnswerSpec<'_>, mut answer: Answer) -> Checked {
    let cut = answer.checks.iter().find(|check| check.name == CUT_CHUNKS).cloned();
    let (policy, expected_language) = (&work.effective.policy, spec.expected_language.clone());
    let Judged { checks, failed, figures } =
        answer_checks::of(spec.text, work.document, policy, expected_language, &answer).await;
    answer.accepted = failed.is_empty();
    answer.checks = checks.into_iter().chain(cut).collect();
    answer.scores = figures.shared_scores();
    Checked { answer, failed, figures }
}

/// Counts an answer and the checks that it failed.
pub(super) fn count(tier: &str, failed: &[String]) {
    Counter::Answers.increment(&[tier, if failed.is_empty() { "accepted" } else { "rejected" }]);
    for check in failed {
        Counter::CheckFailures.increment(&[check, tier]);
    }
}
