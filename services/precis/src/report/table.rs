//! The table at the end, and summaries as plain text on a terminal.

use comfy_table::{Cell, CellAlignment, Table};

use super::{End, Row};
use crate::output;

/// Characters of each column at most; together they fit a terminal of ordinary width, and a wider one shows no more.
const NAME_CHARACTERS: usize = 36;
const FINDINGS_CHARACTERS: usize = 44;
const FIRST_WORDS_CHARACTERS: usize = 40;

/// One line a document.
pub fn table_of(rows: &[Row]) -> Table {
    let mut table = output::table(&[
        "Document",
        "Outcome",
        "Tier",
        "Words",
        "Seconds",
        "Finish",
        "What the checks found",
        "First words",
    ]);
    for row in rows {
        let (words, seconds) = if row.outcome.has_summary() {
            (format!("{} → {}", row.words_in, row.words_out), seconds(row))
        } else {
            Default::default()
        };
        let (found, first_words) = if row.outcome.has_summary() {
            (row.findings(), one_line(row.summary.as_deref().unwrap_or_default()))
        } else {
            (row.code.clone().unwrap_or_default(), one_line(row.message.as_deref().unwrap_or_default()))
        };
        table.add_row(vec![
            Cell::new(shorten_start(&row.document, NAME_CHARACTERS)),
            Cell::new(row.outcome.as_str()),
            Cell::new(row.tier.as_deref().unwrap_or("")),
            Cell::new(words).set_alignment(CellAlignment::Right),
            Cell::new(seconds).set_alignment(CellAlignment::Right),
            Cell::new(row.finish_reason.as_deref().unwrap_or("")),
            Cell::new(shorten(&found, FINDINGS_CHARACTERS)),
            Cell::new(shorten(&first_words, FIRST_WORDS_CHARACTERS)),
        ]);
    }
    table
}

/// A document's summary as text: a line that says what it is, the summary, what the checks found.
pub fn plain_text(row: &Row) -> String {
    let how = match row.tier.as_deref().filter(|_| row.outcome.has_summary()) {
        Some(tier) => format!(" by {tier} · {} → {} words", row.words_in, row.words_out),
        None => String::new(),
    };
    let body = row.summary.as_deref().map_or_else(|| row.reason(), |summary| summary.trim().to_owned());
    let findings = match row.findings() {
        none if none.is_empty() => none,
        findings => format!("   checks: {findings}\n"),
    };
    format!("── {} · {}{how}\n{body}\n{findings}", row.document, row.outcome.as_str())
}

fn seconds(row: &Row) -> String {
    if row.from_store {
        "stored".to_owned()
    } else if row.cached {
        "cached".to_owned()
    } else {
        format!("{:.1}", row.seconds)
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The start of a text, with an ellipsis for what is left out.
pub(super) fn shorten(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(characters - 1).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// The end of a path: the file's own name tells more than the folders it lies in.
fn shorten_start(path: &str, characters: usize) -> String {
    let count = path.chars().count();
    if count <= characters {
        return path.to_owned();
    }
    let end: String = path.chars().skip(count - (characters - 1)).collect();
    format!("…{end}")
}

impl End {
    /// The order in which totals name them.
    pub(super) const ALL: [Self; 5] = [Self::Answered, Self::Flagged, Self::Failed, Self::NotRead, Self::Waiting];
}
