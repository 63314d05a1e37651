//! Settings of the object store: section `store`.

use std::path::PathBuf;

use precis_base::loopback::is_loopback;
use precis_config::{Validate, Violations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::check_key;

/// Where results, answers, bodies and policies are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `directory` for one machine, `s3` for any S3-compatible endpoint.
    pub kind: StoreKind,
    /// Largest object in bytes, at least 1; a larger object is refused. Objects are held in memory
    /// whole.
    pub max_object_bytes: u64,
    /// Used with `kind = "directory"`.
    pub directory: DirectoryConfig,
    /// Used with `kind = "s3"`.
    pub s3: S3Config,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            kind: StoreKind::default(),
            max_object_bytes: 64 * 1024 * 1024,
            directory: DirectoryConfig::default(),
            s3: S3Config::default(),
        }
    }
}

/// The kinds of store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// A directory on this machine, shared by any number of processes.
    #[default]
    Directory,
    /// An S3-compatible endpoint.
    S3,
}

/// A directory as object store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DirectoryConfig {
    /// The directory of the objects. A missing one is created, readable by its owner only. Its file
    /// system must know hard links.
    pub path: PathBuf,
}

impl Default for DirectoryConfig {
    fn default() -> Self {
        Self { path: PathBuf::from(".precis/objects") }
    }
}

/// An S3 bucket. Credentials come from the usual places (environment, profile, web identity,
/// container or instance role), never from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct S3Config {
    /// The bucket; it must exist.
    pub bucket: String,
    /// Text before every key, followed by a slash, so that several installations can share a
    /// bucket. Empty for none.
    pub prefix: String,
    /// URL of the endpoint, for stores other than AWS. It must be `https://`, except for a loopback
    /// host.
    pub endpoint: Option<String>,
    /// Accept an `http://` endpoint that is not loopback: documents and results then cross the
    /// network in clear.
    pub allow_http: bool,
    /// Region of the bucket. Left out: the region of the environment or profile, else `us-east-1`.
    pub region: Option<String>,
    /// Address objects as `endpoint/bucket/key` instead of `bucket.endpoint/key`. Most stores other
    /// than AWS need this.
    pub force_path_style: bool,
    /// A PEM file with further certificate authorities to trust, for an endpoint with a private
    /// one.
    pub ca_file: Option<PathBuf>,
    /// Encryption at rest that each write requests: `none` (the bucket's own default), `aes256` or
    /// `kms`.
    pub sse: Sse,
    /// The KMS key for `sse = "kms"`. Left out: the account's default key.
    pub kms_key_id: Option<String>,
    /// Time to establish a connection, milliseconds, at least 1.
    pub connect_timeout_ms: u64,
    /// Time for one attempt of one request, body included, milliseconds, at least 1.
    pub attempt_timeout_ms: u64,
    /// Attempts of a request before the store counts as down, 1 to 20.
    pub max_attempts: u32,
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            bucket: String::new(),
            prefix: String::new(),
            endpoint: None,
            allow_http: false,
            region: None,
            force_path_style: false,
            ca_file: None,
            sse: Sse::default(),
            kms_key_id: None,
            connect_timeout_ms: 5_000,
            attempt_timeout_ms: 30_000,
            max_attempts: 4,
        }
    }
}

/// Encryption at rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sse {
    /// No request for encryption: the bucket's default applies.
    #[default]
    None,
    /// Keys managed by the store.
    Aes256,
    /// A key of the key management service.
    Kms,
}

impl StoreConfig {
    /// Every setting that cannot work with the chosen kind of store, as
    /// `field: what is wrong and what to do`.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut problem = |field: &str, text: &str| problems.push(format!("{field}: {text}"));
        if self.max_object_bytes == 0 {
            problem("max_object_bytes", "must be at least 1");
        }
        match self.kind {
            StoreKind::Directory => {
                if self.directory.path.as_os_str().is_empty() {
                    problem("directory.path", "must name a directory");
                }
            }
            StoreKind::S3 => self.s3.problems(&mut problem),
        }
        problems
    }
}

impl Validate for StoreConfig {
    fn validate(&self, at: &str, out: &mut Violations) {
        out.extend_lines(at, self.problems());
    }
}

impl S3Config {
    fn problems(&self, problem: &mut impl FnMut(&str, &str)) {
        if self.bucket.is_empty() {
            problem("s3.bucket", "must name the bucket");
        }
        if !self.prefix.is_empty() && check_key(&self.prefix).is_err() {
            problem(
                "s3.prefix",
                "must be segments of A-Z a-z 0-9 . _ ~ = - separated by single slashes, without a slash at either end",
            );
        }
        match self.endpoint.as_deref().map(Endpoint::parse) {
            Some(Endpoint::Invalid) => {
                problem("s3.endpoint", "must be an http:// or https:// URL with a host and without user or password");
            }
            Some(Endpoint::HttpRemote) if !self.allow_http => {
                problem(
                    "s3.endpoint",
                    "is http:// to another machine: documents would cross the network in clear; use https://, or set s3.allow_http",
                );
            }
            _ => {}
        }
        if self.kms_key_id.is_some() && self.sse != Sse::Kms {
            problem("s3.kms_key_id", "is set but s3.sse is not \"kms\": objects would not be encrypted with it");
        }
        if self.connect_timeout_ms == 0 {
            problem("s3.connect_timeout_ms", "must be at least 1");
        }
        if self.attempt_timeout_ms == 0 {
            problem("s3.attempt_timeout_ms", "must be at least 1");
        }
        if !(1..=20).contains(&self.max_attempts) {
            problem("s3.max_attempts", "must be between 1 and 20");
        }
    }
}

/// What an endpoint URL says about safety.
#[derive(Debug, PartialEq, Eq)]
enum Endpoint {
    Https,
    HttpLoopback,
    HttpRemote,
    Invalid,
}

impl Endpoint {
    fn parse(url: &str) -> Self {
        let (tls, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Self::Invalid,
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // Credentials do not belong before an `@`, and `http://127.0.0.1@elsewhere` must not pass
        // for loopback.
        if authority.contains('@') || authority.chars().any(char::is_whitespace) {
            return Self::Invalid;
        }
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next(),
            None => authority.split(':').next(),
        };
        match host {
            None | Some("") => Self::Invalid,
            Some(_) if tls => Self::Https,
            Some(host) if is_loopback(host) => Self::HttpLoopback,
            Some(_) => Self::HttpRemote,
        }
    }
}

#[cfg(test)]
mod tests;
