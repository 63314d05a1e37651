//! The object store as the place of rejected records that are too large for their topic.

use std::sync::Arc;

use async_trait::async_trait;
use precis_flow::{DeadLetterStore, Record, StageError};
use precis_objects::{ObjectStore, keys};
use precis_schemas::BodyReference;

use crate::{PipelineError, identity, topics};

/// Bytes of rejected records that are too large for the dead letters' topic.
pub(super) struct LargeDeadLetters(pub(super) Arc<dyn ObjectStore>);

#[async_trait]
impl DeadLetterStore for LargeDeadLetters {
    async fn store(&self, record: &Record, value: &[u8]) -> Result<BodyReference, StageError> {
        let sha256 = identity::sha256_hex(value);
        let key = keys::dead_letter(topics::tenant_of(&identity::origin_of(record).topic), &sha256);
        self.0
            .put_if_absent(&key, value.to_vec())
            .await
            .map_err(|error| PipelineError::from(error).into_stage(None))?;
        Ok(BodyReference { key, sha256, size_bytes: i64::try_from(value.len()).unwrap_or(i64::MAX) })
    }
}
