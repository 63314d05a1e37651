//! What the machine keeps and hands on without looking inside. The service's payload is
//! [`Live`](crate::stage::live::Live); the model's are a few numbers, which cost nothing to copy.

use std::fmt;

use crate::error::Class;
use crate::values::PartitionId;

/// The types of one machine's records, results, errors and guards.
pub(crate) trait Payload: Clone + fmt::Debug {
    /// A record that was read. Cheap to clone.
    type Record: Clone + fmt::Debug;
    /// The outputs of one record; by default none. Cheap to clone.
    type Outputs: Clone + fmt::Debug + Default;
    /// Why a record's processing or a transaction failed.
    type Error: fmt::Debug;
    /// Identifies a revocation: given back when its partitions are drained.
    type Guard: fmt::Debug;

    /// The partition that the record was read from.
    fn partition(record: &Self::Record) -> PartitionId;
    /// The record's offset in its partition.
    fn offset(record: &Self::Record) -> i64;
    /// The key whose order counts.
    fn key(record: &Self::Record) -> Option<&[u8]>;
    /// What the record takes in memory.
    fn record_bytes(record: &Self::Record) -> usize;
    /// What the outputs take in memory.
    fn output_bytes(outputs: &Self::Outputs) -> usize;
    /// What is to be done about an aborted transaction.
    fn class(error: &Self::Error) -> Class;
}
