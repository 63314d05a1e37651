//! What is measured on an answer, by whichever way it came: generated, extracted or stored.
//!
//! Checks, scores and quality index come of one reading of the texts, in the worker. A stored
//! answer keeps checks and scores, so whoever else publishes it measures only what is the
//! document's own: the reference.

use precis_policy::Policy;
use precis_quality::{self as quality, reference};
use precis_schemas::{Answer, CheckResult, Document, Format, ReferenceScores, Scores, codes};

use crate::figures::{self, Figures};
use crate::{prompt, text_work};

/// Longest detail of a check, bytes: it is written with every outcome.
const MAX_DETAIL_BYTES: usize = 2 * 1_024;

/// What was found of an answer.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    /// All measurements that decide something.
    pub checks: Vec<CheckResult>,
    /// The gating checks that it failed, in order of cost.
    pub failed: Vec<String>,
    /// What describes it besides.
    pub figures: Figures,
}

/// Judges an answer by its source, and by the publisher's reference where there is one. What only
/// the model could measure is taken from the answer's own checks. Where the work does not end,
/// nothing is known of the answer, and it fails.
pub async fn of(
    text: &str,
    document: &Document,
    policy: &Policy,
    expected_language: Option<String>,
    answer: &Answer,
) -> Judged {
    let thresholds = policy.thresholds(&document.document_type).clone();
    let weights = policy.index_weights(&document.document_type).clone();
    let own = |name: &str| answer.checks.iter().find(|check| check.name == name);
    let logprob = own(quality::CheckName::Confidence.as_str()).and_then(|check| check.value);
    let context: Vec<String> = [&document.title, &document.instruction].into_iter().flatten().cloned().collect();
    let (summary, finish_reason) = (answer.text.clone(), answer.finish_reason.clone());
    let max_words = document.max_words.and_then(|words| u32::try_from(words).ok());
    let asked_words = Some(prompt::max_words(document));
    let format = quality_format(document.format);
    let reference = reference_of(document).map(str::to_owned);
    let more_bytes = answer.text.len() + reference.as_ref().map_or(0, String::len);
    let judged = text_work::on_text(text, more_bytes, move |source| {
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
            asked_words,
            reference: reference.as_deref(),
        };
        let judgement = quality::judge(&input, &thresholds);
        let failed = quality::failed(&judgement.checks, &thresholds).into_iter().map(str::to_owned).collect();
        let quality_index = judgement.index(&weights);
        let scores = Some(figures::of_quality(&judgement.scores));
        let checks = judgement.checks.into_iter().map(result).collect();
        Judged { checks, failed, figures: Figures { scores, quality_index } }
    });
    judged.await.unwrap_or_else(|error| {
        tracing::error!(code = codes::CHECK_UNDECIDED, bytes = text.len(), "the checks did not end: {error}");
        let name = codes::CHECK_UNDECIDED.to_owned();
        let check = CheckResult { name: name.clone(), passed: false, value: None, detail: error.to_string() };
        Judged { checks: vec![check], failed: vec![name], figures: Figures::default() }
    })
}

/// The figures of a stored answer for a document: its scores as they were measured, and those
/// against the document's own reference. An answer that an older version stored is judged anew.
pub async fn figures_of_stored(text: &str, document: &Document, policy: &Policy, answer: &Answer) -> Figures {
    let Some(scores) = answer.scores else {
        let expected_language = prompt::expected_language(document, text);
        return of(text, document, policy, expected_language, answer).await.figures;
    };
    let against_reference = match reference_of(document) {
        None => None,
        Some(reference) => against(reference, &answer.text).await,
    };
    let scores = Scores { reference: against_reference, ..scores };
    let quality_index = figures::index(&answer.checks, &scores, policy.index_weights(&document.document_type));
    Figures { scores: Some(scores), quality_index }
}

/// Scores against a reference; `None` where the work does not end.
async fn against(reference: &str, summary: &str) -> Option<ReferenceScores> {
    let text = summary.to_owned();
    let scores = text_work::on_text(reference, summary.len(), move |reference| {
        figures::of_reference(&reference::ReferenceScores::of(reference, &text))
    });
    scores.await.inspect_err(|error| tracing::error!("no scores against the reference: {error}")).ok()
}

/// The publisher's reference summary; one without text is none.
fn reference_of(document: &Document) -> Option<&str> {
    document.reference.as_deref().filter(|reference| !reference.trim().is_empty())
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
