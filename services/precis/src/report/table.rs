//! The table at the end, and summaries as plain text on a terminal.

use super::{End, Row, display_names};
use crate::output::width::{columns, shorten, shorten_start};
use crate::output::{GAP, MIN_FOLDED, Table, visible};

const HEADER: [&str; 8] = ["Document", "Outcome", "Tier", "Words", "Seconds", "Finish", "Checks found", "First words"];
const DOCUMENT: usize = 0;
const OUTCOME: usize = 1;
const FINDINGS: usize = 6;
const FIRST_WORDS: usize = 7;
/// Columns with numbers.
const NUMBERS: [usize; 2] = [3, 4];
/// What is shown, from a wide terminal to a narrow one: the first of them that has room.
const VIEWS: [&[usize]; 5] = [&[0, 1, 2, 3, 4, 5, 6, 7], &[0, 1, 3, 4, 6, 7], &[0, 1, 6, 7], &[0, 1, 6], &[0, 1]];
/// The most columns of the terminal for a document's name, and for what the checks found.
const MAX_NAME: usize = 40;
const MAX_FINDINGS: usize = 44;
/// The least columns of the terminal for a text that is shortened.
const MIN_SHORTENED: usize = 12;
/// The same for the first words, which say nothing in less.
const MIN_FIRST_WORDS: usize = 24;

/// One line a document, in lines of `width` columns: names, findings and first words are shortened
/// to fit, and a narrow terminal does without what matters least. Where there is no room for a name
/// and an outcome beside it, they stand below each other.
pub fn table_of(rows: &[Row], width: usize) -> Table {
    let names = display_names(rows);
    let mut cells: Vec<[String; 8]> = rows.iter().zip(names).map(|(row, name)| cells(row, &name)).collect();
    let widest = |column: usize| {
        let content = cells.iter().map(|row| columns(&row[column])).max().unwrap_or(0);
        content.max(columns(HEADER[column]))
    };
    let natural: [usize; 8] = std::array::from_fn(widest);
    let least = |column: usize| match column {
        FIRST_WORDS => natural[column].min(MIN_FIRST_WORDS),
        DOCUMENT | FINDINGS => natural[column].min(MIN_SHORTENED),
        _ => natural[column],
    };
    let needs = |view: &[usize]| view.iter().map(|column| least(*column) + GAP).sum::<usize>();
    let view = VIEWS.into_iter().find(|view| needs(view) <= width).unwrap_or(VIEWS[VIEWS.len() - 1]);
    let given = shares(view, &natural, &least, width);
    let numbers: Vec<usize> = (0..view.len()).filter(|place| NUMBERS.contains(&view[*place])).collect();
    let mut table = Table::new(&view.iter().map(|column| HEADER[*column]).collect::<Vec<_>>()).right(&numbers);
    for row in &mut cells {
        row[DOCUMENT] = shorten_start(&row[DOCUMENT], given[DOCUMENT]);
        row[FINDINGS] = shorten(&row[FINDINGS], given[FINDINGS]);
        row[FIRST_WORDS] = shorten(&row[FIRST_WORDS], given[FIRST_WORDS]);
        table.row(view.iter().map(|column| &row[*column]));
    }
    table
}

/// How much each column of a view gets: what all need, then the rest for names, findings and first
/// words, in this order.
fn shares(view: &[usize], natural: &[usize; 8], least: &dyn Fn(usize) -> usize, width: usize) -> [usize; 8] {
    let mut given = *natural;
    let mut left = width;
    for column in view {
        given[*column] = least(*column);
        left = left.saturating_sub(given[*column] + GAP);
    }
    for (column, most) in [(DOCUMENT, MAX_NAME), (FINDINGS, MAX_FINDINGS), (FIRST_WORDS, usize::MAX)] {
        if view.contains(&column) {
            // Those before the last one leave it half of what there is.
            let rest = if view.last() == Some(&column) { left } else { left / 2 };
            let more = natural[column].min(most).saturating_sub(given[column]).min(rest);
            given[column] += more;
            left -= more;
        }
    }
    if view.len() == 2 {
        let room = width.saturating_sub(given[OUTCOME] + 2 * GAP);
        // Below each other nothing has to be shortened.
        given[DOCUMENT] = if room < MIN_FOLDED { usize::MAX } else { room };
    }
    given
}

fn cells(row: &Row, name: &str) -> [String; 8] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (words, seconds, found, first) = if row.outcome.has_summary() {
        let found = if row.outcome == End::Extracted { row.stands_in_for() } else { row.findings_in_short() };
        (format!("{} → {}", row.words_in, row.words_out), seconds(row), found, &row.summary)
    } else {
        (String::new(), String::new(), text(&row.code), &row.message)
    };
    let first = one_line(first.as_deref().unwrap_or_default());
    let outcome = row.outcome.as_str().to_owned();
    // Made visible before they are measured.
    [name.to_owned(), outcome, text(&row.tier), words, seconds, text(&row.finish_reason), found, first]
        .map(|cell| visible::line(&cell).into_owned())
}

/// A document's summary as text: a line that says what it is, the summary, what the checks found.
pub fn plain_text(row: &Row) -> String {
    let words = format!(" · {} → {} words", row.words_in, row.words_out);
    let how = match row.tier.as_deref().filter(|_| row.outcome.has_summary()) {
        _ if row.outcome == End::Extracted => format!(" from the document itself{words}"),
        Some(tier) => format!(" by {tier}{words}"),
        None => String::new(),
    };
    let body = match &row.summary {
        Some(summary) => summary.trim().to_owned(),
        None => visible::line(&row.reason()).into_owned(),
    };
    let findings = match row.findings() {
        none if none.is_empty() => none,
        findings => format!("   checks: {}\n", visible::line(&findings)),
    };
    let quality = match row.quality() {
        none if none.is_empty() => none,
        quality => format!("   {quality}\n"),
    };
    let stead = match row.stands_in_for() {
        none if none.is_empty() => none,
        answers => format!("   in its stead: {}\n", visible::line(&answers)),
    };
    let name = visible::line(&row.document);
    format!(
        "── {name} · {}{}\n{}\n{stead}{findings}{quality}",
        row.outcome.as_str(),
        visible::line(&how),
        visible::block(&body)
    )
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

impl End {
    /// The order in which totals name them.
    pub(super) const ALL: [Self; 6] =
        [Self::Answered, Self::Extracted, Self::Flagged, Self::Failed, Self::NotRead, Self::Waiting];
}
