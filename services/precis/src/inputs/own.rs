//! Results that `precis summarize --out` wrote. They are never read as documents, whatever folder
//! they lie in.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

/// Name of the file with all summaries.
pub const SUMMARIES_FILE: &str = "summaries.md";
/// How that file begins: by its mark the file is known as a result.
pub const SUMMARIES_MARK: &str = "<!-- written by precis summarize; not read as a document -->";
/// How `summaries.md` began before it had a mark.
const UNMARKED: &str = "# Summaries\n\n";
/// Largest JSON file that is examined, bytes: a result holds one summary.
const MAX_RESULT_BYTES: u64 = 4 * 1024 * 1024;

/// Whether a file is the page of all summaries or the JSON file of one document. Only files with
/// such a name are opened.
pub(super) fn is_result(path: &Path) -> bool {
    let is_page = path.file_name().is_some_and(|name| name.eq_ignore_ascii_case(SUMMARIES_FILE));
    let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    // Opening a named pipe would wait for its writer.
    if !(is_page || is_json) || !path.is_file() {
        return false;
    }
    if is_page { begins_as_page(path) } else { holds_result(path) }.unwrap_or(false)
}

fn begins_as_page(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(SUMMARIES_MARK.len() as u64).read_to_end(&mut start)?;
    let counted = |rest: &[u8]| rest.first().is_some_and(u8::is_ascii_digit);
    Ok(start == SUMMARIES_MARK.as_bytes() || start.strip_prefix(UNMARKED.as_bytes()).is_some_and(counted))
}

fn holds_result(path: &Path) -> std::io::Result<bool> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_RESULT_BYTES).read_to_end(&mut bytes)?;
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(["document", "document_id", "revision", "tenant", "outcome", "from_store"]
        .iter()
        .all(|name| value.get(name).is_some()))
}
