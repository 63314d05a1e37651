//! Finished work is committed: one transaction at a time, tried again when it is aborted, and
//! without the outputs that the log refuses.

use tokio::time::Instant;

use super::key_queues::KeyQueue;
use super::messages::{Command, Mode};
use super::partitions::TakenBack;
use super::payload::Payload;
use super::rules::Rule;
use super::{Commands, Machine};
use crate::error::Class;
use crate::member::{Epoch, Load};
use crate::values::PartitionId;

/// A transaction that was given to the log.
#[derive(Clone, Debug)]
pub(super) struct OpenTransaction {
    pub(super) parts: Vec<(PartitionId, Epoch)>,
    /// How many records it held when it began.
    pub(super) records: usize,
    began: Instant,
}

impl<P: Payload> Machine<P> {
    pub(super) fn on_committed(&mut self, left_out: &[PartitionId], now: Instant, commands: &mut Commands<P>) {
        let Some(OpenTransaction { parts, began, .. }) = self.transaction.take() else { return };
        self.confirm(parts, left_out, commands);
        let mut ready = self.partitions.ready_topics().peekable();
        if ready.peek().is_some() {
            self.schedule.commit_next(now, began, ready);
        }
    }

    pub(super) fn on_aborted(&mut self, error: P::Error, jitter: f64, now: Instant, commands: &mut Commands<P>) {
        let Some(OpenTransaction { parts, records, .. }) = self.transaction.take() else { return };
        // Less than it began with when partitions went on the way.
        let left = self.partitions.records_in_transaction();
        let to_blame = if self.rules.is_broken(Rule::BlameSingleRecord) { left == 1 } else { records <= 1 };
        match P::class(&error) {
            Class::Fatal => return commands.push(Command::Fail(error)),
            Class::Retry => self.schedule.on_aborted(),
            // The log does not say whose output it refuses: found out by committing one record at a
            // time.
            Class::Reject if !to_blame => self.schedule.commit_single_records(left),
            Class::Reject => {
                self.schedule.commit_single_records(0);
                if left > 0 {
                    let Some(refused) = self.partitions.take_back() else {
                        return commands.push(Command::Fail(error));
                    };
                    self.finish_rejected(refused, error, commands);
                }
            }
        }
        if self.rules.is_broken(Rule::AbortKeepsRecords) && records > 0 {
            self.confirm(parts, &[], commands);
        } else {
            self.partitions.abort(&parts);
        }
        self.schedule.pause(now, jitter);
    }

    pub(super) fn begin_commit(&mut self, now: Instant, commands: &mut Commands<P>) {
        if self.transaction.is_some() {
            return;
        }
        let Some(limit) = self.schedule.take_due(now) else { return };
        let Some(transaction) = self.partitions.begin(limit) else {
            return self.schedule.on_nothing_to_commit();
        };
        let parts = transaction.parts.iter().map(|part| (part.partition.clone(), part.epoch)).collect();
        let records = transaction.parts.iter().map(|part| part.outputs.len()).sum();
        self.transaction = Some(OpenTransaction { parts, records, began: now });
        commands.push(Command::BeginCommit(transaction));
    }

    fn confirm(&mut self, parts: Vec<(PartitionId, Epoch)>, left_out: &[PartitionId], commands: &mut Commands<P>) {
        let settled = self.partitions.confirm(parts, left_out);
        self.schedule.on_committed(settled.iter().fold(Load::default(), |sum, (_, load)| sum.and(*load)));
        commands.push(Command::Release(settled));
    }

    /// The log can never take the outputs of this record: it ends as a dead letter instead.
    fn finish_rejected(&mut self, refused: TakenBack<P::Record>, error: P::Error, commands: &mut Commands<P>) {
        let TakenBack { record, epoch, output_bytes } = refused;
        let partition = P::partition(&record);
        commands.push(Command::Release(vec![(partition.clone(), Load::outputs(output_bytes))]));
        // Its key's queue went on when it was processed: another record of its key may be in
        // process.
        let queue = if self.rules.is_broken(Rule::RejectionBesideKeyQueue) {
            KeyQueue::new(partition, epoch, P::key(&record))
        } else {
            KeyQueue::beside(partition, epoch)
        };
        self.queues.begin(&queue);
        self.partitions.start(&queue.partition, epoch, &record);
        commands.push(Command::Start { queue, record, mode: Mode::Reject(error) });
    }
}
