//! Secrets: they come from the environment or from files, and are never shown.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use crate::ConfigError;

const REDACTED: &str = "[redacted]";

/// A password or key. It prints and serialises as `[redacted]`; [`Secret::expose`] is the one way to it.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret as it is.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret in the environment variable `variable` or else in `file`, without the line break at its end. An empty
    /// variable counts as none. `None` when there is neither variable nor file.
    ///
    /// # Errors
    /// [`ConfigError::Secret`] when the file is needed but cannot be read, or is empty.
    pub fn from_env_or_file(variable: &str, file: Option<&Path>) -> Result<Option<Self>, ConfigError> {
        Self::resolve(variable, std::env::var(variable).ok(), file)
    }

    fn resolve(variable: &str, value: Option<String>, file: Option<&Path>) -> Result<Option<Self>, ConfigError> {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            return Ok(Some(Self(value)));
        }
        let Some(path) = file else { return Ok(None) };
        let failed =
            |problem: String| ConfigError::Secret { path: path.to_owned(), problem, variable: variable.to_owned() };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(failed("the file is empty".to_owned())),
            secret => Ok(Some(Self::new(secret))),
        }
    }

    /// The secret itself. Never log, format or store what this returns.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "secret"})
    }
}

#[cfg(test)]
mod tests;
