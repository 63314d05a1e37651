//! Ledger of every request that may cost money.
//!
//! ```text
//!   attempt ──acknowledged──▶ request leaves ──▶ answer or failure ──▶ settlement
//! ```
//!
//! The attempt is durable before the request leaves, so the ledger knows everything that is ever
//! billed. An attempt without a settlement (a kill, a log that was down) was *possibly billed*, for
//! up to its reserved amount. Both are plain records outside of the stage's transaction, since an
//! aborted transaction takes no bill back.

pub mod spend;

use std::sync::Arc;

use precis_flow::{Log, Output};
use precis_pipeline::{PipelineError, topics};
use precis_schemas::{AvroRecord, CodecError, LedgerAttempt, LedgerSettlement};
use precis_telemetry::metrics::Gauge;

/// Writes attempts and settlements. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    log: Arc<dyn Log>,
}

impl Ledger {
    /// A ledger on this log.
    pub fn new(log: Arc<dyn Log>) -> Self {
        Self { log }
    }

    /// Records that a request is about to leave. The request may leave once this returns.
    ///
    /// # Errors
    /// The log's: the request must not leave.
    pub async fn attempt(&self, attempt: &LedgerAttempt) -> Result<(), PipelineError> {
        self.publish(&attempt.attempt_id, attempt).await?;
        Gauge::LedgerOpenAttempts.add(1.0, &[]);
        Ok(())
    }

    /// Records whether and what the request cost.
    ///
    /// # Errors
    /// The log's: the attempt stays possibly billed.
    pub async fn settle(&self, settlement: &LedgerSettlement) -> Result<(), PipelineError> {
        self.publish(&settlement.attempt_id, settlement).await?;
        Gauge::LedgerOpenAttempts.add(-1.0, &[]);
        Ok(())
    }

    async fn publish<T: AvroRecord>(&self, attempt_id: &str, record: &T) -> Result<(), PipelineError> {
        self.log.publish(vec![output(attempt_id, record)?]).await?;
        Ok(())
    }
}

fn output<T: AvroRecord>(attempt_id: &str, record: &T) -> Result<Output, CodecError> {
    Output::to(topics::LEDGER).key(attempt_id).record(record)
}

#[cfg(test)]
mod tests;
