//! The transaction that the log has in hand.

use std::sync::Arc;
use std::time::Duration;

use precis_telemetry::metrics::{Counter, Histogram};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::live::Live;
use super::machine::Event;
use crate::error::FlowError;
use crate::member::{Committer, Transaction};
use crate::values::PartitionId;

/// A transaction that was given to the log.
pub(crate) struct Committing {
    began: Instant,
    result: AbortOnDropHandle<Result<Vec<PartitionId>, FlowError>>,
}

impl Committing {
    /// Gives a transaction to the log.
    pub(crate) fn begin(committer: Arc<dyn Committer>, transaction: Transaction) -> Self {
        let result = AbortOnDropHandle::new(tokio::spawn(async move { committer.commit(transaction).await }));
        Self { began: Instant::now(), result }
    }

    /// How long the log has had it.
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits for the end of a transaction, for ever when there is none. Dropping the future loses
    /// nothing.
    pub(crate) async fn end(under_way: &mut Option<Self>, stage: &str) -> Event<Live> {
        let Some(committing) = under_way else { return std::future::pending().await };
        let left_out = match (&mut committing.result).await {
            Ok(left_out) => left_out,
            Err(ended) => Err(FlowError::Internal { detail: format!("a commit ended early: {ended}") }),
        };
        let seconds = committing.began.elapsed().as_secs_f64();
        *under_way = None;
        match left_out {
            Ok(left_out) => {
                Counter::StageCommits.increment(&[stage, "committed"]);
                Histogram::StageCommitSeconds.record(seconds, &[stage]);
                Event::Committed { left_out }
            }
            Err(error) => {
                Counter::StageCommits.increment(&[stage, "aborted"]);
                warn!(stage, code = error.code(), %error, "a transaction was aborted");
                Event::Aborted { error, jitter: rand::random() }
            }
        }
    }
}
