//! A `documents` record, read as far as its tenant and identity.

use precis_flow::{Delivery, Record};
use precis_pipeline::settle::Claim;
use precis_pipeline::{Identity, PipelineError, identity, topics};
use precis_schemas::{Document, Origin, codec};

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
}

impl Request {
    /// Reads a record of a `documents` topic.
    ///
    /// # Errors
    /// `empty_record`, `record_too_large`, the codec's codes, `tenant_invalid`, `tenant_mismatch`,
    /// `document_id_invalid`. A record that fails here has no identity to settle, so it ends as a
    /// dead letter.
    pub(crate) fn read(delivery: &Delivery) -> Result<Self, PipelineError> {
        let record = &delivery.record;
        let tenant = tenant(&record.topic)?;
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
            identity: Identity {
                tenant: tenant.to_owned(),
                document_id: document.document_id.clone(),
                revision: document.revision,
            },
            origin: origin(record, tenant),
            request_digest: identity::request_digest(&document),
            replay: identity::is_replay(record),
        };
        Ok(Self { document, claim })
    }
}

/// The tenant that owns a `documents` topic.
pub(crate) fn tenant(topic: &str) -> Result<&str, PipelineError> {
    topics::tenant_of(topic).filter(|tenant| topics::is_valid_name(tenant)).ok_or_else(|| {
        PipelineError::rejected(
            "tenant_invalid",
            "the topic's name gives no tenant; use documents. and 1 to 64 of a-z, 0-9, - and _",
        )
    })
}

/// The record's first place in the log. Publishers can write the header that says so, therefore it
/// counts only within the tenant's own topic.
fn origin(record: &Record, tenant: &str) -> Origin {
    let origin = identity::origin_of(record);
    if topics::tenant_of(&origin.topic) == Some(tenant) {
        return origin;
    }
    Origin { topic: record.topic.to_string(), partition: record.partition, offset: record.offset }
}

#[cfg(test)]
mod tests;
