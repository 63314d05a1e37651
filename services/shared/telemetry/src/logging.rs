//! Logging to standard error: standard output belongs to a command's results.

use std::ffi::OsString;
use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use crate::{LogFormat, TelemetryConfig, TelemetryError, Troubles};

/// Starts logging as configured. A process that logs already keeps its first setting.
///
/// # Errors
/// [`TelemetryError::LogLevel`] when `log_level` does not parse.
pub fn init_logging(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    start(config, None)
}

/// The same, and collects warnings with a code in `troubles`, whatever level is logged.
///
/// # Errors
/// [`TelemetryError::LogLevel`] when `log_level` does not parse.
pub fn init_logging_and_collect(config: &TelemetryConfig, troubles: Troubles) -> Result<(), TelemetryError> {
    start(config, Some(troubles))
}

fn start(config: &TelemetryConfig, troubles: Option<Troubles>) -> Result<(), TelemetryError> {
    let filter = filter(&config.log_level)?;
    let collected = troubles.map(|troubles| troubles.with_filter(LevelFilter::WARN));
    let registry = tracing_subscriber::registry().with(collected);
    let first = match config.log_format {
        LogFormat::Human => {
            let colours = wants_colours(&|name| std::env::var_os(name), std::io::stderr().is_terminal());
            let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
            registry.with(lines.with_filter(filter)).try_init()
        }
        LogFormat::Json => {
            let lines = fmt::layer().json().flatten_event(true).with_current_span(true).with_writer(std::io::stderr);
            registry.with(lines.with_filter(filter)).try_init()
        }
    };
    // The only possible error is a subscriber that is set already: by another service of this
    // process, or another test.
    drop(first);
    Ok(())
}

/// Whether log lines have colours. They do on a terminal with colours, unless `NO_COLOR` is set
/// (<https://no-color.org>).
pub(crate) fn wants_colours(variable: &dyn Fn(&str) -> Option<OsString>, is_terminal: bool) -> bool {
    let is_refused = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    let has_none = variable("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    is_terminal && !is_refused && !has_none
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
