//! What is known of one assigned partition: which offsets were seen, which are finished, and how far they are
//! contiguous.
//!
//! Offsets have gaps (compaction, transaction markers), so the tracker never counts with them: it keeps the offsets
//! that were *seen*, in order, and the **watermark** is the end of the finished ones at the front. Outputs of finished
//! records wait here, in the reorder buffer, until everything before them is finished too.
//!
//! ```text
//!   seen:     3   4   7   8   9  12        (5, 6, 10 and 11 do not exist)
//!   state:  done done OPEN done OPEN done
//!                  ▲ watermark: a transaction may hold the outputs of 3 and 4, and commits offset 5
//! ```
//!
//! `take` lends the front to a transaction; `confirm` forgets it once committed, `abort` leaves everything as it was.
//! Nothing is ever read again after an abort, because nothing was let go before the commit.

use std::collections::VecDeque;
use std::sync::Arc;

use precis_chaos::{Sabotage, sabotaged};
use tokio::time::Instant;

use super::processor::Delivery;
use crate::member::{Epoch, Held};
use crate::record::Output;

/// One assigned partition.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    epoch: Epoch,
    slots: VecDeque<Slot>,
    /// The highest offset ever seen: what is not above it is a repetition.
    last_seen: Option<i64>,
    /// How many records are lent to the open transaction.
    lent: Option<usize>,
}

/// What is lent to a transaction: outputs of the finished front.
#[derive(Debug)]
pub(crate) struct Front {
    /// The next offset to process.
    pub(crate) next_offset: i64,
    /// What each record led to, in order.
    pub(crate) outputs: Vec<Arc<[Output]>>,
    /// Whether the limit left finished records out.
    pub(crate) cut: bool,
}

#[derive(Clone, Debug)]
struct Slot {
    offset: i64,
    delivery: Arc<Delivery>,
    record_bytes: usize,
    seen_at: Instant,
    outputs: Option<Finished>,
}

#[derive(Clone, Debug)]
struct Finished {
    outputs: Arc<[Output]>,
    bytes: usize,
    rejected: bool,
}

/// Bounds one transaction. One record is always let in, however large.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransactionLimit {
    /// Records, over all partitions.
    pub(crate) records: usize,
    /// Bytes of outputs, over all partitions.
    pub(crate) bytes: usize,
}

impl Tracker {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self { epoch, slots: VecDeque::new(), last_seen: None, lent: None }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Notes a record that was read. `false`: it was seen before, so it is a repetition to be dropped.
    pub(crate) fn see(&mut self, delivery: Arc<Delivery>, now: Instant) -> bool {
        let offset = delivery.record.offset;
        if self.last_seen.is_some_and(|last| offset <= last) {
            return false;
        }
        self.last_seen = Some(offset);
        let record_bytes = delivery.record.size_bytes();
        self.slots.push_back(Slot { offset, delivery, record_bytes, seen_at: now, outputs: None });
        true
    }

    /// Notes what a record led to, and returns the bytes that now wait. `None`: no such record is open.
    pub(crate) fn finish(&mut self, offset: i64, outputs: Vec<Output>, rejected: bool) -> Option<usize> {
        let index = self.slots.binary_search_by_key(&offset, |slot| slot.offset).ok()?;
        let slot = &mut self.slots[index];
        if slot.outputs.is_some() {
            return None;
        }
        let bytes = outputs.iter().map(Output::size_bytes).sum();
        slot.outputs = Some(Finished { outputs: outputs.into(), bytes, rejected });
        Some(bytes)
    }

    /// Whether a transaction could take something.
    pub(crate) fn ready(&self) -> bool {
        self.lent.is_none() && self.slots.front().is_some_and(|slot| slot.outputs.is_some())
    }

    /// Lends the finished front to a transaction, as far as the limit lets it, and lowers the limit by it.
    pub(crate) fn take(&mut self, limit: &mut TransactionLimit) -> Option<Front> {
        if !self.ready() {
            return None;
        }
        let mut outputs = Vec::new();
        let mut next_offset = None;
        let mut slots = 0;
        for slot in &self.slots {
            let Some(finished) = &slot.outputs else { break };
            let fits = limit.records > 0 && finished.bytes <= limit.bytes;
            if !fits && (slots > 0 || limit.records == 0) {
                break;
            }
            limit.records -= 1;
            limit.bytes = limit.bytes.saturating_sub(finished.bytes);
            outputs.push(Arc::clone(&finished.outputs));
            next_offset = Some(slot.offset + 1);
            slots += 1;
        }
        if slots > 0 && sabotaged(Sabotage::WatermarkPlus2) {
            next_offset = self.slots.get(slots).map_or(next_offset, |slot| Some(slot.offset + 1));
        }
        let next_offset = next_offset?;
        self.lent = Some(slots);
        let cut = self.slots.get(slots).is_some_and(|slot| slot.outputs.is_some());
        Some(Front { next_offset, outputs, cut })
    }

    /// The transaction committed: forgets what was lent.
    pub(crate) fn confirm(&mut self) -> Held {
        let Some(lent) = self.lent.take() else { return Held::default() };
        self.slots.drain(..lent).map(|slot| slot.held()).fold(Held::default(), Held::and)
    }

    /// The transaction aborted: what was lent waits for the next one.
    pub(crate) fn abort(&mut self) {
        self.lent = None;
    }

    /// How many records are lent.
    pub(crate) fn lent(&self) -> usize {
        self.lent.unwrap_or(0)
    }

    /// Opens the first record again, because the log refuses its outputs: the record, and the bytes that no longer
    /// wait. `None` when those were what its rejection left: there is nothing better to offer.
    pub(crate) fn reopen(&mut self) -> Option<(Arc<Delivery>, usize)> {
        let slot = self.slots.front_mut()?;
        let finished = slot.outputs.take_if(|finished| !finished.rejected)?;
        self.lent = None;
        Some((Arc::clone(&slot.delivery), finished.bytes))
    }

    /// Breaks the rule of [`Sabotage::CommitBeforeDrain`]: what is open counts as finished, with nothing to show for it.
    pub(crate) fn call_finished(&mut self) {
        for slot in &mut self.slots {
            slot.outputs.get_or_insert_with(|| Finished { outputs: Arc::default(), bytes: 0, rejected: false });
        }
    }

    /// Whether anything is held here.
    pub(crate) fn is_holding(&self) -> bool {
        !self.slots.is_empty()
    }

    /// All that is held here: released when the partition goes.
    pub(crate) fn held(&self) -> Held {
        self.slots.iter().map(Slot::held).fold(Held::default(), Held::and)
    }

    /// Since when the oldest unfinished record is here.
    pub(crate) fn oldest_open(&self) -> Option<Instant> {
        self.slots.iter().find(|slot| slot.outputs.is_none()).map(|slot| slot.seen_at)
    }
}

impl Slot {
    fn held(&self) -> Held {
        let outputs = self.outputs.as_ref().map_or(0, |finished| finished.bytes);
        Held { records: 1, bytes: self.record_bytes + outputs }
    }
}

#[cfg(test)]
mod key;
#[cfg(test)]
mod tests;
