//! The transaction under way.

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::error::FlowError;
use crate::member::Epoch;
use crate::record::PartitionId;

/// A transaction that was given to the log.
pub(crate) struct Committing {
    /// What it holds something of.
    pub(crate) lent: Vec<(PartitionId, Epoch)>,
    /// When it was given.
    pub(crate) began: Instant,
    pub(crate) result: AbortOnDropHandle<Result<Vec<PartitionId>, FlowError>>,
}

/// What came of it.
pub(crate) struct Committed {
    pub(crate) lent: Vec<(PartitionId, Epoch)>,
    pub(crate) began: Instant,
    /// The partitions whose parts were left out, or why it was aborted.
    pub(crate) left_out: Result<Vec<PartitionId>, FlowError>,
}

impl Committing {
    /// Waits for its end, for ever when there is none. Dropping the future loses nothing.
    pub(crate) async fn end(under_way: &mut Option<Self>) -> Committed {
        let Some(committing) = under_way else { return std::future::pending().await };
        let left_out = match (&mut committing.result).await {
            Ok(left_out) => left_out,
            Err(ended) => Err(FlowError::Internal { detail: format!("a commit ended early: {ended}") }),
        };
        let committed = Committed { lent: std::mem::take(&mut committing.lent), began: committing.began, left_out };
        *under_way = None;
        committed
    }
}
