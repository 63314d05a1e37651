//! Secrets from the environment or from files, which are never shown.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use crate::ConfigError;

const REDACTED: &str = "[redacted]";

/// A password or key. It prints and serialises as `[redacted]`. Only [`Secret::expose`] gives the
/// text.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret as it is.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The key in the environment variable `variable` or else in `file`, without blanks and line
    /// breaks around it. A blank variable counts as none. `None` when there is neither variable nor
    /// file.
    ///
    /// # Errors
    /// [`ConfigError::Secret`] when the file is needed but cannot be read, or is empty;
    /// [`ConfigError::SecretCharacters`] when the key has characters that a header of a request
    /// cannot carry.
    pub fn from_env_or_file(variable: &str, file: Option<&Path>) -> Result<Option<Self>, ConfigError> {
        Self::resolve(variable, std::env::var_os(variable), file)
    }

    fn resolve(variable: &str, value: Option<OsString>, file: Option<&Path>) -> Result<Option<Self>, ConfigError> {
        // Text that is not Unicode stays wrong after this conversion.
        let value = value.map(|value| value.to_string_lossy().into_owned());
        if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
            return Self::carried_by_header(value.trim(), || format!("the variable {variable}")).map(Some);
        }
        let Some(path) = file else { return Ok(None) };
        let failed =
            |problem: String| ConfigError::Secret { path: path.to_owned(), problem, variable: variable.to_owned() };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        warn_if_open(path);
        match text.trim() {
            "" => Err(failed("the file is empty".to_owned())),
            secret => Self::carried_by_header(secret, || format!("the file {}", path.display())).map(Some),
        }
    }

    /// Header values are printable ASCII: RFC 9110, section 5.5.
    fn carried_by_header(secret: &str, origin: impl FnOnce() -> String) -> Result<Self, ConfigError> {
        let problem = if secret.contains(['\r', '\n']) {
            "it has several lines"
        } else if !secret.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            "it has characters other than printable ASCII"
        } else {
            return Ok(Self::new(secret));
        };
        Err(ConfigError::SecretCharacters { origin: origin(), problem })
    }

    /// The secret itself. Never log, format or store what this returns.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Logs a warning where others than a file's owner can read it: its secret is theirs, too.
pub fn warn_if_open(path: &Path) {
    if let Some(problem) = open_to(path) {
        tracing::warn!(file = %path.display(), "the secret in this file can be read by {problem}: chmod 600");
    }
}

/// Who else can read a file, by its mode; `None` where nobody can, or where files have no modes.
#[cfg(unix)]
fn open_to(path: &Path) -> Option<&'static str> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    match (mode & 0o004, mode & 0o040) {
        (0, 0) => None,
        (0, _) => Some("its group"),
        _ => Some("everybody on this machine"),
    }
}

#[cfg(not(unix))]
fn open_to(_: &Path) -> Option<&'static str> {
    None
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
