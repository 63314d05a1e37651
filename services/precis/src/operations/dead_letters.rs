//! The bytes of a record that ended as a dead letter.

use anyhow::bail;
use precis_objects::{ObjectStore, keys};
use precis_schemas::{BodyReference, DeadLetter};

/// The raw value of the record, from the dead letter itself or from the store.
///
/// # Errors
/// The object is gone, its bytes are not those that were stored, or the key is none of a dead
/// letter's: whoever can write a dead letter must not choose what of the store is read.
pub async fn record_value(letter: &DeadLetter, store: &dyn ObjectStore) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(BodyReference { key, sha256, .. }) = &letter.value_ref else { return Ok(letter.value.clone()) };
    if key.is_empty() {
        bail!("its value was too large for the store: only its topic had it");
    }
    if !keys::is_dead_letter(key) {
        bail!("object {key} is not one that a dead letter may name");
    }
    let Some(bytes) = store.get(key).await? else { bail!("object {key} is gone") };
    if keys::hash_bytes(&bytes) != *sha256 {
        bail!("object {key} is not the one that was stored: its digest differs");
    }
    Ok(Some(bytes))
}
