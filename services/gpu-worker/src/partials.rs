//! The engine's partial answers, stored in the object store.

use async_trait::async_trait;
use precis_inference::{Partial, Partials};
use precis_pipeline::PartialAnswers;

/// Partial answers as JSON, each an object of its own.
#[derive(Debug)]
pub(crate) struct StoredPartials(pub(crate) PartialAnswers);

#[async_trait]
impl Partials for StoredPartials {
    async fn get(&self, number: u32) -> Option<Partial> {
        read(&self.0.get(number).await?)
    }

    async fn put(&self, number: u32, partial: &Partial) {
        match serde_json::to_vec(partial) {
            Ok(bytes) => self.0.put(number, bytes).await,
            Err(error) => tracing::warn!(%error, "a partial answer could not be stored"),
        }
    }
}

fn read(bytes: &[u8]) -> Option<Partial> {
    let read = serde_json::from_slice(bytes);
    read.inspect_err(|error| tracing::warn!(%error, "a stored partial answer cannot be read and is generated again"))
        .ok()
}

#[cfg(test)]
mod tests;
