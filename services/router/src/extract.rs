//! Extracts: summaries made of the document's own sentences, by rank, in this process.
//!
//! An extract costs nothing and leaves nothing behind: it is a function of the document and the
//! policy's checks, so no object keeps it, and the exact cache does not serve it. It is checked as
//! every answer is. It cannot follow an instruction of the document's own, and is in the text's
//! language; where something else was asked for, it fails.

use precis_pipeline::answer_checks::Judged;
use precis_pipeline::figures::Figures;
use precis_pipeline::identity::answer_fingerprint;
use precis_pipeline::{EffectivePolicy, answer_checks, now_ms, prompt, text_work};
use precis_quality::extractive::{self, Limits};
use precis_schemas::{Answer, CheckResult, Document, Format, ModelIdentity, Usd, codes};
use precis_telemetry::metrics::Counter;

/// Tier of the metrics where no tier was left.
pub(crate) const NO_TIER: &str = "none";

/// How many times as long an extract takes as other work on the same text, about.
const WORK_FACTOR: usize = 4;

/// An extract with the gating checks that it failed, in order of cost.
pub(crate) struct Extract {
    pub(crate) answer: Answer,
    pub(crate) failed: Vec<String>,
    pub(crate) figures: Figures,
}

impl Extract {
    /// The extract of a document of `tenant`, for a tier or for [`NO_TIER`]. Its text is empty
    /// where the document has no prose.
    pub(crate) async fn of(
        effective: &EffectivePolicy,
        (tenant, fingerprint, tier): (&str, &str, &str),
        document: &Document,
        text: &str,
    ) -> Self {
        let expected_language = prompt::expected_language(document, text);
        let max_words = prompt::max_words(document);
        let limits = Limits { max_words, max_sentences: prompt::sentence_count(max_words) as usize };
        let (format, language) = (document.format, document.language.clone().or_else(|| expected_language.clone()));
        let extracted = text_work::on_text(text, text.len() * (WORK_FACTOR - 1), move |text| {
            let summary = extractive::summary(text, language.as_deref(), limits);
            match format {
                Format::Paragraph => summary.paragraph(),
                Format::Bullets => summary.bullets(),
            }
        });
        let extracted = extracted.await.unwrap_or_else(|error| {
            tracing::error!(code = codes::TEXT_TOO_SLOW, bytes = text.len(), "no extract: {error}");
            String::new()
        });
        let model = ModelIdentity::extractor(extractive::VERSION);
        let mut answer = Answer {
            tenant: tenant.to_owned(),
            request_fingerprint: fingerprint.to_owned(),
            answer_fingerprint: answer_fingerprint(&model, ""),
            text: extracted,
            finish_reason: "stop".to_owned(),
            model,
            input_tokens: 0,
            cached_input_tokens: 0,
            output_tokens: 0,
            chunks: 1,
            checks: Vec::new(),
            accepted: false,
            cost: Usd::ZERO,
            price_digest: None,
            generation_ms: 0,
            created_at: now_ms(),
            subject_ids: document.subject_ids.clone(),
            scores: None,
        };
        let judged = answer_checks::of(text, document, &effective.policy, expected_language, &answer).await;
        let Judged { mut checks, mut failed, figures } = judged;
        if document.instruction.as_ref().is_some_and(|instruction| !instruction.trim().is_empty()) {
            let detail = "an extract does not follow the document's own instruction".to_owned();
            checks.push(CheckResult { name: codes::INSTRUCTION.to_owned(), passed: false, value: None, detail });
            failed.push(codes::INSTRUCTION.to_owned());
        }
        // Whatever gates: without a sentence there is nothing to publish.
        if answer.text.is_empty() && failed.is_empty() {
            failed.push(codes::EMPTY.to_owned());
        }
        answer.accepted = failed.is_empty();
        answer.checks = checks;
        Counter::RouterExtracts.increment(&[tier, if answer.accepted { "accepted" } else { "rejected" }]);
        Self { answer, failed, figures }
    }
}
