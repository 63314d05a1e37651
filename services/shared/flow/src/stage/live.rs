//! What the service's machine keeps: deliveries and their outputs.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::machine::Payload;
use super::processor::Delivery;
use crate::error::{Class, FlowError};
use crate::member::DrainGuard;
use crate::values::{Output, PartitionId, Record};

/// The payload of the service's machine.
#[derive(Clone, Debug)]
pub(crate) struct Live;

impl Payload for Live {
    type Record = Arc<Delivery>;
    type Outputs = Arc<[Output]>;
    type Error = FlowError;
    type Guard = DrainGuard;

    fn partition(delivery: &Arc<Delivery>) -> PartitionId {
        delivery.record.partition_id()
    }

    fn offset(delivery: &Arc<Delivery>) -> i64 {
        delivery.record.offset
    }

    fn key(delivery: &Arc<Delivery>) -> Option<&[u8]> {
        delivery.record.key.as_deref()
    }

    fn record_bytes(delivery: &Arc<Delivery>) -> usize {
        delivery.record.size_bytes()
    }

    fn output_bytes(outputs: &Arc<[Output]>) -> usize {
        outputs.iter().map(Output::size_bytes).sum()
    }

    fn class(error: &FlowError) -> Class {
        error.class()
    }
}

/// Tells the deliveries of each owned partition when to wait no longer, and when to give up.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    of: HashMap<PartitionId, Tokens>,
}

#[derive(Clone, Debug)]
struct Tokens {
    /// Cancelled when the partition goes.
    wanted: CancellationToken,
    /// Cancelled when the partition begins to leave. A child of `wanted`.
    draining: CancellationToken,
}

impl Deliveries {
    /// Deliveries of this partition are wanted from now on.
    pub(crate) fn want(&mut self, partition: PartitionId) {
        self.of.insert(partition, Tokens::new());
    }

    /// Deliveries of this partition wait for nothing any more.
    pub(crate) fn stop_waiting(&self, partition: &PartitionId) {
        if let Some(tokens) = self.of.get(partition) {
            tokens.draining.cancel();
        }
    }

    /// Deliveries of this partition are not wanted any more.
    pub(crate) fn unwant(&mut self, partition: &PartitionId) {
        if let Some(tokens) = self.of.remove(partition) {
            tokens.wanted.cancel();
        }
    }

    /// The delivery of a record. If its partition is gone, the machine will drop it.
    /// `foreign`: whether others write the record's topic.
    pub(crate) fn deliver(&self, record: Record, foreign: bool) -> Arc<Delivery> {
        let of_partition = self.of.get(&record.partition_id());
        let Tokens { wanted, draining } = of_partition.map_or_else(Tokens::new, Tokens::clone);
        Arc::new(Delivery::with(record, foreign, wanted, draining))
    }
}

impl Tokens {
    fn new() -> Self {
        let wanted = CancellationToken::new();
        Self { draining: wanted.child_token(), wanted }
    }
}

#[cfg(test)]
mod tests;
