//! `--out DIR`: a JSON file for each document, for programs, and `summaries.md`, to read.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::{Row, Totals, display_names};

/// File with all summaries.
const SUMMARIES: &str = "summaries.md";
/// Characters of a document's name in its file's name; every file system takes 255 bytes.
const NAME_CHARACTERS: usize = 60;

/// Writes a JSON file for every row and `summaries.md`, and returns the latter's path. Files of an earlier run with the same documents are replaced.
///
/// # Errors
/// The operating system's, naming the path.
pub fn write_files(folder: &Path, rows: &[Row], totals: &Totals) -> io::Result<PathBuf> {
    fs::create_dir_all(folder).map_err(|error| at(folder, &error))?;
    let mut taken = HashSet::new();
    for row in rows.iter().filter(|row| row.document_id.is_some()) {
        let mut json = serde_json::to_vec_pretty(row)?;
        json.push(b'\n');
        replace(&folder.join(file_name(row, &mut taken)), &json)?;
    }
    let summaries = folder.join(SUMMARIES);
    replace(&summaries, markdown(rows, totals).as_bytes())?;
    Ok(summaries)
}

/// Written aside and renamed, so that a reader never finds half a file.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("part");
    fs::write(&aside, bytes).and_then(|()| fs::rename(&aside, path)).map_err(|error| at(path, &error))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The document's id, which starts with its file's name, as a file name; numbered where two ids look alike.
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

fn markdown(rows: &[Row], totals: &Totals) -> String {
    let head = format!("# Summaries\n\n{}\n", totals.to_string().replace('\n', "  \n"));
    let sections = rows.iter().zip(display_names(rows)).map(|(row, name)| section(row, &name));
    std::iter::once(head).chain(sections).collect::<Vec<_>>().join("\n")
}

fn section(row: &Row, name: &str) -> String {
    let body = match &row.summary {
        Some(summary) => summary.trim().to_owned(),
        None => format!("No summary: {}", escape(&row.reason())),
    };
    let mut facts = vec![row.outcome.as_str().to_owned()];
    if row.outcome.has_summary() {
        facts.extend(row.tier.clone());
        facts.extend(row.model.clone());
        facts.push(format!("{} → {} words", row.words_in, row.words_out));
        if row.chunks > 1 {
            facts.push(format!("read in {} parts", row.chunks));
        }
    }
    let findings = match row.findings() {
        none if none.is_empty() => none,
        findings => format!("\n> Checks: {}\n", escape(&findings)),
    };
    format!("## {}\n\n{body}\n\n<sub>{}</sub>\n{findings}", escape(name), escape(&facts.join(" · ")))
}

/// Names are shown as they are, not as markup.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, character| {
        if "\\`*_[]<>#|".contains(character) {
            out.push('\\');
        }
        out.push(character);
        out
    })
}
