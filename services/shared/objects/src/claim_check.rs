//! Claim check: a body too large for a message goes to the store, and the record carries its key,
//! digest and size.
//!
//! The body is put before the record is published. Digest and size are verified on every read. A
//! reference comes from a publisher, so it is not trusted. Its key must lie among the bodies of the
//! publisher's own tenant, else one tenant could have another tenant's objects summarised.

use precis_schemas::BodyReference;

use crate::error::ObjectError;
use crate::keys;
use crate::store::{ObjectStore, check_key};

/// Stores a body under a key made of its digest, and returns the reference to publish. Storing the
/// same body again changes nothing.
///
/// # Errors
/// Those of the store.
pub async fn put_body(
    store: &dyn ObjectStore,
    tenant: &str,
    document_id: &str,
    revision: i64,
    bytes: Vec<u8>,
) -> Result<BodyReference, ObjectError> {
    let sha256 = keys::hash_bytes(&bytes);
    let size_bytes = bytes.len() as i64;
    let key = keys::body(tenant, document_id, revision, &sha256);
    store.put_if_absent(&key, bytes).await?;
    Ok(BodyReference { key, sha256, size_bytes })
}

/// Fetches the body that a tenant's record refers to, at most `limit` bytes of it.
///
/// # Errors
/// [`ObjectError::BodyReferenceInvalid`] for a key outside the tenant's bodies,
/// [`ObjectError::BodyTooLarge`], [`ObjectError::BodyMissing`], [`ObjectError::BodyUnreadable`],
/// [`ObjectError::BodyDigestMismatch`], and those of the store.
pub async fn fetch_body(
    store: &dyn ObjectStore,
    tenant: &str,
    reference: &BodyReference,
    limit: u64,
) -> Result<Vec<u8>, ObjectError> {
    let invalid = |reason| {
        let key = reference.key.chars().take(crate::store::MAX_SEGMENT_BYTES).collect();
        Err(ObjectError::BodyReferenceInvalid { key, reason })
    };
    if check_key(&reference.key).is_err() {
        return invalid("it is not a valid key");
    }
    if !reference.key.starts_with(&keys::bodies_of(tenant)) {
        return invalid("it does not lie among the bodies of the record's tenant");
    }
    let Ok(size) = u64::try_from(reference.size_bytes) else { return invalid("its size is negative") };
    if size > limit {
        return Err(ObjectError::BodyTooLarge { key: reference.key.clone(), size: reference.size_bytes, limit });
    }
    // One byte more than stated shows that the object is longer, without fetching all of it.
    let read = match store.get_range(&reference.key, 0..size + 1).await {
        // The publisher made the object, so this says nothing about the deployment's own settings,
        // for which a service would have to end.
        Err(ObjectError::Misconfigured { detail }) => {
            return Err(ObjectError::BodyUnreadable { key: reference.key.clone(), detail });
        }
        // Nor about the deployment's own rights, as long as it may read its own objects: there are
        // keys that encrypt, classes of storage and names of nothing that S3 answers so.
        Err(ObjectError::Denied { detail, .. }) if may_read_own(store).await => {
            return Err(ObjectError::BodyUnreadable { key: reference.key.clone(), detail });
        }
        read => read?,
    };
    let Some(bytes) = read else {
        return Err(ObjectError::BodyMissing { key: reference.key.clone() });
    };
    let found = keys::hash_bytes(&bytes);
    if bytes.len() as u64 != size || !found.eq_ignore_ascii_case(&reference.sha256) {
        return Err(ObjectError::BodyDigestMismatch {
            key: reference.key.clone(),
            size: bytes.len() as u64,
            found,
            expected_size: reference.size_bytes,
            expected: reference.sha256.chars().take(64).collect(),
        });
    }
    Ok(bytes)
}

/// Whether the store lets this process read an object of its own.
async fn may_read_own(store: &dyn ObjectStore) -> bool {
    store.get_range(keys::ROUTING, 0..1).await.is_ok()
}
