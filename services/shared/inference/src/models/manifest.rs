//! The manifest: the known models, pinned to the byte.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grammar;
use super::source::Source;
use crate::error::EngineError;

/// The entries that ship with this build.
const BUILTIN: &str = include_str!("builtin.toml");

/// Name of the model that is used when none is named.
pub const DEFAULT_MODEL: &str = "smollm2-135m-instruct";

/// The families of models that an entry may name.
pub(super) const FAMILIES: [&str; 6] = ["llama", "mistral", "phi3", "qwen2", "qwen3", "smollm3"];

/// A list of models.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The models, by unique name.
    #[serde(default, rename = "model")]
    pub models: Vec<ModelEntry>,
}

/// One model, and the sources of its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// Unique name, used on the command line and in policies.
    pub name: String,
    /// Release of the weights.
    pub revision: String,
    /// Architecture family: `llama`, `mistral`, `phi3`, `qwen2`, `qwen3` or `smollm3`.
    pub family: String,
    /// File name under `models_dir/<name>/<revision>/`.
    pub file: String,
    /// SHA-256 of the file, in hex. A file with another digest is refused. An entry without one
    /// only says where the file is: nothing of it runs before the digest is pinned.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// Bytes of the file, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Licence of the weights, as an SPDX expression; `LicenseRef-…` where SPDX has no name for it.
    pub licence: String,
    /// Whether the project has run this file and looked at what it writes.
    #[serde(default)]
    pub tested: bool,
    /// What a user should know before the file is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// Tokens the model was trained to attend to.
    pub context: usize,
    /// Tokens of a document that the model reads well at once, at most, where that is less than the
    /// context; at least 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// How the weights are stored.
    pub quantisation: String,
    /// Source of the prompt template: `gguf` reads it from the file.
    #[serde(default = "gguf")]
    pub prompt_template: String,
    /// What was measured of its summaries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quality: Vec<Quality>,
    /// Places to get the file from, tried in order.
    pub sources: Vec<Source>,
}

/// What was measured of a model's summaries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// What was measured, on which documents.
    pub measure: String,
    /// What came out.
    pub result: String,
    /// The command that measures it again.
    pub command: String,
}

fn gguf() -> String {
    "gguf".to_owned()
}

impl Manifest {
    /// The models this build ships with.
    pub fn builtin() -> Self {
        Self::parse(BUILTIN).expect("the manifest in this crate is parsed by its own test")
    }

    /// Reads a manifest. The error names everything that is wrong with it.
    pub fn parse(toml: &str) -> Result<Self, EngineError> {
        let manifest: Self =
            toml::from_str(toml).map_err(|error| EngineError::BadManifest { reason: error.to_string() })?;
        let mut problems: Vec<String> = manifest.models.iter().flat_map(ModelEntry::problems).collect();
        for (index, entry) in manifest.models.iter().enumerate() {
            if manifest.models[..index].iter().any(|earlier| earlier.name == entry.name) {
                problems.push(format!("`{}` is there twice", entry.name));
            }
        }
        if problems.is_empty() { Ok(manifest) } else { Err(EngineError::BadManifest { reason: problems.join("; ") }) }
    }

    /// These entries, replaced or completed by those of another manifest.
    #[must_use]
    pub fn merged(mut self, other: Self) -> Self {
        for entry in other.models {
            self.models.retain(|mine| mine.name != entry.name);
            self.models.push(entry);
        }
        self
    }

    /// The entry of that name.
    pub fn find(&self, name: &str) -> Result<&ModelEntry, EngineError> {
        self.models.iter().find(|entry| entry.name == name).ok_or_else(|| EngineError::UnknownModel {
            name: name.to_owned(),
            known: self.models.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }
}

impl ModelEntry {
    /// Whether the digest of its file is known. Without one the entry is a template, and nothing of
    /// it runs.
    pub fn is_pinned(&self) -> bool {
        !self.sha256.is_empty()
    }

    /// What is wrong with it, a sentence each.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        // These three become components of a path, so they may not climb or split one.
        for (field, value) in [("name", &self.name), ("revision", &self.revision), ("file", &self.file)] {
            let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
            if value.is_empty() || !plain || value.starts_with('.') {
                problems.push(format!("`{}`: `{field}` must be letters, digits, `.`, `_` or `-`", self.name));
            }
        }
        if self.is_pinned() && !grammar::is_sha256(&self.sha256) {
            problems.push(format!("`{}`: a sha256 must be 64 lower-case hex digits", self.name));
        }
        problems.extend(self.sources.iter().flat_map(Source::problems).map(|what| format!("`{}`: {what}", self.name)));
        if !FAMILIES.contains(&self.family.as_str()) {
            problems.push(format!("`{}`: the family must be one of {}", self.name, FAMILIES.join(", ")));
        }
        if self.window.is_some_and(|window| window < 64) {
            problems.push(format!("`{}`: the window must be at least 64 tokens", self.name));
        }
        if self.prompt_template != "gguf" {
            problems.push(format!("`{}`: the prompt template must be `gguf`", self.name));
        }
        if self.sources.is_empty() {
            problems.push(format!("`{}`: at least one source is needed", self.name));
        }
        problems
    }
}
