//! What tells one tracker from another, for the model: no times, and no epoch, which the partition
//! that has the tracker names by its age.

use std::hash::{Hash, Hasher};

use super::Tracker;
use crate::stage::machine::payload::Payload;

impl<P: Payload<Outputs: Hash>> Tracker<P> {
    pub(in crate::stage) fn state_key(&self, into: &mut impl Hasher) {
        (self.last_read, self.in_transaction, self.slots.len()).hash(into);
        for slot in &self.slots {
            let finished = slot.finished.as_ref().map(|finished| (finished.rejected, &finished.outputs));
            (slot.offset, finished).hash(into);
        }
    }

    /// Whether an earlier record of the same key is unfinished here, other than these.
    pub(in crate::stage) fn has_earlier_open(&self, record: &P::Record, but_for: &[i64]) -> bool {
        let mut earlier = self.slots.iter().filter(|slot| slot.finished.is_none() && slot.offset < P::offset(record));
        P::key(record).is_some()
            && earlier.any(|slot| P::key(&slot.record) == P::key(record) && !but_for.contains(&slot.offset))
    }
}
