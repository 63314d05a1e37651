//! A publisher's record, read as far as its tenant and identity.

use precis_flow::Delivery;
use precis_pipeline::settle::Claim;
use precis_pipeline::{HoldsText, Identity, PipelineError, identity, text_budget, topics};
use precis_schemas::{Document, codec};

use crate::validate;

/// Largest value of a `documents` record, bytes.
const MAX_VALUE_BYTES: usize = topics::MAX_DOCUMENT_RECORD_BYTES as usize;

/// A document whose tenant and identity are known.
#[derive(Debug)]
pub(crate) struct Request {
    /// The publisher's record.
    pub(crate) document: Document,
    /// The identity, origin and digest under which the document is settled.
    pub(crate) claim: Claim,
    /// Length of the record's value.
    value_bytes: u64,
}

impl Request {
    /// Reads a record of a `documents` topic, or a copy of one on `returns`.
    ///
    /// # Errors
    /// `empty_record`, `record_too_large`, the codec's codes, `tenant_invalid`, `tenant_mismatch`,
    /// `document_id_invalid`. A record that fails here has no identity to settle, so it ends as a
    /// dead letter.
    pub(crate) fn read(delivery: &Delivery) -> Result<Self, PipelineError> {
        let record = &delivery.record;
        let origin = identity::origin_of(record);
        let tenant = tenant(&origin.topic)?.to_owned();
        let value = record.value.as_deref().ok_or_else(|| {
            PipelineError::rejected("empty_record", "the record has no value; a document cannot be deleted this way")
        })?;
        // The topic's own limit counts compressed batches: a record within it may be a hundred
        // times as large uncompressed, too large for any record that has to carry it.
        if value.len() > MAX_VALUE_BYTES {
            return Err(PipelineError::rejected(
                "record_too_large",
                format!(
                    "the record has {} bytes uncompressed, the limit is {MAX_VALUE_BYTES}; send the text by reference",
                    value.len()
                ),
            ));
        }
        let document: Document =
            codec::decode(value).map_err(|error| PipelineError::rejected(error.code(), error.to_string()))?;
        if document.tenant.as_deref().is_some_and(|named| named != tenant) {
            return Err(PipelineError::rejected(
                "tenant_mismatch",
                "the document names another tenant than its topic; leave the field out or publish to the tenant's own topic",
            ));
        }
        validate::identity(&document)?;
        let claim = Claim {
            identity: Identity { tenant, document_id: document.document_id.clone(), revision: document.revision },
            origin,
            request_digest: identity::request_digest(&document),
            replay: identity::is_replay(record),
        };
        Ok(Self { document, claim, value_bytes: value.len() as u64 })
    }
}

impl Request {
    /// Drops what only the document's content needs: neither waiting nor assigning does.
    pub(crate) fn drop_text(&mut self) {
        let Document { text, reference, title, instruction, subject_ids, .. } = &mut self.document;
        (*text, *reference, *title, *instruction) = (None, None, None, None);
        *subject_ids = Vec::new();
    }
}

impl HoldsText for Request {
    fn tenant(&self) -> &str {
        &self.claim.identity.tenant
    }

    /// The decoded copy of the record, and the text that it refers to.
    fn held_bytes(&self) -> u64 {
        self.value_bytes.saturating_add(text_budget::referred_bytes(&self.document))
    }
}

/// The tenant that owns a `documents` topic.
pub(crate) fn tenant(topic: &str) -> Result<&str, PipelineError> {
    topics::tenant_of(topic).filter(|tenant| topics::is_valid_name(tenant)).ok_or_else(|| {
        PipelineError::rejected(
            "tenant_invalid",
            "no documents topic that the record comes from gives a tenant; use documents. and 1 to 64 of a-z, 0-9, - and _",
        )
    })
}

#[cfg(test)]
mod tests;
