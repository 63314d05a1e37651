//! Creates an object, or adopts the one that another writer created first.

use precis_chaos::Sabotage;

use crate::error::ObjectError;
use crate::store::{ObjectStore, Put, is_broken};

/// Attempts at a create that finds an object, which is gone when it is read. Results are never
/// deleted while they are settled, so one such attempt is rare already. The bound ends the loop on
/// a store that contradicts itself.
const MAX_ATTEMPTS: usize = 4;

/// The bytes that a key holds, and who wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// The object's bytes: the caller's own, or the winner's.
    pub bytes: Vec<u8>,
    /// Whether the caller's bytes are the ones that are stored.
    pub created: bool,
}

/// Creates the object with `bytes`, or reads what was there first. Every caller for one key gets
/// the same bytes, so the stored object and the published record cannot disagree.
///
/// # Errors
/// Those of the store; [`ObjectError::Unavailable`] as well when the object keeps vanishing between
/// the create and the read.
pub async fn create_or_adopt(store: &dyn ObjectStore, key: &str, bytes: Vec<u8>) -> Result<Adopted, ObjectError> {
    for _ in 0..MAX_ATTEMPTS {
        match store.put_if_absent(key, bytes.clone()).await? {
            Put::Created => return Ok(Adopted { bytes, created: true }),
            Put::Exists if is_broken(Sabotage::AdoptNothing, key) => return Ok(Adopted { bytes, created: false }),
            Put::Exists => {
                if let Some(bytes) = store.get(key).await? {
                    return Ok(Adopted { bytes, created: false });
                }
            }
        }
    }
    Err(ObjectError::Unavailable {
        operation: "create",
        key: key.to_owned(),
        detail: format!("the object existed and was gone again {MAX_ATTEMPTS} times"),
    })
}
