//! Errors of this crate. All happen at start and are fatal: a service that cannot be monitored does
//! not start.

use std::net::SocketAddr;

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter does not parse.
    #[error(
        "log_level `{level}` is not a filter: {problem}; write a level such as info, or targets such as \
         info,precis_flow=debug"
    )]
    LogLevel {
        /// The filter as configured.
        level: String,
        /// What the parser says.
        problem: String,
    },
    /// The address for health and metrics cannot be listened on.
    #[error("cannot listen on {address} for metrics and health: {source}; choose a free address in telemetry.listen")]
    Listen {
        /// The address as configured.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Signal handlers cannot be installed.
    #[error("cannot listen for SIGTERM and SIGINT: {source}")]
    Signals {
        /// What the system says.
        source: std::io::Error,
    },
}

impl TelemetryError {
    /// Stable name of the failure, for logs and runbooks.
    pub fn code(&self) -> &'static str {
        match self {
            Self::LogLevel { .. } => "bad_log_level",
            Self::Listen { .. } => "cannot_listen",
            Self::Signals { .. } => "no_signals",
        }
    }
}
