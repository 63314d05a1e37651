//! Outcomes as the user gets them: one [`Row`] a document, shown as a table, as JSON, as files.

mod files;
mod kept;
mod markdown;
mod table;
mod totals;

use std::collections::BTreeMap;

use precis_schemas::{CacheLayer, CheckResult, Outcome, Scores, Status, Trial, TrialResult};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::inputs::Problem;

pub use files::{Written, check_writable, write_files};
pub use table::{plain_text, table_of};
pub use totals::Totals;

/// How the checks start to list what the source does not have.
const UNSUPPORTED: &str = "not in the source: ";

/// How a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The summary passed its checks.
    Answered,
    /// Sentences of the document itself, which pass the checks: no model gave them.
    Extracted,
    /// The best summary at hand, with the checks it failed.
    Flagged,
    /// No summary, a code says why.
    Failed,
    /// The input could not be used.
    NotRead,
    /// The document waits in the log: the run was stopped before its turn.
    Waiting,
}

impl End {
    /// As shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Extracted => "extracted",
            Self::Flagged => "flagged",
            Self::Failed => "failed",
            Self::NotRead => "not read",
            Self::Waiting => "waiting",
        }
    }

    /// Whether there is a summary.
    pub fn has_summary(self) -> bool {
        matches!(self, Self::Answered | Self::Extracted | Self::Flagged)
    }
}

/// One document and how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// How the user knows the document: its path, or its id.
    pub document: String,
    /// Its id in the log; absent for an input that could not be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_id: Option<String>,
    /// Its revision.
    pub revision: i64,
    /// Its owner.
    pub tenant: String,
    /// How it ended.
    pub outcome: End,
    /// The summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Why it was flagged or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The tier that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The model that answered, as provider/name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Language of the summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Words of the document.
    pub words_in: i32,
    /// Words of the summary.
    pub words_out: i32,
    /// How long the model took, with others in the same batch.
    pub seconds: f64,
    /// Why generation ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// What was measured on the summary.
    pub checks: Vec<CheckResult>,
    /// Quality of the summary by the policy's weights, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality_index: Option<f64>,
    /// What else was measured on the summary, against its source and a reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
    /// Generated answers that were not accepted, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<RejectedAnswer>,
    /// Tokens read.
    pub input_tokens: i64,
    /// Tokens written.
    pub output_tokens: i64,
    /// Chunks in which a long document was read.
    pub chunks: i32,
    /// What it cost, US dollars.
    pub cost_usd: precis_schemas::Usd,
    /// Whether the summary came from the cache of another document's.
    pub cached: bool,
    /// Whether this document was settled before and nothing was done for it now.
    pub from_store: bool,
    /// When it was settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<String>,
    /// How it was scored and whether that proved right; absent where no tier was chosen or the
    /// answer was another document's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
}

/// A generated answer that failed its checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedAnswer {
    /// The tier that gave it.
    pub tier: String,
    /// The checks that it failed.
    pub failed_checks: Vec<String>,
}

impl RejectedAnswer {
    /// The rejected answers of a document. An extract, which no object keeps, is none.
    fn all_of(outcome: &Outcome) -> Vec<Self> {
        let generated = |trial: &&Trial| trial.result == TrialResult::FailedChecks && trial.answer_key.is_some();
        let rejected = |trial: &Trial| Self { tier: trial.tier.clone(), failed_checks: trial.failed_checks.clone() };
        outcome.trail.iter().filter(generated).map(rejected).collect()
    }
}

/// How a document was routed: `tools/fit-score.py` learns from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Routing {
    /// The document's type, as labelled.
    pub document_type: String,
    /// What the score was made of.
    pub features: BTreeMap<String, f64>,
    /// The probability that the first tier's answer is accepted.
    pub score: f64,
    /// The tier that gave the first answer.
    pub first_tier: String,
    /// Whether that answer was accepted.
    pub accepted: bool,
}

impl Routing {
    fn of(outcome: &Outcome) -> Option<Self> {
        let decision = outcome.decision.as_ref().filter(|_| outcome.cache == CacheLayer::None)?;
        let failed = outcome.trail.iter().find(|trial| trial.result == TrialResult::FailedChecks);
        let first_tier = failed.map(|trial| &trial.tier).or(outcome.tier.as_ref())?.clone();
        let accepted = failed.is_none() && outcome.status == Status::Answered;
        // Without an answer there is nothing to learn.
        (accepted || failed.is_some()).then(|| Self {
            document_type: outcome.document_type.clone(),
            features: decision.features.clone(),
            score: decision.score,
            first_tier,
            accepted,
        })
    }
}

