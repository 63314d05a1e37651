//! Encryption and identity towards Kafka. Passwords come from the environment or from files, and
//! are never shown.

use std::path::PathBuf;

use precis_config::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::FlowError;

/// Encryption and identity towards Kafka.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SecurityConfig {
    /// How to talk to the brokers.
    pub protocol: Protocol,
    /// How to prove who this is, with the protocols `sasl_plaintext` and `sasl_ssl`.
    pub sasl_mechanism: Option<SaslMechanism>,
    /// User name for SASL.
    pub username: Option<String>,
    /// Password for SASL. Better from the environment or from `password_file`.
    pub password: Option<Secret>,
    /// A file with the password for SASL, read at start; a final line break is ignored.
    pub password_file: Option<PathBuf>,
    /// PEM file with the authorities that may sign brokers' certificates; the system's when absent.
    pub ca_file: Option<PathBuf>,
    /// PEM file with this client's certificate.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with this client's private key.
    pub key_file: Option<PathBuf>,
}

/// How to talk to the brokers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Neither encrypted nor authenticated.
    #[default]
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without encryption.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

/// How to prove who this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SaslMechanism {
    /// User name and password as they are: only over TLS, or inside of a trusted network.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Challenge and response, SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// Challenge and response, SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl SecurityConfig {
    /// The field that asks for TLS, when one does.
    pub(crate) fn tls_field(&self) -> Option<&'static str> {
        if matches!(self.protocol, Protocol::Ssl | Protocol::SaslSsl) {
            return Some("protocol");
        }
        // librdkafka takes its hash functions from OpenSSL.
        if matches!(self.sasl_mechanism, Some(SaslMechanism::ScramSha256 | SaslMechanism::ScramSha512)) {
            return Some("sasl_mechanism");
        }
        [("ca_file", &self.ca_file), ("certificate_file", &self.certificate_file), ("key_file", &self.key_file)]
            .into_iter()
            .find_map(|(field, value)| value.is_some().then_some(field))
    }

    /// Whether all that goes to the brokers is encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self.protocol, Protocol::Ssl | Protocol::SaslSsl)
    }

    /// What whoever listens on the network can read where nothing is encrypted.
    pub(crate) fn clear_text(&self) -> &'static str {
        match (self.protocol, self.sasl_mechanism) {
            (Protocol::SaslPlaintext, Some(SaslMechanism::Plain)) => "documents, the policy and the password",
            _ => "documents and the policy",
        }
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        let sasl = matches!(self.protocol, Protocol::SaslPlaintext | Protocol::SaslSsl);
        let tls = self.is_encrypted();
        let mut problems = Vec::new();
        let mut check = |fails: bool, problem: &str| {
            if fails {
                problems.push(problem.to_owned());
            }
        };
        check(sasl && self.sasl_mechanism.is_none(), "sasl_mechanism: missing, the protocol is a SASL one");
        check(sasl && self.username.is_none(), "username: missing, the protocol is a SASL one");
        check(
            sasl && self.password.is_none() && self.password_file.is_none(),
            "password_file: missing, the protocol is a SASL one",
        );
        check(!sasl && self.sasl_mechanism.is_some(), "sasl_mechanism: set, but the protocol is not a SASL one");
        check(
            !sasl && (self.password.is_some() || self.password_file.is_some()),
            "password: set, but the protocol is not a SASL one",
        );
        check(
            self.password.is_some() && self.password_file.is_some(),
            "password: set twice, here and by password_file",
        );
        check(!tls && self.ca_file.is_some(), "ca_file: set, but the protocol has no TLS");
        check(
            !tls && (self.certificate_file.is_some() || self.key_file.is_some()),
            "certificate_file: set, but the protocol has no TLS",
        );
        check(
            self.certificate_file.is_some() != self.key_file.is_some(),
            "certificate_file: needs key_file, and the other way round",
        );
        problems
    }

    /// The librdkafka properties that say this.
    pub(crate) fn properties(&self) -> Result<Vec<(&'static str, String)>, FlowError> {
        let protocol = match self.protocol {
            Protocol::Plaintext => "plaintext",
            Protocol::Ssl => "ssl",
            Protocol::SaslPlaintext => "sasl_plaintext",
            Protocol::SaslSsl => "sasl_ssl",
        };
        let mut properties = vec![("security.protocol", protocol.to_owned())];
        if let Some(mechanism) = self.sasl_mechanism {
            let mechanism = match mechanism {
                SaslMechanism::Plain => "PLAIN",
                SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
                SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
            };
            properties.push(("sasl.mechanism", mechanism.to_owned()));
        }
        if let Some(username) = &self.username {
            properties.push(("sasl.username", username.clone()));
        }
        if let Some(password) = self.password()? {
            properties.push(("sasl.password", password));
        }
        for (name, path) in [
            ("ssl.ca.location", &self.ca_file),
            ("ssl.certificate.location", &self.certificate_file),
            ("ssl.key.location", &self.key_file),
        ] {
            if let Some(path) = path {
                if name == "ssl.key.location" {
                    precis_config::warn_if_open(path);
                }
                properties.push((name, path.display().to_string()));
            }
        }
        Ok(properties)
    }

    fn password(&self) -> Result<Option<String>, FlowError> {
        if let Some(password) = &self.password {
            return Ok(Some(password.expose().to_owned()));
        }
        let Some(path) = &self.password_file else { return Ok(None) };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                precis_config::warn_if_open(path);
                Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
            }
            Err(error) => Err(FlowError::Config {
                problems: vec![format!("kafka.security.password_file: cannot read {}: {error}", path.display())],
            }),
        }
    }
}
