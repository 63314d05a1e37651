//! Answers that the store did not take yet. They were paid for: the next attempt of their record
//! begins with its answer instead of asking for another.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use precis_base::lock::locked;
use precis_schemas::Answer;

/// Answers that are kept at once. Every record in flight has one at most; the rest belongs to
/// records that went to another instance meanwhile.
const MAX_UNSAVED: usize = 1024;

/// Answers by the key that they could not be stored under.
#[derive(Debug, Default)]
pub(super) struct Unsaved(Mutex<HashMap<String, Answer>>);

impl Unsaved {
    /// Keeps an answer for the next attempt; where too many are kept, it is asked for again.
    pub(super) fn keep(&self, key: &str, answer: Answer) {
        let mut answers = self.lock();
        if answers.len() < MAX_UNSAVED {
            answers.insert(key.to_owned(), answer);
        }
    }

    /// The answer that was kept for this key; it is kept no longer.
    pub(super) fn take(&self, key: &str) -> Option<Answer> {
        self.lock().remove(key)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        locked(&self.0)
    }
}
