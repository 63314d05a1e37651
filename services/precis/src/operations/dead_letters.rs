//! The bytes of a record that ended as a dead letter.

use anyhow::bail;
use precis_objects::{ObjectStore, keys};
use precis_schemas::{BodyReference, DeadLetter};

/// The raw value of the record, from the dead letter itself or from the store.
///
/// # Errors
/// The object is gone, or its bytes are not those that were stored.
pub async fn record_value(letter: &DeadLetter, store: &dyn ObjectStore) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(BodyReference { key, sha256, .. }) = &letter.value_ref else { return Ok(letter.value.clone()) };
    let Some(bytes) = store.get(key).await? else { bail!("object {key} is gone") };
    if keys::hash_bytes(&bytes) != *sha256 {
        bail!("object {key} is not the one that was stored: its digest differs");
    }
    Ok(Some(bytes))
}
