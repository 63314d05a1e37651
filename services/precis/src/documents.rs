//! The `Document` records that inputs and options become, under ids that are made of the request.
//!
//! **Ids.** The same text with the same options has the same id on every run, so that a second run
//! finds what is settled; a changed text or another option is another document. So an id is the
//! readable stem and a digest of the request: `report-3fa94c0e1b2d7788`. A publisher who states ids
//! keeps them.

use clap::Args;
use precis_pipeline::identity::{request_digest, sha256_hex};
use precis_pipeline::prompt::Prompt;
use precis_schemas::{Document, Format, Sensitivity};

use crate::inputs::Input;

/// Hex digits of the digest in an id: 64 bits, so that ids of one tenant do not meet by chance.
const DIGEST_DIGITS: usize = 16;
/// Characters of the stem in an id; ids are shown in tables and written into file names.
const STEM_CHARACTERS: usize = 80;

/// Options of a request: what every summary shall be like.
#[derive(Debug, Clone, Default, Args)]
pub struct RequestOptions {
    /// The most words a summary may have
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(5..=5000))]
    pub max_words: Option<i32>,

    /// Language of the summaries, such as en or fr [default: each document's own]
    #[arg(long, value_name = "TAG", value_parser = language_tag)]
    pub language: Option<String>,

    /// What the summaries should attend to, in your words, instead of "summarize the text"
    #[arg(long, value_name = "TEXT")]
    pub instruction: Option<String>,

    /// Summaries as lists of points instead of sentences
    #[arg(long)]
    pub bullets: bool,

    /// Kind of document; the policy may have stricter checks for it
    #[arg(long = "type", value_name = "NAME", default_value = "", hide_default_value = true)]
    pub document_type: String,

    /// How far the texts may travel; without a label they never leave your machines
    #[arg(long, value_name = "LABEL", value_enum)]
    pub sensitivity: Option<Label>,
}

/// [`Sensitivity`] as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Label {
    /// May be published anyway
    Public,
    /// For the tenant's own people
    Internal,
    /// For those who need it
    Confidential,
    /// Must not leave the network
    Restricted,
}

impl From<Label> for Sensitivity {
    fn from(label: Label) -> Self {
        match label {
            Label::Public => Self::Public,
            Label::Internal => Self::Internal,
            Label::Confidential => Self::Confidential,
            Label::Restricted => Self::Restricted,
        }
    }
}

/// Accepts a text in the form of a BCP 47 tag: `en`, `pt-BR`.
fn language_tag(text: &str) -> Result<String, String> {
    let mut parts = text.split('-');
    let primary = parts.next().unwrap_or_default();
    let fits = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if fits(primary, 2..=3)
        && primary.bytes().all(|byte| byte.is_ascii_lowercase())
        && parts.all(|part| fits(part, 1..=8))
    {
        Ok(text.to_owned())
    } else {
        Err("is no language tag; write for example en, fr or pt-BR".to_owned())
    }
}

/// The record for one input, under a derived id.
///
/// `answering` names what else decides the answer and is not part of the request: on one machine
/// the model and the policy.
pub fn document(input: &Input, options: &RequestOptions, answering: &[&str], now_ms: i64) -> Document {
    let mut document = Document {
        submitted_at: now_ms,
        language: input.language.clone(),
        title: input.title.clone(),
        reference: input.reference.clone(),
        text: Some(input.text.clone()),
        ..requested(options)
    };
    derive_id(&mut document, &input.stem, answering);
    document
}

/// The request that all documents of a run share, without text and id.
pub fn requested(options: &RequestOptions) -> Document {
    Document {
        sensitivity: options.sensitivity.map(Sensitivity::from),
        document_type: options.document_type.clone(),
        instruction: options.instruction.clone(),
        max_words: options.max_words,
        output_language: options.language.clone(),
        format: if options.bullets { Format::Bullets } else { Format::Paragraph },
        ..Document::default()
    }
}

/// Gives a document the id of its request. Everything else must be set before.
pub fn derive_id(document: &mut Document, stem: &str, answering: &[&str]) {
    let mut parts = vec![request_digest(document)];
    parts.extend(answering.iter().map(|part| sha256_hex(part.as_bytes())));
    let digest = sha256_hex(parts.concat().as_bytes());
    let stem: String = stem.trim().chars().filter(|character| !character.is_control()).take(STEM_CHARACTERS).collect();
    document.document_id = format!("{stem}-{}", &digest[..DIGEST_DIGITS]);
}

/// The digest that a prompt adds to an id: after a release with other prompts, documents are
/// summarised anew.
pub fn prompt_digest(options: &RequestOptions) -> String {
    let document = Document {
        instruction: options.instruction.clone(),
        max_words: options.max_words,
        format: if options.bullets { Format::Bullets } else { Format::Paragraph },
        ..Document::default()
    };
    Prompt::for_document(&document, options.language.as_deref()).digest
}

#[cfg(test)]
mod tests;
