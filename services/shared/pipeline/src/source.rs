//! What a document says: its text, inline or fetched by reference, verified.

use std::borrow::Cow;

use precis_objects::{ObjectStore, claim_check};
use precis_schemas::Document;

use crate::PipelineError;

/// Largest text that is summarised, bytes: about 3 million words. The bound is for memory, since a
/// worker holds the texts of all documents in process.
pub const MAX_TEXT_BYTES: u64 = 16 * 1024 * 1024;

/// The document's text.
///
/// # Errors
/// `body_missing` (neither inline nor by reference, or the object is gone), `body_too_large`,
/// `body_digest_mismatch`, `not_utf8`; an unavailable store is a dependency error.
pub async fn text_of<'a>(
    tenant: &str,
    document: &'a Document,
    store: &dyn ObjectStore,
) -> Result<Cow<'a, str>, PipelineError> {
    match (&document.text, &document.body) {
        (Some(text), None) => Ok(Cow::Borrowed(text)),
        (None, Some(reference)) => {
            let bytes = claim_check::fetch_body(store, tenant, reference, MAX_TEXT_BYTES).await?;
            String::from_utf8(bytes).map(Cow::Owned).map_err(|error| {
                PipelineError::rejected(
                    "not_utf8",
                    format!("the body is not UTF-8 at byte {}", error.utf8_error().valid_up_to()),
                )
            })
        }
        (None, None) => {
            Err(PipelineError::rejected("body_missing", "the document has neither `text` nor `body`; set one"))
        }
        (Some(_), Some(_)) => {
            Err(PipelineError::rejected("body_ambiguous", "the document has both `text` and `body`; set one"))
        }
    }
}

/// Number of words as people count them: runs between white space that hold a letter or digit.
pub fn words(text: &str) -> usize {
    text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count()
}
