//! What tells one schedule from another, for the model.

use super::Schedule;

impl Schedule {
    /// Whether a commit is due, at whatever time; whether it waits for the pause after an abort;
    /// and how many transactions hold a single record.
    pub(in crate::stage) fn state_key(&self) -> (bool, bool, usize) {
        (self.due.is_some(), self.aborts > 0, self.single_records)
    }
}
