//! An answer against its source, under the thresholds in force.

use precis_quality as quality;
use precis_schemas::{Answer, CheckResult, Format, codes};
use precis_telemetry::metrics::Counter;

use super::work::{AnswerSpec, Work};
use crate::text_work;

/// Among an answer's checks: how many partial answers of a long document ended before they were
/// done. Only recorded, and only where there are any.
pub(super) const CUT_CHUNKS: &str = "cut_chunks";

/// An answer with its checks.
pub(super) struct Checked {
    pub(super) answer: Answer,
    /// The gating checks that it failed, in order of cost.
    pub(super) failed: Vec<String>,
}

/// Checks an answer; what only the model could measure is taken from the answer's own checks. Where
/// the checks do not end, nothing is known of the answer, and it fails.
pub(super) async fn check(work: &Work<'_>, spec: &AnswerSpec<'_>, mut answer: Answer) -> Checked {
    let document = work.document;
    let thresholds = work.effective.policy.thresholds(&document.document_type).clone();
    let own = |name: &str| answer.checks.iter().find(|check| check.name == name);
    let cut = own(CUT_CHUNKS).cloned();
    let logprob = own(quality::CheckName::Confidence.as_str()).and_then(|check| check.value);
    let context: Vec<String> = [&document.title, &document.instruction].into_iter().flatten().cloned().collect();
    let (summary, finish_reason) = (answer.text.clone(), answer.finish_reason.clone());
    let expected_language = spec.expected_language.clone();
    let max_words = document.max_words.and_then(|words| u32::try_from(words).ok());
    let format = quality_format(document.format);
    let checked = text_work::on_text(spec.text, answer.text.len(), move |source| {
        let context: Vec<&str> = context.iter().map(String::as_str).collect();
        let input = quality::Input {
            source,
            context: &context,
            summary: &summary,
            finish_reason: &finish_reason,
            expected_language: expected_language.as_deref(),
            max_words,
            format,
            logprob,
        };
        let checks = quality::check(&input, &thresholds);
        let failed: Vec<String> = quality::failed(&checks, &thresholds).into_iter().map(str::to_owned).collect();
        (checks.into_iter().map(result).collect::<Vec<_>>(), failed)
    });
    let (checks, failed) = checked.await.unwrap_or_else(|error| {
        tracing::error!(code = codes::CHECK_UNDECIDED, bytes = spec.text.len(), "the checks did not end: {error}");
        let name = codes::CHECK_UNDECIDED.to_owned();
        (vec![CheckResult { name: name.clone(), passed: false, value: None, detail: error.to_string() }], vec![name])
    });
    answer.accepted = failed.is_empty();
    answer.checks = checks.into_iter().chain(cut).collect();
    Checked { answer, failed }
}

/// Counts an answer and the checks that it failed.
pub(super) fn count(tier: &str, failed: &[String]) {
    Counter::Answers.increment(&[tier, if failed.is_empty() { "accepted" } else { "rejected" }]);
    for check in failed {
        Counter::CheckFailures.increment(&[check, tier]);
    }
}

fn quality_format(format: Format) -> quality::Format {
    match format {
        Format::Paragraph => quality::Format::Paragraph,
        Format::Bullets => quality::Format::Bullets,
    }
}

fn result(check: quality::Check) -> CheckResult {
    CheckResult { name: check.name.to_owned(), passed: check.passed, value: check.value, detail: check.detail }
}
