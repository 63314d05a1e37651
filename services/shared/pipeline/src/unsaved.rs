//! Answers that the store did not take yet. They were paid for: the next try of their record begins
//! with its answer instead of asking for another.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use precis_schemas::Answer;

/// So many at most: every record in flight has one, and what is left over belongs to records that
/// went to another instance meanwhile.
const MOST: usize = 1024;

/// Answers by the key that they could not be stored under.
#[derive(Debug, Default)]
pub(crate) struct Unsaved(Mutex<HashMap<String, Answer>>);

impl Unsaved {
    /// Keeps an answer for the next try; where too many wait already, this one is asked for again.
    pub(crate) fn keep(&self, key: &str, answer: Answer) {
        let mut answers = self.lock();
        if answers.len() < MOST {
            answers.insert(key.to_owned(), answer);
        }
    }

    /// The answer that waits for this key; it waits no longer.
    pub(crate) fn take(&self, key: &str) -> Option<Answer> {
        self.lock().remove(key)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
