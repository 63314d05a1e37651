//! The items that the source does not support, as a check reports them.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::{Check, CheckName};

/// The most items that a detail lists, and the most characters of each.
const MAX_LISTED: usize = 8;
const MAX_LISTED_CHARS: usize = 60;

/// The unsupported items of one check, each once, in the order in which they were found.
#[derive(Debug, Default)]
pub(crate) struct Unsupported {
    found: HashSet<String>,
    listed: Vec<String>,
}

impl Unsupported {
    pub(crate) fn add(&mut self, item: &str) {
        let item: String = item.trim().chars().take(MAX_LISTED_CHARS).collect();
        if self.found.insert(item.clone()) && self.listed.len() < MAX_LISTED {
            self.listed.push(item);
        }
    }

    /// The check: passed with at most `limit` items.
    pub(crate) fn report(self, name: CheckName, limit: u32) -> Check {
        let count = self.found.len();
        let mut detail = String::new();
        if count > 0 {
            detail = format!("not in the source: {}", self.listed.join(", "));
        }
        if count > MAX_LISTED {
            let _ = write!(detail, " and {} more", count - MAX_LISTED);
        }
        Check::new(name, count <= limit as usize, Some(count as f64), detail)
    }
}