impl Row {
    /// A settled document. `from_store`: nothing was done for it in this run.
    pub fn of(name: &str, outcome: &Outcome, from_store: bool) -> Self {
        Self {
            document: name.to_owned(),
            document_id: Some(outcome.document_id.clone()),
            revision: outcome.revision,
            tenant: outcome.tenant.clone(),
            outcome: match outcome.status {
                Status::Answered if outcome.is_extract() => End::Extracted,
                Status::Answered => End::Answered,
                Status::Flagged => End::Flagged,
                Status::Failed => End::Failed,
            },
            summary: outcome.summary.clone(),
            code: outcome.code.clone(),
            message: outcome.message.clone(),
            tier: outcome.tier.clone(),
            model: outcome.model.as_ref().map(|model| format!("{}/{}", model.provider, model.name)),
            language: outcome.language.clone(),
            words_in: outcome.words_in,
            words_out: outcome.words_out,
            seconds: outcome.generation_ms as f64 / 1000.0,
            finish_reason: outcome.finish_reason.clone(),
            checks: outcome.checks.clone(),
            quality_index: outcome.quality_index,
            scores: outcome.scores,
            rejected: RejectedAnswer::all_of(outcome),
            input_tokens: outcome.input_tokens,
            output_tokens: outcome.output_tokens,
            chunks: outcome.chunks,
            cost_usd: outcome.cost,
            cached: outcome.cache != CacheLayer::None,
            from_store,
            settled_at: Some(utc(outcome.settled_at)),
            routing: Routing::of(outcome),
        }
    }

    /// An input that could not be used.
    pub fn not_read(problem: &Problem) -> Self {
        Self::without_summary(&problem.name, None, End::NotRead, problem.code, &problem.message)
    }

    /// A document that has not ended yet, or ended without an outcome.
    pub fn without_summary(name: &str, document_id: Option<&str>, end: End, code: &str, message: &str) -> Self {
        Self {
            document: name.to_owned(),
            document_id: document_id.map(str::to_owned),
            revision: 0,
            tenant: String::new(),
            outcome: end,
            summary: None,
            code: Some(code.to_owned()),
            message: Some(message.to_owned()),
            tier: None,
            model: None,
            language: None,
            words_in: 0,
            words_out: 0,
            seconds: 0.0,
            finish_reason: None,
            checks: Vec::new(),
            quality_index: None,
            scores: None,
            rejected: Vec::new(),
            input_tokens: 0,
            output_tokens: 0,
            chunks: 0,
            cost_usd: precis_schemas::Usd::ZERO,
            cached: false,
            from_store: false,
            settled_at: None,
            routing: None,
        }
    }

    /// What the checks found, in words: nothing when all passed.
    pub fn findings(&self) -> String {
        let found: Vec<String> = self
            .checks
            .iter()
            .filter(|check| !check.passed)
            .map(|check| {
                let name = check.name.replace('_', " ");
                if check.detail.is_empty() { name } else { format!("{name}: {}", check.detail) }
            })
            .collect();
        found.join("; ")
    }

    /// The same for a narrow column: names of checks, and only the items that the source does not
    /// have.
    pub fn findings_in_short(&self) -> String {
        let found: Vec<String> = self
            .checks
            .iter()
            .filter(|check| !check.passed)
            .map(|check| {
                let items = check.detail.strip_prefix(UNSUPPORTED).filter(|items| !items.is_empty());
                match (check.name.strip_prefix("unsupported_"), items) {
                    (Some(name), Some(items)) => format!("{name}: {items}"),
                    _ => check.name.replace('_', " "),
                }
            })
            .collect();
        found.join(", ")
    }

    /// The quality index, and the likeness to the reference where there is one: nothing where they
    /// were not measured.
    pub fn quality(&self) -> String {
        let index = self.quality_index.map(|index| format!("quality index {index:.2}"));
        let reference = self.scores.and_then(|scores| scores.reference).map(|scores| {
            let rouge = scores.rouge_stemmed;
            format!(
                "beside the reference ROUGE-1 {:.2}, ROUGE-2 {:.2}, ROUGE-L {:.2}, BLEU {:.1}, chrF {:.1}",
                rouge.rouge1.f, rouge.rouge2.f, rouge.rouge_l.f, scores.bleu, scores.chrf
            )
        });
        index.into_iter().chain(reference).collect::<Vec<_>>().join(", ")
    }

    /// Which generated answers an extract stands in for, in words: nothing for another row.
    pub fn stands_in_for(&self) -> String {
        if self.outcome != End::Extracted {
            return String::new();
        }
        let one = |answer: &RejectedAnswer| {
            let checks: Vec<_> = answer.failed_checks.iter().map(|check| check.replace('_', " ")).collect();
            format!("{}'s answer failed {}", answer.tier, checks.join(", "))
        };
        self.rejected.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    /// Why there is no summary.
    pub fn reason(&self) -> String {
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(text), None) | (None, Some(text)) => text.clone(),
            (None, None) => String::new(),
        }
    }
}

/// The documents' names without the folder that all of them share.
pub fn display_names(rows: &[Row]) -> Vec<String> {
    let folder = |name: &str| name.rfind('/').map_or(0, |slash| slash + 1);
    let first = rows.first().map_or("", |row| &row.document[..folder(&row.document)]);
    let shared = rows.iter().skip(1).fold(first, |shared, row| {
        let same = shared.char_indices().zip(row.document.chars()).take_while(|((_, a), b)| a == b);
        let same = same.last().map_or(0, |((at, character), _)| at + character.len_utf8());
        &shared[..folder(&shared[..same])]
    });
    rows.iter().map(|row| row.document[shared.len()..].to_owned()).collect()
}

/// Milliseconds since 1970 as RFC 3339 in UTC.
pub fn utc(millis: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| millis.to_string())
}

/// The start of a digest: enough to tell two apart. Programs get it whole.
pub fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests;
