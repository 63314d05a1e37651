//! The values that all layers speak of: records, positions, headers, subscriptions.
//!
//! The lowest layer: nothing here knows a log.

mod record;
mod subscription;

pub use self::record::{
    ATTEMPTS_HEADER, CONTROL_HEADER_PREFIX, Headers, ORIGIN_HEADER, Output, PartitionId, Position, Record,
};
pub use self::subscription::Subscription;

/// The largest record of every topic but `documents.*`.
pub const MAX_RECORD_BYTES: usize = 2 * 1024 * 1024;
