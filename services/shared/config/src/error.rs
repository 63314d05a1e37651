//! Errors of this crate. All are fatal: a service does not start on settings that it does not
//! understand.

use std::path::PathBuf;

use crate::Violations;

/// Why there is no usable configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {source}; check the path and its permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{file} is not valid toml: {problem}")]
    Syntax {
        /// The file, for people.
        file: String,
        /// Place and problem, in the parser's words; no content of the file.
        problem: String,
    },
    /// Keys or values are wrong.
    #[error("{0}")]
    Invalid(Violations),
    /// A file that should hold a secret cannot be read, or is empty.
    #[error("no secret in {path}: {problem}; put the secret alone into the file, or set {variable} instead")]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// The environment variable that would do as well.
        variable: String,
    },
    /// A secret cannot be sent as it is.
    #[error("the key in {origin} cannot be sent: {problem}; put the key alone there")]
    SecretCharacters {
        /// The variable or the file that holds it.
        origin: String,
        /// What is wrong with it; nothing of the secret.
        problem: &'static str,
    },
}

impl ConfigError {
    /// Stable name of the failure, for logs and runbooks.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "config_unreadable",
            Self::Syntax { .. } => "config_syntax",
            Self::Invalid(_) => "config_invalid",
            Self::Secret { .. } => "secret_unreadable",
            Self::SecretCharacters { .. } => "secret_unusable",
        }
    }
}
