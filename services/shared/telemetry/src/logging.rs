//! Logging to standard error: standard output belongs to a command's results.
//!
//! Log lines quote what others wrote: ids, error texts of brokers and providers, names of topics.
//! In a line for people every message and value passes [`visible::line`], so that no text can
//! control a terminal or begin a line of its own; a line of JSON passes [`visible::json`].

use std::ffi::OsString;
use std::fmt::Debug;
use std::io::{self, IsTerminal, Write};

use precis_base::visible;
use tracing::Subscriber;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

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
            registry.with(human_layer(io::stderr, colours).with_filter(filter)).try_init()
        }
        LogFormat::Json => registry.with(json_layer(io::stderr).with_filter(filter)).try_init(),
    };
    // The only possible error is a subscriber that is set already: by another service of this
    // process, or another test.
    drop(first);
    Ok(())
}

/// Lines for people.
fn human_layer<S, W>(writer: W, colours: bool) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let fields = fmt::format::debug_fn(write_field).delimited(" ");
    fmt::layer().with_writer(writer).with_ansi(colours).fmt_fields(fields)
}

/// One JSON object a line.
fn json_layer<S, M, W>(writer: M) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    M: Fn() -> W + Send + Sync + 'static,
    W: Write + 'static,
{
    let lines = fmt::layer().json().flatten_event(true).with_current_span(true);
    lines.with_writer(move || VisibleJson(writer()))
}

/// Writes a message, or a name and its value, for people.
fn write_field(writer: &mut fmt::format::Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let name = field.name().strip_prefix("r#").unwrap_or(field.name());
    let text = format!("{value:?}");
    let text = visible::line(&text);
    match name {
        "message" => writer.write_str(&text),
        // Emphasis as tracing's own format has it.
        _ if writer.has_ansi_escapes() => write!(writer, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m{text}"),
        _ => write!(writer, "{name}={text}"),
    }
}

/// Makes lines of JSON safe to look at; each write is one line, as tracing's layer does it.
struct VisibleJson<W>(W);

impl<W: Write> Write for VisibleJson<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(visible::json(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
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
