//! Partial answers of a long document, kept until the whole answer is there.
//!
//! A long document takes minutes. When its worker dies on the way, the record is delivered again,
//! and its next worker goes on where the first one was: the keys hold the fingerprints of request
//! and answer and a number, nothing of a clock or a worker. Once the answer is stored, its partial
//! answers are removed. They save time and decide nothing, so no failure here fails a document.

use std::sync::Arc;

use precis_objects::{ObjectStore, keys};

/// Partial answers that are listed at once to be removed.
const PAGE_SIZE: usize = 256;

/// The partial answers of one answer. Clones are cheap and mean the same objects.
#[derive(Clone)]
pub struct PartialAnswers {
    store: Arc<dyn ObjectStore>,
    tenant: String,
    request_fingerprint: String,
    answer_fingerprint: String,
}

impl std::fmt::Debug for PartialAnswers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PartialAnswers").field("answer", &self.answer_fingerprint).finish_non_exhaustive()
    }
}

impl PartialAnswers {
    /// Those of this answer to this request.
    pub fn new(store: Arc<dyn ObjectStore>, tenant: &str, request_fingerprint: &str, answer_fingerprint: &str) -> Self {
        Self {
            store,
            tenant: tenant.to_owned(),
            request_fingerprint: request_fingerprint.to_owned(),
            answer_fingerprint: answer_fingerprint.to_owned(),
        }
    }

    /// The partial answer with this number, if it was kept.
    pub async fn get(&self, number: u32) -> Option<Vec<u8>> {
        let found = self.store.get(&self.key(number)).await;
        found.inspect_err(|error| tracing::warn!(%error, "a partial answer could not be read")).ok().flatten()
    }

    /// Keeps a partial answer; one that is there already stays.
    pub async fn put(&self, number: u32, bytes: Vec<u8>) {
        if let Err(error) = self.store.put_if_absent(&self.key(number), bytes).await {
            tracing::warn!(%error, "a partial answer could not be kept");
        }
    }

    /// Removes all of them.
    pub async fn clear(&self) {
        if let Err(error) = self.remove_all().await {
            tracing::warn!(%error, "partial answers of a finished answer were left behind");
        }
    }

    async fn remove_all(&self) -> Result<(), precis_objects::ObjectError> {
        let prefix = keys::partials_of(&self.tenant, &self.request_fingerprint, &self.answer_fingerprint);
        loop {
            let found = self.store.list(&prefix, PAGE_SIZE).await?;
            for object in &found {
                self.store.delete(&object.key).await?;
            }
            if found.len() < PAGE_SIZE {
                return Ok(());
            }
        }
    }

    fn key(&self, number: u32) -> String {
        keys::partial(&self.tenant, &self.request_fingerprint, &self.answer_fingerprint, number)
    }
}
