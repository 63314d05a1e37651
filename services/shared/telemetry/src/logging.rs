//! Logs on standard error: standard output belongs to what a command was asked for.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{LogFormat, TelemetryConfig, TelemetryError};

/// Starts logging as configured. A process that logs already keeps its first setting.
///
/// # Errors
/// [`TelemetryError::LogLevel`] when `log_level` does not parse.
pub fn init_logging(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let registry = tracing_subscriber::registry().with(filter(&config.log_level)?);
    let first = match config.log_format {
        LogFormat::Human => {
            let colours = std::io::stderr().is_terminal();
            registry.with(fmt::layer().with_writer(std::io::stderr).with_ansi(colours)).try_init()
        }
        LogFormat::Json => registry
            .with(fmt::layer().json().flatten_event(true).with_current_span(true).with_writer(std::io::stderr))
            .try_init(),
    };
    // The only error is that a subscriber is set: a second service of this process, or a second test.
    drop(first);
    Ok(())
}

/// The filter that `level` describes.
pub(crate) fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    let problem = |problem: String| TelemetryError::LogLevel { level: level.to_owned(), problem };
    if level.trim().is_empty() {
        return Err(problem("it is empty".to_owned()));
    }
    EnvFilter::builder().parse(level).map_err(|error| problem(error.to_string()))
}

#[cfg(test)]
mod tests;
