//! The configuration section `telemetry`.

use std::net::SocketAddr;

use precis_config::{Validate, Violations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Logs, and the address for metrics and health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Address for `/metrics`, `/livez`, `/readyz` and `/info`, such as `0.0.0.0:9464`. They ask
    /// nobody who they are: let only probes and the monitoring reach it. Left out: they are not
    /// served.
    pub listen: Option<SocketAddr>,
    /// `human` for people at a terminal, `json` for machines: one object a line.
    pub log_format: LogFormat,
    /// Least severe level to log: `error`, `warn`, `info`, `debug` or `trace`. For single targets:
    /// `info,precis_flow=debug`.
    pub log_level: String,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { listen: None, log_format: LogFormat::default(), log_level: "info".to_owned() }
    }
}

impl Validate for TelemetryConfig {
    fn validate(&self, at: &str, out: &mut Violations) {
        if let Err(problem) = crate::logging::filter(&self.log_level) {
            out.push(format!("{at}.log_level"), problem.to_string());
        }
    }
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people at a terminal.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}
