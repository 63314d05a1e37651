//! Labels of summaries, read from JSON Lines.
//!
//! A line names a document (`tenant`, `document_id`, `revision`), or carries what was measured
//! (`checks` and `scores`, as `precis results --json` prints them), and has a `label`: `good`,
//! `bad`, or a number from 0 to 1. A document that is named more than once counts once, with the
//! mean of its labels.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context as _, bail};
use precis_pipeline::figures;
use precis_quality::IndexParts;
use precis_schemas::{CheckResult, Outcome, Scores};
use serde::Deserialize;

/// Most labels that are read at once: more say nothing that these do not.
const MAX_LABELS: usize = 100_000;

/// The tenant of a line that names none, as in `precis results --id`.
const DEFAULT_TENANT: &str = "local";

#[derive(Deserialize)]
struct Line {
    tenant: Option<String>,
    document_id: Option<String>,
    revision: Option<i64>,
    document_type: Option<String>,
    checks: Option<Vec<CheckResult>>,
    scores: Option<Scores>,
    routing: Option<Routing>,
    label: Label,
}

/// Where `precis results --json` has the document's type.
#[derive(Deserialize)]
struct Routing {
    document_type: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Label {
    Number(f64),
    Word(Verdict),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Good,
    Bad,
}

/// What was measured on a labelled summary.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) document_type: String,
    /// `None` for a summary without words and a refusal, whose index no weight changes.
    pub(super) parts: Option<IndexParts>,
}

impl Measured {
    fn of(document_type: &str, checks: &[CheckResult], scores: Option<&Scores>) -> Self {
        let finite = |parts: IndexParts| parts.map(|part| part.filter(|part| part.is_finite()));
        let parts = figures::index_parts(checks, scores.unwrap_or(&Scores::default())).map(finite);
        Self { document_type: document_type.to_owned(), parts }
    }
}

/// Tenant, id, and revision where the line names one.
type Named = (String, String, Option<i64>);

/// The labels of a file, and what is known of the summaries.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// Lines with measurements of their own.
    own: Vec<(Measured, f64)>,
    /// Sum and number of the labels of each document that is named.
    named: BTreeMap<Named, (f64, u32)>,
    /// The highest revision that was found of each of these, with its measurements.
    found: BTreeMap<Named, (i64, Measured)>,
}

impl Labels {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, a line that is no label, more than [`MAX_LABELS`] lines.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let name = file.display().to_string();
        let open = File::open(file).with_context(|| format!("{name} cannot be read"))?;
        Self::of_lines(&name, BufReader::new(open))
    }

    fn of_lines(name: &str, lines: impl BufRead) -> anyhow::Result<Self> {
        let mut labels = Self::default();
        for (number, text) in lines.lines().enumerate() {
            let text = text.with_context(|| format!("{name} cannot be read"))?;
            if number >= MAX_LABELS {
                bail!("{name} has more than {MAX_LABELS} lines; take a part of them, chosen by chance");
            }
            if !text.trim().is_empty() {
                labels.take(&text).with_context(|| format!("{name}, line {}", number + 1))?;
            }
        }
        Ok(labels)
    }

    fn take(&mut self, text: &str) -> anyhow::Result<()> {
        let line: Line = serde_json::from_str(text).context(
            "is no label; write {\"document_id\": …, \"label\": …}, the label being good, bad or from 0 to 1",
        )?;
        let label = match line.label {
            Label::Number(label) if (0.0..=1.0).contains(&label) => label,
            Label::Number(label) => bail!("the label {label} is not from 0 to 1"),
            Label::Word(Verdict::Good) => 1.0,
            Label::Word(Verdict::Bad) => 0.0,
        };
        let document_type =
            line.document_type.or(line.routing.map(|routing| routing.document_type)).unwrap_or_default();
        match (line.checks, line.document_id) {
            (Some(checks), _) => self.own.push((Measured::of(&document_type, &checks, line.scores.as_ref()), label)),
            (None, Some(id)) => {
                let tenant = line.tenant.unwrap_or_else(|| DEFAULT_TENANT.to_owned());
                let (sum, count) = self.named.entry((tenant, id, line.revision)).or_default();
                *sum += label;
                *count += 1;
            }
            (None, None) => bail!("names no document_id and has no checks, so nobody can tell what it labels"),
        }
        Ok(())
    }

    /// Whether outcomes have to be looked up.
    pub(super) fn names_documents(&self) -> bool {
        !self.named.is_empty()
    }

    /// Takes what an outcome says of a labelled summary.
    pub(super) fn look_at(&mut self, outcome: &Outcome) {
        if outcome.summary.is_none() {
            return;
        }
        for revision in [Some(outcome.revision), None] {
            let named = (outcome.tenant.clone(), outcome.document_id.clone(), revision);
            let is_newest = self.found.get(&named).is_none_or(|(known, _)| *known <= outcome.revision);
            if self.named.contains_key(&named) && is_newest {
                let measured = Measured::of(&outcome.document_type, &outcome.checks, outcome.scores.as_ref());
                self.found.insert(named, (outcome.revision, measured));
            }
        }
    }

    /// Every label whose summary is known, and how many are of no summary.
    pub(super) fn examples(self) -> (Vec<(Measured, f64)>, usize) {
        let Self { own: mut examples, named, mut found } = self;
        let mut lost = 0;
        for (document, (sum, count)) in named {
            match found.remove(&document) {
                Some((_, measured)) => examples.push((measured, sum / f64::from(count))),
                None => lost += 1,
            }
        }
        (examples, lost)
    }
}

#[cfg(test)]
mod tests;
