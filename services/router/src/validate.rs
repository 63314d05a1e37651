//! The rules for a document's fields and text. Pure; the first violation is the result.
//!
//! | what | limit | code |
//! | --- | --- | --- |
//! | document id | 1 to 512 bytes, no control characters | `document_id_invalid` (dead letter only) |
//! | revision | 0 or more | `revision_negative` |
//! | purpose | production; the others are Précis' own | `purpose_not_allowed` |
//! | content type | `text/plain` or `text/markdown`, UTF-8 | `content_type_unsupported` |
//! | submitted at, deadline | years 1 to 9999 | `time_out_of_range` |
//! | text, body | exactly one of them | `body_missing`, `body_ambiguous` |
//! | requested length | 5 words to the policy's `max_summary_words` | `max_words_out_of_range` |
//! | title, instruction | 1,000 and 4,000 bytes | `title_too_long`, `instruction_too_long` |
//! | other labels | 256 bytes each, 100 subjects | `label_too_long`, `too_many_subjects` |
//! | title, instruction, other labels | no control characters; in an instruction, line breaks and tabs | `label_control_characters` |
//! | language tags | letters, digits and hyphens | `language_invalid` |
//! | text | the policy's `max_text_bytes` | `text_too_large` |
//! | text | at least one letter or digit | `text_empty` |
//! | text | no control characters but tabs, line and page breaks | `control_characters` |

use precis_pipeline::PipelineError;
pub use precis_pipeline::identity::MAX_DOCUMENT_ID_BYTES;
use precis_pipeline::settle::VALID_TIMESTAMPS;
use precis_policy::Limits;
use precis_schemas::{Document, Purpose};

/// Longest title, bytes.
pub const MAX_TITLE_BYTES: usize = 1_000;
/// Longest instruction, bytes: it is repeated in every prompt of the document.
pub const MAX_INSTRUCTION_BYTES: usize = 4_000;
/// Longest of the other labels, bytes: document type, content type, residency, language tags,
/// subjects.
pub const MAX_LABEL_BYTES: usize = 256;
/// Most subjects of one document.
pub const MAX_SUBJECTS: usize = 100;
/// Shortest summary that may be requested, words.
pub const MIN_SUMMARY_WORDS: i32 = 5;

/// Nothing, or the first violation.
pub type Verdict = Result<(), PipelineError>;

/// Checks the options for every summary against a policy's limits, before there is a document.
///
/// # Errors
/// `rejected`, with the code and the text with which each document would end.
pub fn check_options(options: &Document, limits: &Limits) -> Verdict {
    length(options, limits)?;
    labels(options)
}

/// Checks the document id: without a valid one the document cannot be told from others.
pub(crate) fn identity(document: &Document) -> Verdict {
    let id = &document.document_id;
    if id.is_empty() || id.len() > MAX_DOCUMENT_ID_BYTES || id.contains(char::is_control) {
        return fault(
            "document_id_invalid",
            format!(
                "the document id has {} bytes; use 1 to {MAX_DOCUMENT_ID_BYTES}, without control characters",
                id.len()
            ),
        );
    }
    Ok(())
}

/// Checks whether the request can be served, before its text is read.
pub(crate) fn request(document: &Document, limits: &Limits) -> Verdict {
    if document.revision < 0 {
        return fault(
            "revision_negative",
            format!("revision {} is below 0; count revisions from 0", document.revision),
        );
    }
    if document.purpose != Purpose::Production {
        return fault(
            "purpose_not_allowed",
            "publishers' documents are for production; shadow, evaluation and canary runs are Précis' own",
        );
    }
    if [Some(document.submitted_at), document.deadline]
        .into_iter()
        .flatten()
        .any(|time| !VALID_TIMESTAMPS.contains(&time))
    {
        return fault(
            "time_out_of_range",
            "submitted_at or deadline lies outside of the years 1 to 9999; they count milliseconds since 1970",
        );
    }
    content_type(&document.content_type)?;
    match (&document.text, &document.body) {
        (None, None) => {
            return fault("body_missing", "the document has neither `text` nor `body`; set one");
        }
        (Some(_), Some(_)) => {
            return fault("body_ambiguous", "the document has both `text` and `body`; set one");
        }
        // A negative size is a fault of the reference, reported when the reference is followed.
        (None, Some(body)) => size(u64::try_from(body.size_bytes).unwrap_or(0), limits)?,
        (Some(text), None) => size(text.len() as u64, limits)?,
    }
    length(document, limits)?;
    labels(document)
}

