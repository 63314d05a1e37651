//! The document that a publisher writes, and the small types that describe it.

use serde::{Deserialize, Serialize};

use crate::{AvroRecord, Millis};

/// A document to be summarised, as its publisher writes it to `documents.<tenant>`. Exactly one of
/// text and body is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The publisher's identifier of the document, unique within the tenant.
    pub document_id: String,
    /// Version of the document; a changed text needs a higher one. Readers of outcomes keep the
    /// highest.
    #[serde(default)]
    pub revision: i64,
    /// When the publisher submitted it, UTC.
    pub submitted_at: Millis,
    /// Owner. The topic decides; a value that disagrees with it is refused.
    #[serde(default)]
    pub tenant: Option<String>,
    /// When the summary loses its use, UTC; `None` for no deadline.
    #[serde(default)]
    pub deadline: Option<Millis>,
    /// Higher is served first; 0 is normal.
    #[serde(default)]
    pub priority: i32,
    /// How far the text may travel; `None` is treated as restricted.
    #[serde(default)]
    pub sensitivity: Option<Sensitivity>,
    /// Region that the text must not leave, such as eu; `None` for no rule.
    #[serde(default)]
    pub residency: Option<String>,
    /// Identifiers of the persons the text is about, for erasure.
    #[serde(default)]
    pub subject_ids: Vec<String>,
    /// Kind of document, such as contract or article; selects thresholds in the policy. Empty if
    /// unknown.
    #[serde(default)]
    pub document_type: String,
    /// Whether the summary feeds a critical decision; such outcomes are reviewed more often.
    #[serde(default)]
    pub critical: bool,
    /// Media type of text or body.
    #[serde(default = "plain_text")]
    pub content_type: String,
    /// Language as a BCP 47 tag of the text; `None` to detect it.
    #[serde(default)]
    pub language: Option<String>,
    /// Title of the document.
    #[serde(default)]
    pub title: Option<String>,
    /// The text itself, when it fits the message.
    #[serde(default)]
    pub text: Option<String>,
    /// Reference to the text, when it does not fit the message.
    #[serde(default)]
    pub body: Option<BodyReference>,
    /// What the summary should attend to, in the publisher's words.
    #[serde(default)]
    pub instruction: Option<String>,
    /// Upper bound on the summary's length in words; `None` for the policy's.
    #[serde(default)]
    pub max_words: Option<i32>,
    /// Language as a BCP 47 tag of the summary; `None` for the document's own.
    #[serde(default)]
    pub output_language: Option<String>,
    /// Shape of the summary.
    #[serde(default)]
    pub format: Format,
    /// A reference summary to measure against, where one exists.
    #[serde(default)]
    pub reference: Option<String>,
    /// Why the work is done.
    #[serde(default)]
    pub purpose: Purpose,
}

/// Reference to bytes that are too large for a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyReference {
    /// Key of the object in the object store.
    pub key: String,
    /// SHA-256 of the object's bytes, lower-case hexadecimal; verified on every read.
    pub sha256: String,
    /// Size of the object in bytes.
    pub size_bytes: i64,
}

/// How far a document's text may travel, from least to most restricted. A document without a label
/// is treated as restricted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    /// May be published anyway.
    Public,
    /// For the tenant's own people.
    Internal,
    /// For those who need it.
    Confidential,
    /// Must not leave the network.
    Restricted,
}

impl Sensitivity {
    /// The Avro symbol: also its name in metrics, policies and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Confidential => "confidential",
            Self::Restricted => "restricted",
        }
    }
}

/// The shape of a summary: flowing sentences, or a list of points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Flowing sentences.
    #[default]
    Paragraph,
    /// A list of points.
    Bullets,
}

impl Format {
    /// The Avro symbol: also its name in metrics, policies and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paragraph => "paragraph",
            Self::Bullets => "bullets",
        }
    }
}

/// Why the work is done. production settles the document; shadow, evaluation and canary do no
/// lookups and settle nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Settles the document.
    #[default]
    Production,
    /// Computed beside a cache hit, to measure false hits.
    Shadow,
    /// Has an evaluator model judge an answer.
    Evaluation,
    /// Tries a new model or prompt beside the one in force.
    Canary,
}

impl Purpose {
    /// The Avro symbol: also its name in metrics, policies and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Shadow => "shadow",
            Self::Evaluation => "evaluation",
            Self::Canary => "canary",
        }
    }
}

impl Document {
    /// A document of which only the identifier and the time are known; everything else is as its
    /// schema defaults it.
    pub fn new(document_id: impl Into<String>, submitted_at: Millis) -> Self {
        Self {
            document_id: document_id.into(),
            revision: 0,
            submitted_at,
            tenant: None,
            deadline: None,
            priority: 0,
            sensitivity: None,
            residency: None,
            subject_ids: Vec::new(),
            document_type: String::new(),
            critical: false,
            content_type: plain_text(),
            language: None,
            title: None,
            text: None,
            body: None,
            instruction: None,
            max_words: None,
            output_language: None,
            format: Format::default(),
            reference: None,
            purpose: Purpose::default(),
        }
    }
}

impl Default for Document {
    fn default() -> Self {
        Self::new(String::new(), 0)
    }
}

impl AvroRecord for Document {
    const NAME: &'static str = "document";
    const VERSION: u32 = 1;
}

fn plain_text() -> String {
    "text/plain".to_owned()
}
