//! A result that an earlier run wrote, where it is better than what this run has.
//!
//! Better is a generated summary that passed its checks, then an extract, then a summary that did
//! not pass, then a document that failed,
//! then one that waits. Both have to be of one document: an id holds the digest of text, options,
//! model and policy.

use std::fs;
use std::path::Path;

use super::{End, Row};

/// The result in a file, if it is of the row's document and better than the row. The name of the
/// document is the row's.
pub(super) fn better_than(row: &Row, path: &Path) -> Option<Row> {
    // A file that cannot be read is no result.
    let bytes = fs::read(path).ok()?;
    let earlier: Row = serde_json::from_slice(&bytes).ok()?;
    let same = earlier.document_id == row.document_id && earlier.revision == row.revision;
    let better = same && rank(earlier.outcome) > rank(row.outcome);
    better.then(|| Row { document: row.document.clone(), from_store: true, ..earlier })
}

fn rank(end: End) -> u8 {
    match end {
        End::Answered => 5,
        End::Extracted => 4,
        End::Flagged => 3,
        End::Failed => 2,
        End::Waiting => 1,
        End::NotRead => 0,
    }
}
