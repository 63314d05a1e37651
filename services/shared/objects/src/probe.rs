//! Probe at start: shows that a store creates an object at most once.
//!
//! Writers race for a key that nobody used before, each with bytes of its own. Exactly one may be
//! told that it created the object, the object must hold that writer's bytes, and a later create
//! must find it there. A store that ignores the condition fails at once; one that checks and then
//! writes (two steps) fails because the writers start together.
//!
//! The probe's key is the only one with a random id: services that start together must not race
//! in each other's probe.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::error::ObjectError;
use crate::store::{ObjectStore, Put};

/// Writers for an S3 endpoint: enough that a check-then-write store lets several win.
pub const S3_WRITERS: usize = 16;
/// Writers for a directory: enough to show that the file system knows hard links. The kernel
/// promises that `link` is atomic.
pub const DIRECTORY_WRITERS: usize = 2;

/// Prefix of the probe's keys.
pub(crate) const PREFIX: &str = "probes/";

/// Races `writers` creates for one fresh key.
///
/// # Errors
/// [`ObjectError::NotConditional`] when not exactly one writer won or the object is not the
/// winner's; whatever the store reports when it cannot be asked.
pub async fn conditional_create(store: &Arc<dyn ObjectStore>, writers: usize) -> Result<(), ObjectError> {
    let key = format!("{PREFIX}{:032x}", rand::random::<u128>());
    let verdict = race(store, &key, writers).await;
    // A leftover probe harms nobody, and the right to delete is not needed to run.
    if let Err(error) = store.delete(&key).await {
        tracing::warn!(%error, key, "the start-up probe could not be removed");
    }
    verdict
}

async fn race(store: &Arc<dyn ObjectStore>, key: &str, writers: usize) -> Result<(), ObjectError> {
    let start = Arc::new(Barrier::new(writers));
    let mut contenders = JoinSet::new();
    for writer in 0..writers {
        let (store, start, key) = (Arc::clone(store), Arc::clone(&start), key.to_owned());
        contenders.spawn(async move {
            start.wait().await;
            (writer, store.put_if_absent(&key, bytes_of(writer)).await)
        });
    }
    let mut winners = Vec::new();
    for (writer, result) in contenders.join_all().await {
        if result? == Put::Created {
            winners.push(writer);
        }
    }
    let refuse = |created| ObjectError::NotConditional { store: store.describe(), created, writers };
    let [winner] = winners[..] else { return Err(refuse(winners.len())) };
    if store.get(key).await? != Some(bytes_of(winner))
        || store.put_if_absent(key, bytes_of(writers)).await? != Put::Exists
    {
        return Err(refuse(winners.len() + 1));
    }
    Ok(())
}

fn bytes_of(writer: usize) -> Vec<u8> {
    format!("writer {writer}").into_bytes()
}

#[cfg(test)]
mod tests;