fn length(document: &Document, limits: &Limits) -> Verdict {
    let longest = i32::try_from(limits.max_summary_words).unwrap_or(i32::MAX);
    if let Some(words) = document.max_words
        && !(MIN_SUMMARY_WORDS..=longest).contains(&words)
    {
        return fault(
            "max_words_out_of_range",
            format!("a summary of {words} words was asked for; ask for {MIN_SUMMARY_WORDS} to {longest}"),
        );
    }
    Ok(())
}

/// Checks whether there is something to summarise.
pub(crate) fn text(text: &str, limits: &Limits) -> Verdict {
    size(text.len() as u64, limits)?;
    if !text.contains(char::is_alphanumeric) {
        return fault("text_empty", "the text has no letter or digit");
    }
    if text.bytes().fold(false, |found, byte| found | may_be_forbidden(byte))
        && let Some((at, character)) = text.char_indices().find(|(_, character)| is_forbidden(*character))
    {
        return fault(
            "control_characters",
            format!(
                "the text has the control character U+{:04X} at byte {at}; send plain text, not a binary format",
                u32::from(character)
            ),
        );
    }
    Ok(())
}

fn content_type(content_type: &str) -> Verdict {
    let mut parts = content_type.split(';').map(|part| part.trim().to_ascii_lowercase());
    let known = matches!(parts.next().as_deref(), Some("text/plain" | "text/markdown"));
    let utf8 = parts
        .filter_map(|parameter| parameter.strip_prefix("charset=").map(|charset| charset.trim_matches('"').to_owned()))
        .all(|charset| matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii"));
    if known && utf8 {
        return Ok(());
    }
    fault("content_type_unsupported", "the content type is not supported; send text/plain or text/markdown in UTF-8")
}

fn labels(document: &Document) -> Verdict {
    let bytes = |value: &Option<String>| value.as_ref().map_or(0, String::len);
    if bytes(&document.title) > MAX_TITLE_BYTES {
        return fault("title_too_long", format!("the title has more than {MAX_TITLE_BYTES} bytes; shorten it"));
    }
    if bytes(&document.instruction) > MAX_INSTRUCTION_BYTES {
        return fault(
            "instruction_too_long",
            format!("the instruction has more than {MAX_INSTRUCTION_BYTES} bytes; shorten it"),
        );
    }
    if document.subject_ids.len() > MAX_SUBJECTS {
        return fault("too_many_subjects", format!("the document names more than {MAX_SUBJECTS} subjects"));
    }
    let named = [("residency", &document.residency), ("language", &document.language)]
        .into_iter()
        .chain([("output_language", &document.output_language)])
        .filter_map(|(name, value)| value.as_deref().map(|value| (name, value)));
    let subjects = document.subject_ids.iter().map(|subject| ("subject_ids", subject.as_str()));
    for (name, value) in named
        .chain(subjects)
        .chain([("document_type", document.document_type.as_str()), ("content_type", document.content_type.as_str())])
    {
        if value.len() > MAX_LABEL_BYTES {
            return fault("label_too_long", format!("{name} has more than {MAX_LABEL_BYTES} bytes; shorten it"));
        }
        on_one_line(name, value)?;
    }
    document.title.iter().try_for_each(|title| on_one_line("title", title))?;
    if document.instruction.as_ref().is_some_and(|instruction| instruction.contains(is_forbidden)) {
        return fault(
            "label_control_characters",
            "instruction has control characters other than line breaks and tabs; leave them out",
        );
    }
    for tag in [&document.language, &document.output_language].into_iter().flatten() {
        if tag.is_empty() || !tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return fault(
                "language_invalid",
                "a language tag has other characters than letters, digits and hyphens; write it as fr or fr-CA",
            );
        }
    }
    Ok(())
}

/// Labels are shown on terminals and pages, in log lines and tables.
fn on_one_line(name: &str, value: &str) -> Verdict {
    if value.contains(char::is_control) {
        return fault("label_control_characters", format!("{name} has control characters; leave them out"));
    }
    Ok(())
}

fn size(bytes: u64, limits: &Limits) -> Verdict {
    if bytes > limits.max_text_bytes {
        return fault(
            "text_too_large",
            format!("the text has {bytes} bytes, the policy allows {}; split the document", limits.max_text_bytes),
        );
    }
    Ok(())
}

/// Tabs, line breaks and page breaks are text; any other control character suggests a binary
/// format.
fn is_forbidden(character: char) -> bool {
    character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}')
}

/// Whether a forbidden character may begin with this byte in UTF-8. Nearly all texts pass by their
/// bytes alone, many of which are tested at once.
fn may_be_forbidden(byte: u8) -> bool {
    matches!(byte, 0..=8 | 14..=31 | 0x7F | 0xC2)
}

fn fault(code: &'static str, message: impl Into<String>) -> Verdict {
    Err(PipelineError::rejected(code, message))
}

#[cfg(test)]
mod tests;
