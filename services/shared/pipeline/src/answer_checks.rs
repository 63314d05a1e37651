//! What is measured on an answer, by whichever way it came: generated or extracted.

use precis_quality as quality;
use precis_schemas::{Answer, CheckResult, Document, Format, codes};

use crate::text_work;

/// Longest detail of a check, bytes: it is written with every outcome.
const MAX_DETAIL_BYTES: usize = 2 * 1_024;

/// Checks an answer against its source: all measurements, and the gating checks that it failed, in
/// order of cost. What only the model could measure is taken from the answer's own checks. Where
/// the checks do not end, nothing is known of the answer, and it fails.
pub async fn of(
    text: &str,
    document: &Document,
    thresholds: &quality::Thresholds,
    expected_language: Option<String>,
    answer: &Answer,
) -> (Vec<CheckResult>, Vec<String>) {
    let thresholds = thresholds.clone();
    let own = |name: &str| answer.checks.iter().find(|check| check.name == name);
    let logprob = own(quality::CheckName::Confidence.as_str()).and_then(|check| check.value);
    let context: Vec<String> = [&document.title, &document.instruction].into_iter().flatten().cloned().collect();
    let (summary, finish_reason) = (answer.text.clone(), answer.finish_reason.clone());
    let max_words = document.max_words.and_then(|words| u32::try_from(words).ok());
    let format = quality_format(document.format);
    let checked = text_work::on_text(text, answer.text.len(), move |source| {
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
    checked.await.unwrap_or_else(|error| {
        tracing::error!(code = codes::CHECK_UNDECIDED, bytes = text.len(), "the checks did not end: {error}");
        let name = codes::CHECK_UNDECIDED.to_owned();
        (vec![CheckResult { name: name.clone(), passed: false, value: None, detail: error.to_string() }], vec![name])
    })
}

fn quality_format(format: Format) -> quality::Format {
    match format {
        Format::Paragraph => quality::Format::Paragraph,
        Format::Bullets => quality::Format::Bullets,
    }
}

fn result(check: quality::Check) -> CheckResult {
    let mut detail = check.detail;
    detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES));
    CheckResult { name: check.name.to_owned(), passed: check.passed, value: check.value, detail }
}
