//! What a run did, in one paragraph or one JSON object.

use std::fmt;
use std::time::Duration;

use precis_schemas::Usd;
use serde::Serialize;

use super::{End, Row};
use crate::output::words::{duration, plural};

/// The sums over all rows of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Totals {
    /// Rows.
    pub documents: usize,
    /// With a generated summary that passed its checks.
    pub answered: usize,
    /// With an extract in place of one: sentences of the document itself.
    pub extracted: usize,
    /// Of those, in place of a generated answer that failed its checks.
    pub extracted_instead: usize,
    /// With a summary that did not.
    pub flagged: usize,
    /// Without a summary.
    pub failed: usize,
    /// Inputs that could not be used.
    pub not_read: usize,
    /// Still waiting in the log.
    pub waiting: usize,
    /// Settled before: nothing was done for them now.
    pub from_store: usize,
    /// Words of all documents with a summary.
    pub words_in: i64,
    /// Words of all summaries.
    pub words_out: i64,
    /// Tokens that this run computed.
    pub tokens: i64,
    /// What this run cost, US dollars.
    pub cost_usd: Usd,
    /// How long it took.
    pub seconds: f64,
}

impl Totals {
    /// Sums up.
    pub fn of(rows: &[Row], elapsed: Duration) -> Self {
        let count = |end| rows.iter().filter(|row| row.outcome == end).count();
        let new = || rows.iter().filter(|row| !row.from_store);
        Self {
            documents: rows.len(),
            answered: count(End::Answered),
            extracted: count(End::Extracted),
            extracted_instead: rows
                .iter()
                .filter(|row| row.outcome == End::Extracted && !row.rejected.is_empty())
                .count(),
            flagged: count(End::Flagged),
            failed: count(End::Failed),
            not_read: count(End::NotRead),
            waiting: count(End::Waiting),
            from_store: rows.iter().filter(|row| row.from_store).count(),
            words_in: rows.iter().filter(|row| row.outcome.has_summary()).map(|row| i64::from(row.words_in)).sum(),
            words_out: rows.iter().map(|row| i64::from(row.words_out)).sum(),
            tokens: new().filter(|row| !row.cached).map(|row| row.input_tokens + row.output_tokens).sum(),
            cost_usd: new().try_fold(Usd::ZERO, |sum, row| sum.checked_add(row.cost_usd)).unwrap_or(Usd::MAX),
            seconds: (elapsed.as_secs_f64() * 10.0).round() / 10.0,
        }
    }

    /// Whether every input has a summary.
    pub fn all_have_summaries(&self) -> bool {
        self.with_summary() == self.documents
    }

    fn with_summary(&self) -> usize {
        self.answered + self.extracted + self.flagged
    }

    fn count(&self, end: End) -> usize {
        match end {
            End::Answered => self.answered,
            End::Extracted => self.extracted,
            End::Flagged => self.flagged,
            End::Failed => self.failed,
            End::NotRead => self.not_read,
            End::Waiting => self.waiting,
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends: Vec<String> = End::ALL
            .into_iter()
            .filter(|end| self.count(*end) > 0)
            .map(|end| format!("{} {}", self.count(end), end.as_str()))
            .collect();
        write!(f, "{}: {}", plural(self.documents, "document"), ends.join(", "))?;
        if self.words_in > 0 {
            write!(f, "; {} → {} words", self.words_in, self.words_out)?;
        }
        write!(f, "; {}", duration(self.seconds))?;
        let done = (self.with_summary() + self.failed).saturating_sub(self.from_store);
        if done > 0 && self.seconds > 0.0 {
            let per_minute = done as f64 * 60.0 / self.seconds;
            write!(
                f,
                " ({per_minute:.1} documents a minute, {:.0} tokens a second)",
                self.tokens as f64 / self.seconds
            )?;
        }
        if self.cost_usd != Usd::ZERO {
            write!(f, "; {}", self.cost_usd)?;
        }
        if self.extracted > 0 {
            write!(
                f,
                "\n{} extracted: sentences of the document itself, {} in place of a model's answer that failed its checks",
                self.extracted, self.extracted_instead
            )?;
        }
        if self.from_store > 0 {
            let all = if self.from_store == self.documents && self.documents > 1 { "all " } else { "" };
            write!(
                f,
                "\n{all}{} settled from what was stored: no model was asked",
                plural(self.from_store, "document")
            )?;
        }
        Ok(())
    }
}
