//! The records of one assigned partition: which offsets were read, which are finished, and how far
//! the finished ones are contiguous.
//!
//! Offsets have gaps (compaction, transaction markers), so the tracker never counts with them: it
//! keeps the offsets that were read, in order, and the **watermark** is the end of the finished
//! offsets at the front. Outputs of finished records wait here, in the reorder buffer, until every
//! earlier record is finished too.
//!
//! ```text
//!   read:     3   4   7   8   9  12        (5, 6, 10 and 11 do not exist)
//!   state:  done done OPEN done OPEN done
//!                  ▲ watermark: a transaction may hold the outputs of 3 and 4, and commits offset 5
//! ```
//!
//! `begin` gives the finished front to a transaction; `confirm` forgets the front once the
//! transaction is committed, `abort` leaves everything as it was. Nothing is read again after an
//! abort, because no record is forgotten before its commit.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::payload::Payload;
use super::rules::{Rule, Rules};
use crate::member::{Epoch, Load};

/// The records of one assigned partition.
#[derive(Clone, Debug)]
pub(crate) struct Tracker<P: Payload> {
    epoch: Epoch,
    slots: VecDeque<Slot<P>>,
    /// The highest offset ever read: a record that is not above it is a repetition.
    last_read: Option<i64>,
    /// How many records at the front are in the open transaction.
    in_transaction: Option<usize>,
}

/// The finished front, as a transaction takes it.
#[derive(Debug)]
pub(crate) struct Front<O> {
    /// The next offset to process.
    pub(crate) next_offset: i64,
    /// The outputs of each record, in order.
    pub(crate) outputs: Vec<O>,
    /// Whether the limit left finished records out.
    pub(crate) cut: bool,
}

#[derive(Clone, Debug)]
struct Slot<P: Payload> {
    offset: i64,
    record: P::Record,
    record_bytes: usize,
    read_at: Instant,
    finished: Option<Finished<P::Outputs>>,
}

#[derive(Clone, Debug)]
struct Finished<O> {
    outputs: O,
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

impl<P: Payload> Tracker<P> {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self { epoch, slots: VecDeque::new(), last_read: None, in_transaction: None }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Notes a record that was read. `false`: a repetition, to be dropped.
    pub(crate) fn track(&mut self, record: P::Record, now: Instant) -> bool {
        let offset = P::offset(&record);
        if self.last_read.is_some_and(|last| offset <= last) {
            return false;
        }
        self.last_read = Some(offset);
        let record_bytes = P::record_bytes(&record);
        self.slots.push_back(Slot { offset, record, record_bytes, read_at: now, finished: None });
        true
    }

    /// Notes a record's outputs, and returns their bytes. `None`: no such record is open.
    pub(crate) fn finish(&mut self, offset: i64, outputs: P::Outputs, rejected: bool) -> Option<usize> {
        let index = self.slots.binary_search_by_key(&offset, |slot| slot.offset).ok()?;
        let slot = &mut self.slots[index];
        if slot.finished.is_some() {
            return None;
        }
        let bytes = P::output_bytes(&outputs);
        slot.finished = Some(Finished { outputs, bytes, rejected });
        Some(bytes)
    }

    /// Whether a transaction could take a record.
    pub(crate) fn ready(&self) -> bool {
        self.in_transaction.is_none() && self.slots.front().is_some_and(|slot| slot.finished.is_some())
    }

    /// Gives the finished front to a transaction, as far as the limit lets it, and lowers the
    /// limit.
    pub(crate) fn begin(&mut self, limit: &mut TransactionLimit, rules: Rules) -> Option<Front<P::Outputs>> {
        if !self.ready() {
            return None;
        }
        let mut outputs = Vec::new();
        let mut next_offset = None;
        for slot in &self.slots {
            let Some(finished) = &slot.finished else { break };
            let fits = limit.records > 0 && finished.bytes <= limit.bytes;
            if !fits && (!outputs.is_empty() || limit.records == 0) {
                break;
            }
            limit.records -= 1;
            limit.bytes = limit.bytes.saturating_sub(finished.bytes);
            outputs.push(finished.outputs.clone());
            next_offset = Some(slot.offset + 1);
        }
        let next_offset = next_offset?;
        let behind = self.slots.get(outputs.len());
        let next_offset = match behind {
            Some(slot) if rules.is_broken(Rule::Watermark) => slot.offset + 1,
            _ => next_offset,
        };
        let cut = behind.is_some_and(|slot| slot.finished.is_some());
        self.in_transaction = Some(outputs.len());
        Some(Front { next_offset, outputs, cut })
    }

    /// The transaction committed: forgets its records, and says what need not be held any longer.
    pub(crate) fn confirm(&mut self) -> Load {
        let Some(records) = self.in_transaction.take() else { return Load::default() };
        self.slots.drain(..records).map(|slot| slot.load()).fold(Load::default(), Load::and)
    }

    /// The transaction aborted: its records wait for the next one.
    pub(crate) fn abort(&mut self) {
        self.in_transaction = None;
    }

    /// How many records are in the open transaction.
    pub(crate) fn records_in_transaction(&self) -> usize {
        self.in_transaction.unwrap_or(0)
    }

    /// Opens the first record again, because the log refuses its outputs: the record, and the bytes
    /// of outputs that no longer wait. `None`: its rejection left these outputs, and nothing can
    /// take their place.
    pub(crate) fn take_back(&mut self) -> Option<(P::Record, usize)> {
        let slot = self.slots.front_mut()?;
        let finished = slot.finished.take_if(|finished| !finished.rejected)?;
        self.in_transaction = None;
        Some((slot.record.clone(), finished.bytes))
    }

    /// Breaks [`Rule::DrainBeforeCommit`]: open records count as finished, without any outputs.
    pub(crate) fn mark_finished(&mut self) {
        for slot in &mut self.slots {
            let nothing = || Finished { outputs: P::Outputs::default(), bytes: 0, rejected: false };
            slot.finished.get_or_insert_with(nothing);
        }
    }

    /// Whether any record is held here.
    pub(crate) fn is_holding(&self) -> bool {
        !self.slots.is_empty()
    }

    /// The load of all records and outputs here.
    pub(crate) fn load(&self) -> Load {
        self.slots.iter().map(Slot::load).fold(Load::default(), Load::and)
    }

    /// When the oldest unfinished record was read.
    pub(crate) fn oldest_open(&self) -> Option<Instant> {
        self.slots.iter().find(|slot| slot.finished.is_none()).map(|slot| slot.read_at)
    }
}

impl<P: Payload> Slot<P> {
    fn load(&self) -> Load {
        let outputs = self.finished.as_ref().map_or(0, |finished| finished.bytes);
        Load { records: 1, bytes: self.record_bytes + outputs }
    }
}

#[cfg(test)]
mod state_key;
#[cfg(test)]
mod tests;
