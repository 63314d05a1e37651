//! The table at the end, and summaries as plain text on a terminal.

use comfy_table::{Cell, CellAlignment, Table};

use super::{End, Row, display_names};
use crate::output;

const HEADER: [&str; 8] = ["Document", "Outcome", "Tier", "Words", "Seconds", "Finish", "Checks found", "First words"];
/// Columns that are shown whole, however narrow the terminal is.
const WHOLE: std::ops::Range<usize> = 1..6;
/// Characters between two columns.
const GAP: usize = 3;
/// The most characters of a document's name, and of what the checks found.
const NAME_CHARACTERS: usize = 40;
const FINDINGS_CHARACTERS: usize = 44;
/// Below this width there is no room for the tier and the finish reason.
const ROOMY: usize = 112;
const HIDDEN_IF_NARROW: [usize; 2] = [2, 5];
/// The least characters of a column that is shortened.
const LEAST_CHARACTERS: usize = 12;

/// One line a document, in lines of `width` characters: names, findings and first words are shortened to fit, and a narrow terminal does without
/// tier and finish reason.
pub fn table_of(rows: &[Row], width: usize) -> Table {
    let names = display_names(rows);
    let mut cells: Vec<[String; 8]> = rows.iter().zip(names).map(|(row, name)| cells(row, name)).collect();
    let widest = |column: usize, most: usize| {
        let content = cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        content.max(HEADER[column].len()).min(most)
    };
    let is_shown = |column: &usize| width >= ROOMY || !HIDDEN_IF_NARROW.contains(column);
    let whole: usize = WHOLE.filter(is_shown).map(|column| widest(column, usize::MAX) + GAP).sum();
    let left = width.saturating_sub(whole + 3 * GAP);
    let name = widest(0, NAME_CHARACTERS).min((left / 3).max(LEAST_CHARACTERS));
    let found = widest(6, FINDINGS_CHARACTERS).min((left.saturating_sub(name) / 2).max(LEAST_CHARACTERS));
    let words = left.saturating_sub(name + found).max(LEAST_CHARACTERS);
    let shown: Vec<usize> = (0..HEADER.len()).filter(is_shown).collect();
    let mut table = output::table(&shown.iter().map(|column| HEADER[*column]).collect::<Vec<_>>());
    for row in &mut cells {
        row[0] = shorten_start(&row[0], name);
        row[6] = shorten(&row[6], found);
        row[7] = shorten(&row[7], words);
        let cell = |column: &usize| match column {
            3 | 4 => Cell::new(&row[*column]).set_alignment(CellAlignment::Right),
            _ => Cell::new(&row[*column]),
        };
        table.add_row(shown.iter().map(cell).collect::<Vec<_>>());
    }
    table
}

fn cells(row: &Row, name: String) -> [String; 8] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (words, seconds, found, first) = if row.outcome.has_summary() {
        (format!("{} → {}", row.words_in, row.words_out), seconds(row), row.findings_in_short(), &row.summary)
    } else {
        (String::new(), String::new(), text(&row.code), &row.message)
    };
    let first = one_line(first.as_deref().unwrap_or_default());
    [name, row.outcome.as_str().to_owned(), text(&row.tier), words, seconds, text(&row.finish_reason), found, first]
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
