//! The object store of results, answers, bodies and policies: created once, never overwritten.
//!
//! Every store guarantees:
//! - [`ObjectStore::put_if_absent`] is **atomic over every process and machine**: of any number of
//!   writers of one key exactly one is told [`Put::Created`], and no reader ever sees half an
//!   object.
//! - An object that a caller was told of survives a crash of the machine.
//! - [`open`] refuses a store on which the first guarantee does not hold: it races writers for a
//!   fresh key and counts the winners (see [`probe`]). Some S3-compatible endpoints ignore
//!   `If-None-Match` without a word; on those every other promise would be empty.
//!
//! Settling rests on these guarantees: the loser of a create publishes the winner's bytes
//! ([`create_or_adopt`]).
//!
//! Two stores implement the trait: [`DirectoryStore`] (one machine, any number of processes) and
//! [`S3Store`] (any compatible endpoint). This is the only crate that knows aws-sdk-s3.

mod adopt;
pub mod claim_check;
mod config;
mod directory;
mod error;
pub mod keys;
pub mod probe;
mod s3;
mod store;

use std::sync::Arc;

pub use adopt::{Adopted, create_or_adopt};
pub use config::{DirectoryConfig, S3Config, Sse, StoreConfig, StoreKind};
pub use directory::DirectoryStore;
pub use error::{Class, ObjectError};
pub use s3::S3Store;
pub use store::{MAX_KEY_BYTES, MAX_SEGMENT_BYTES, ObjectInfo, ObjectStore, Put, check_key};

/// Opens the configured store and proves that it creates objects at most once.
///
/// # Errors
/// [`ObjectError::Misconfigured`] for settings that cannot work, [`ObjectError::NotConditional`]
/// for a store on which two writers can both create one key, [`ObjectError::Unavailable`] and
/// [`ObjectError::Denied`] when the proof could not be carried out.
pub async fn open(config: &StoreConfig) -> Result<Arc<dyn ObjectStore>, ObjectError> {
    if let Some(problem) = config.problems().into_iter().next() {
        return Err(ObjectError::Misconfigured { detail: format!("store.{problem}") });
    }
    let (store, writers): (Arc<dyn ObjectStore>, usize) = match config.kind {
        StoreKind::Directory => {
            let store = DirectoryStore::open(&config.directory.path, config.max_object_bytes).await?;
            (Arc::new(store), probe::DIRECTORY_WRITERS)
        }
        StoreKind::S3 => {
            let store = S3Store::connect(&config.s3, config.max_object_bytes).await?;
            (Arc::new(store), probe::S3_WRITERS)
        }
    };
    probe::conditional_create(&store, writers).await?;
    Ok(store)
}
