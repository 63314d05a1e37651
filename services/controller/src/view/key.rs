//! What series are told apart by.

use precis_schemas::{Evaluation, ModelIdentity, Outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an outcome without a tier, model, prompt or type has in its place.
const NONE: &str = "none";
/// The language of an outcome that names none.
const UNKNOWN: &str = "unknown";

/// One of the things that series are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// The tier whose answer it is.
    Tier,
    /// The model that answered.
    Model,
    /// The prompt that it was asked.
    Prompt,
    /// The document's type.
    Type,
    /// The summary's language.
    Language,
}

impl Axis {
    /// All, in the order of columns.
    pub const ALL: [Self; 5] = [Self::Tier, Self::Model, Self::Prompt, Self::Type, Self::Language];

    /// The name in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tier => "tier",
            Self::Model => "model",
            Self::Prompt => "prompt",
            Self::Type => "type",
            Self::Language => "language",
        }
    }
}

/// The key of a series, as outcomes name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesKey {
    /// The tier; `none` where no tier answered.
    pub tier: String,
    /// Provider, name and version of the model: `openai/gpt-5@2026-08-07`; `none` without an
    /// answer.
    pub model: String,
    /// Digest of the prompt; `none` for extracts, which no prompt asked for.
    pub prompt: String,
    /// The document's type; `none` without one.
    pub document_type: String,
    /// The language; `unknown` without one.
    pub language: String,
}

impl SeriesKey {
    /// The key of an outcome.
    pub fn of(outcome: &Outcome) -> Self {
        let Outcome { tier, model, document_type, language, .. } = outcome;
        Self::new(tier.as_deref(), model.as_ref(), document_type, language.as_deref())
    }

    /// The key of the outcome that an evaluation is about.
    pub fn of_evaluation(evaluation: &Evaluation) -> Self {
        let Evaluation { tier, model, document_type, language, .. } = evaluation;
        Self::new(tier.as_deref(), model.as_ref(), document_type, language.as_deref())
    }

    fn new(tier: Option<&str>, model: Option<&ModelIdentity>, document_type: &str, language: Option<&str>) -> Self {
        let or = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
        Self {
            tier: or(tier.unwrap_or_default(), NONE),
            model: model.map_or_else(|| NONE.to_owned(), model_name),
            prompt: or(model.map_or("", |model| model.prompt_digest.as_str()), NONE),
            document_type: or(document_type, NONE),
            language: or(language.unwrap_or_default(), UNKNOWN),
        }
    }

    /// Its value on an axis.
    pub fn value(&self, axis: Axis) -> &str {
        match axis {
            Axis::Tier => &self.tier,
            Axis::Model => &self.model,
            Axis::Prompt => &self.prompt,
            Axis::Type => &self.document_type,
            Axis::Language => &self.language,
        }
    }

    /// Who runs the model.
    pub fn provider(&self) -> &str {
        self.model.split('/').next().unwrap_or_default()
    }
}

/// Everything that identifies a model, but for its prompt.
pub(super) fn model_name(model: &ModelIdentity) -> String {
    let mut name = format!("{}/{}", model.provider, model.name);
    for (before, part) in [
        ("+", model.adapter.as_deref().unwrap_or_default()),
        (" ", model.quantisation.as_str()),
        ("@", model.revision.as_str()),
    ] {
        if !part.is_empty() {
            name.push_str(before);
            name.push_str(part);
        }
    }
    name
}
