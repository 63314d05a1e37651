//! Who a document is and when two requests are the same.
//!
//! - **Identity**: (tenant, document id, revision). The tenant is the topic's.
//! - **Origin**: the first `documents` record that carried it. Same origin = redelivery.
//! - **Request digest**: everything that decides what is asked. Other origin with the same digest =
//!   the publisher's repeat; another digest under the same identity = conflict. Time of submission,
//!   deadline and priority are not part of the digest.
//! - **Request fingerprint**: the key of the exact cache: equal text (normalised) with equal
//!   options, whatever the document's id, never across tenants or residencies.
//! - **Answer fingerprint**: everything on the answering side.
//!
//! Each is SHA-256 over length-prefixed fields behind a name and a version, in lower-case hex, so
//! that no two field lists collide.

use std::borrow::Cow;

use precis_base::digest::hex;
use precis_flow::Record;
use precis_schemas::{Document, ModelIdentity, Origin, RoutedDocument, Sensitivity, codes};
use sha2::{Digest, Sha256};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::{PipelineError, topics};

/// Header of a dead letter that an operator replayed.
pub const REPLAY_HEADER: &str = "precis-replay";

/// Longest document id, bytes: the id is part of a record's key and of every record in the ledger.
pub const MAX_DOCUMENT_ID_BYTES: usize = 512;

/// The name of a document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Owner; from the topic.
    pub tenant: String,
    /// The publisher's id.
    pub document_id: String,
    /// Readers keep the highest.
    pub revision: i64,
}

impl Identity {
    /// Whether this can be a document that the router let in: whoever may write to a topic of work
    /// may write any name.
    ///
    /// # Errors
    /// `tenant_invalid`, `document_id_invalid`.
    pub fn check(&self) -> Result<(), PipelineError> {
        if !topics::is_valid_name(&self.tenant) {
            return Err(PipelineError::rejected(
                codes::TENANT_INVALID,
                "the record's tenant is no name; use 1 to 64 of a-z, 0-9, - and _",
            ));
        }
        if self.document_id.is_empty() || self.document_id.len() > MAX_DOCUMENT_ID_BYTES {
            return Err(PipelineError::rejected(
                codes::DOCUMENT_ID_INVALID,
                format!("the record's document id is empty or has more than {MAX_DOCUMENT_ID_BYTES} bytes"),
            ));
        }
        Ok(())
    }

    /// That of a routed document.
    pub fn of_routed(routed: &RoutedDocument) -> Self {
        let RoutedDocument { tenant, document_id, revision, .. } = routed;
        Self { tenant: tenant.clone(), document_id: document_id.clone(), revision: *revision }
    }

    /// The key under which outcomes of one document are ordered on `summaries`.
    pub fn record_key(&self) -> Vec<u8> {
        format!("{}/{}", self.tenant, self.document_id).into_bytes()
    }
}

/// The first position of a `documents` record: the same for a redelivered, a re-enqueued and a
/// replayed copy. A record that others wrote is its own first copy, whatever its headers say.
pub fn origin_of(record: &Record) -> Origin {
    let position = if topics::is_internal(&record.topic) { record.claimed_origin() } else { record.position() };
    Origin { topic: position.topic.to_string(), partition: position.partition, offset: position.offset }
}

/// Whether an operator replayed this record from the dead letters.
pub fn is_replay(record: &Record) -> bool {
    topics::is_internal(&record.topic) && record.headers.get(REPLAY_HEADER).is_some()
}

/// An origin for people: `topic/partition/offset`.
pub fn format_origin(origin: &Origin) -> String {
    format!("{}/{}/{}", origin.topic, origin.partition, origin.offset)
}

/// Digest of what a document asks for; the module's text says what is left out.
pub fn request_digest(document: &Document) -> String {
    let body = match (&document.text, &document.body) {
        (Some(text), _) => sha256_hex(text.as_bytes()),
        (None, Some(reference)) => reference.sha256.to_lowercase(),
        (None, None) => String::new(),
    };
    let mut fields = FieldHasher::new("precis request digest 1");
    fields
        .text(&body)
        .text(&document.document_type)
        .text(&document.content_type)
        .option(document.sensitivity.map(Sensitivity::as_str))
        .option(document.residency.as_deref())
        .option(document.language.as_deref())
        .option(document.title.as_deref())
        .text(if document.critical { "critical" } else { "" })
        .option(document.reference.as_deref());
    request_options(&mut fields, document);
    fields.finish()
}

/// Digest of a text as the exact cache compares texts: normalised.
pub fn text_digest(text: &str) -> String {
    sha256_hex(normalise(text).as_bytes())
}

/// Key of the exact cache for this text and these options of one tenant.
pub fn request_fingerprint(tenant: &str, document: &Document, text: &str) -> String {
    fingerprint_of(tenant, document, &text_digest(text))
}

/// The [`request_fingerprint`] for the text with this [`text_digest`].
pub fn fingerprint_of(tenant: &str, document: &Document, text_digest: &str) -> String {
    let mut fields = FieldHasher::new("precis request fingerprint 1");
    fields
        .text(tenant)
        .option(document.residency.as_deref())
        .text(&document.document_type)
        .option(document.language.as_deref())
        .text(text_digest);
    request_options(&mut fields, document);
    fields.finish()
}

/// Key of one way to answer: model, revision, quantisation, adapter, prompt and decoding
/// parameters.
pub fn answer_fingerprint(model: &ModelIdentity, decoding: &str) -> String {
    let mut fields = FieldHasher::new("precis answer fingerprint 1");
    fields
        .text(&model.provider)
        .text(&model.name)
        .text(&model.revision)
        .text(&model.quantisation)
        .option(model.adapter.as_deref())
        .text(&model.prompt_digest)
        .text(decoding);
    fields.finish()
}

pub use precis_base::digest::sha256_hex;

/// The text without what two copies may differ in: Unicode composition, line ends, and white space
/// at line ends or around the whole.
fn normalise(text: &str) -> String {
    let composed: Cow<'_, str> = if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        text.into()
    } else {
        text.nfc().collect::<String>().into()
    };
    // Each line gets an end, the last one too.
    let mut out = String::with_capacity(composed.len() + 1);
    for line in composed.trim().lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn request_options(fields: &mut FieldHasher, document: &Document) {
    fields
        .option(document.instruction.as_deref())
        .option(document.max_words.map(|words| words.to_string()).as_deref())
        .option(document.output_language.as_deref())
        .text(document.format.as_str());
}

/// A hash over fields: other borders, or an absent field for an empty one, give another hash.
pub(crate) struct FieldHasher(Sha256);

impl FieldHasher {
    pub(crate) fn new(domain: &str) -> Self {
        let mut fields = Self(Sha256::new());
        fields.text(domain);
        fields
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.0.update((value.len() as u64).to_be_bytes());
        self.0.update(value);
        self
    }

    fn option(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            // No length is u64::MAX, so absent differs from every present value.
            None => self.0.update(u64::MAX.to_be_bytes()),
            Some(value) => {
                self.text(value);
            }
        }
        self
    }

    pub(crate) fn finish(self) -> String {
        hex(&self.digest())
    }

    pub(crate) fn digest(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests;
