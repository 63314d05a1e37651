//! What tells one tracker from another, for the model check: no times, no traces, and epochs by whatever names them.

use std::hash::{Hash, Hasher};

use super::{Finished, Tracker};
use crate::record::Record;

impl Tracker {
    pub(in crate::stage) fn key(&self, into: &mut impl Hasher) {
        (self.last_seen, self.lent, self.slots.len()).hash(into);
        for slot in &self.slots {
            (slot.offset, slot.outputs.as_ref().map(Finished::key)).hash(into);
        }
    }

    /// Whether an earlier record of the same key is unfinished here.
    pub(in crate::stage) fn holds_up(&self, record: &Record, but_for: &[i64]) -> bool {
        let open = self.slots.iter().filter(|slot| slot.outputs.is_none() && slot.offset < record.offset);
        record.key.is_some()
            && open.clone().any(|slot| slot.delivery.record.key == record.key && !but_for.contains(&slot.offset))
    }
}

impl Finished {
    fn key(&self) -> (bool, Vec<Option<&[u8]>>) {
        (self.rejected, self.outputs.iter().map(|output| output.value.as_deref()).collect())
    }
}
