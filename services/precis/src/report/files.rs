//! `--out DIR`: a JSON file for each document, for programs, and `summaries.md`, to read.
//!
//! What a run writes never replaces something better of an earlier run ([`kept`](super::kept)).

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use super::{Row, Totals, display_names, kept, markdown};
use crate::inputs::{SUMMARIES_FILE, SUMMARIES_MARK};
use crate::output::visible;

/// Characters of a document's name in its file's name; every file system takes 255 bytes.
const NAME_CHARACTERS: usize = 60;
/// Bytes that are written to find out whether files can be written: a disk that is full takes
/// names, but no bytes.
const PROBE_BYTES: usize = 4096;

/// What was written.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    /// The file with all summaries.
    pub page: PathBuf,
    /// How many results of earlier runs were better and stay.
    pub kept: usize,
}

/// Creates the folder where it is missing, and writes and removes a file there.
///
/// # Errors
/// The operating system's, naming the path: whatever would be written there later could not be.
pub fn check_writable(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder).map_err(|error| at(folder, &error))?;
    let page = folder.join(SUMMARIES_FILE);
    if page.is_dir() {
        return Err(at(&page, &io::Error::from(io::ErrorKind::IsADirectory)));
    }
    let probe = aside_of(&page);
    let written = create(&probe, &[b' '; PROBE_BYTES]);
    // Removed also where only its name could be written.
    let removed = fs::remove_file(&probe);
    written.and(removed).map_err(|error| at(folder, &error))
}

/// Writes a JSON file for every row and `summaries.md`. Files of an earlier run with the same
/// documents are replaced, but by nothing worse: where an earlier result is better it stays, and
/// stands in `summaries.md`; and where no document at all has a summary, `summaries.md` stays.
///
/// # Errors
/// The operating system's, naming the path.
pub fn write_files(folder: &Path, rows: &[Row], totals: &Totals) -> io::Result<Written> {
    fs::create_dir_all(folder).map_err(|error| at(folder, &error))?;
    let mut taken = HashSet::new();
    let mut shown = rows.to_vec();
    let mut better = 0;
    for row in shown.iter_mut().filter(|row| row.document_id.is_some()) {
        let path = folder.join(file_name(row, &mut taken));
        if let Some(earlier) = kept::better_than(row, &path) {
            (*row, better) = (earlier, better + 1);
            continue;
        }
        let json = format!("{}\n", visible::json(&serde_json::to_string_pretty(row)?));
        replace(&path, json.as_bytes())?;
    }
    let page = folder.join(SUMMARIES_FILE);
    let worth_it = shown.iter().any(|row| row.outcome.has_summary());
    if worth_it || !page.exists() {
        let seconds = Duration::try_from_secs_f64(totals.seconds).unwrap_or_default();
        let totals = if better > 0 { Totals::of(&shown, seconds) } else { totals.clone() };
        replace(&page, summaries_md(&shown, &totals).as_bytes())?;
    }
    Ok(Written { page, kept: better })
}

/// Written aside and renamed, so that a reader never finds half a file. What could not be written
/// leaves nothing.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = aside_of(path);
    create(&aside, bytes).and_then(|()| fs::rename(&aside, path)).map_err(|error| {
        // That it cannot be removed is less than why it could not be written.
        let _ = fs::remove_file(&aside);
        at(path, &error)
    })
}

/// The name under which a file is written before it has its own: this process's alone.
fn aside_of(path: &Path) -> PathBuf {
    path.with_file_name(format!(".precis-{}.part", std::process::id()))
}

/// Writes a file that was not there. A link of that name, which somebody may have put into a shared
/// folder, is not followed; what an earlier process of the same number left there is removed.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let create = || fs::OpenOptions::new().write(true).create_new(true).open(path);
    let file = match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::remove_file(path).and_then(|()| create()),
        file => file,
    };
    file?.write_all(bytes)
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The document's id, which starts with its file's name, as a file name; numbered where two ids
/// look alike.
fn file_name(row: &Row, taken: &mut HashSet<String>) -> String {
    let id = row.document_id.as_deref().unwrap_or("document");
    let safe: Vec<char> = id
        .chars()
        .map(|character| if character.is_alphanumeric() || "-_.".contains(character) { character } else { '_' })
        .collect();
    // The end holds the digest: keep it when the name is too long.
    let start = safe.len().saturating_sub(NAME_CHARACTERS);
    let name: String = safe[start..].iter().collect();
    let name = name.trim_start_matches('.');
    let mut candidate = format!("{name}.json");
    let mut number = 1;
    while !taken.insert(candidate.to_lowercase()) {
        number += 1;
        candidate = format!("{name}-{number}.json");
    }
    candidate
}

fn summaries_md(rows: &[Row], totals: &Totals) -> String {
    let head = format!("{SUMMARIES_MARK}\n\n# Summaries\n\n{}\n", totals.to_string().replace('\n', "  \n"));
    let sections = rows.iter().zip(display_names(rows)).map(|(row, name)| section(row, &name));
    std::iter::once(head).chain(sections).collect::<Vec<_>>().join("\n")
}

fn section(row: &Row, name: &str) -> String {
    let body = match &row.summary {
        Some(summary) => markdown::text(summary.trim()),
        None => format!("No summary: {}", markdown::field(&row.reason())),
    };
    let mut facts = vec![row.outcome.as_str().to_owned()];
    facts.extend(Some(row.stands_in_for()).filter(|answers| !answers.is_empty()));
    if row.outcome.has_summary() {
        facts.extend(row.tier.clone());
        facts.extend(row.model.clone());
        facts.push(format!("{} → {} words", row.words_in, row.words_out));
        if row.chunks > 1 {
            facts.push(format!("read in {} parts", row.chunks));
        }
        facts.extend(Some(row.quality()).filter(|quality| !quality.is_empty()));
    }
    let findings = match row.findings() {
        none if none.is_empty() => none,
        findings => format!("\n> Checks: {}\n", markdown::field(&findings)),
    };
    format!("## {}\n\n{body}\n\n<sub>{}</sub>\n{findings}", markdown::field(name), markdown::field(&facts.join(" · ")))
}
