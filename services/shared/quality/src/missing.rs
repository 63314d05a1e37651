//! What the source does not support, as a check reports it.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::{Check, CheckName};

/// How many items a detail lists, and how many characters of each.
const LISTED: usize = 8;
const LISTED_CHARS: usize = 60;

/// The unsupported items of one check, each once, in the order in which they were found.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    found: HashSet<String>,
    listed: Vec<String>,
}

impl Missing {
    pub(crate) fn add(&mut self, item: &str) {
        let item: String = item.trim().chars().take(LISTED_CHARS).collect();
        if self.found.insert(item.clone()) && self.listed.len() < LISTED {
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
        if count > LISTED {
            let _ = write!(detail, " and {} more", count - LISTED);
        }
        Check::new(name, count <= limit as usize, Some(count as f64), detail)
    }
}
