//! Documents published to the log, as any Kafka client may do it.

use std::sync::Arc;

use anyhow::Context as _;
use precis_flow::{Log, Output as Record, Position};
use precis_objects::{ObjectStore, claim_check};
use precis_pipeline::topics;
use precis_schemas::Document;

use crate::environment::Environment;

/// Documents that are published at once.
pub const BATCH_DOCUMENTS: usize = 64;
/// Bytes of text up to which a text travels inside its record; a longer one goes to the store
/// first. A record may have 1 MiB, ids and headers included.
const MAX_INLINE_BYTES: usize = 768 * 1024;

/// Publishes one tenant's documents. The store is opened for the first long text, so that short
/// texts need none.
pub struct Publisher<'a> {
    environment: &'a Environment,
    log: &'a dyn Log,
    tenant: &'a str,
    store: Option<Arc<dyn ObjectStore>>,
}

impl<'a> Publisher<'a> {
    /// For documents of this tenant; `store`: the object store, where it is open already.
    pub fn new(
        environment: &'a Environment,
        log: &'a dyn Log,
        tenant: &'a str,
        store: Option<Arc<dyn ObjectStore>>,
    ) -> Self {
        Self { environment, log, tenant, store }
    }

    /// Publishes documents, at most [`BATCH_DOCUMENTS`] of them, and returns their positions in the
    /// same order. Texts that are too long for a record are moved into the store.
    ///
    /// # Errors
    /// The log's and the store's.
    pub async fn publish(&mut self, documents: &mut [Document]) -> anyhow::Result<Vec<Position>> {
        let mut records = Vec::with_capacity(documents.len());
        for document in documents {
            self.check_in(document).await?;
            records.push(record(self.tenant, document)?);
        }
        self.log.publish(records).await.context("the documents were not published")
    }

    /// Moves the text of a document into the store, if it is too long for a record.
    async fn check_in(&mut self, document: &mut Document) -> anyhow::Result<()> {
        let Some(text) = document.text.take_if(|text| text.len() > MAX_INLINE_BYTES) else { return Ok(()) };
        let store = match &self.store {
            Some(store) => store,
            None => self.store.insert(self.environment.store().await?),
        };
        let (id, revision) = (&document.document_id, document.revision);
        let body = claim_check::put_body(&**store, self.tenant, id, revision, text.into_bytes()).await;
        document.body = Some(body.context("a large text could not be stored")?);
        Ok(())
    }
}

/// The record that any Kafka client would write.
fn record(tenant: &str, document: &Document) -> anyhow::Result<Record> {
    Ok(Record::to(topics::documents(tenant)).key(document.document_id.as_bytes()).record(document)?)
}
