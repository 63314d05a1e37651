//! Whether routed work says of its document what the document says itself.
//!
//! A proof shows who wrote a record, and not that it is right. And whatever an answer is looked up
//! or stored under must be what was really asked: else one record poisons the cache for another.

use precis_schemas::{Document, RoutedDocument, codes};

use crate::{PipelineError, identity, text_work};

/// Refuses work whose identity or request digest is not its document's.
pub(super) fn check_document(routed: &RoutedDocument, document: &Document) -> Result<(), PipelineError> {
    let same_tenant = document.tenant.as_ref().is_none_or(|tenant| *tenant == routed.tenant);
    if !same_tenant || document.document_id != routed.document_id || document.revision != routed.revision {
        return Err(mismatch("another identity than its document"));
    }
    if routed.request_digest != identity::request_digest(document) {
        return Err(mismatch("another request digest than that of its document"));
    }
    Ok(())
}

/// Refuses work whose request fingerprint is not that of its document and text.
pub(super) async fn check_text(routed: &RoutedDocument, document: &Document, text: &str) -> Result<(), PipelineError> {
    let digest = text_work::on_text(text, 0, identity::text_digest).await?;
    if routed.request_fingerprint != identity::fingerprint_of(&routed.tenant, document, &digest) {
        return Err(mismatch("another request fingerprint than that of its text"));
    }
    Ok(())
}

fn mismatch(what: &str) -> PipelineError {
    PipelineError::rejected(codes::REQUEST_MISMATCH, format!("the routed work names {what}"))
}
