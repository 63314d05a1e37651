//! Where a command writes: answers to stdout, remarks to stderr, nothing else anywhere.
//!
//! - stdout holds what was asked for and only that, so that it can be piped: text for people, or with `--json` one JSON value a line.
//! - stderr holds notes, warnings and progress.
//! - A reader that goes away (`precis results | head`) ends the command without an error.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use serde::Serialize;

/// Width of tables where there is no terminal that has one.
const WIDTH_WITHOUT_TERMINAL: u16 = 150;

/// A terminal of fewer characters does not know its width.
const LEAST_WIDTH: u16 = 40;

/// A rule under the header, nothing else.
const RULED: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// The two streams of a command.
pub struct Output {
    json: bool,
    stdout: Mutex<Box<dyn Write + Send>>,
    stderr: Mutex<Box<dyn Write + Send>>,
}

impl Output {
    /// The process's own streams; `json`: answers are for programs.
    pub fn of_process(json: bool) -> Self {
        Self { json, stdout: Mutex::new(Box::new(io::stdout())), stderr: Mutex::new(Box::new(io::stderr())) }
    }

    /// Whether `--json` was given.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Whether stdout is a terminal.
    pub fn stdout_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// A line of the answer.
    ///
    /// # Errors
    /// What the stream reports, such as a reader that went away.
    pub fn line(&self, text: impl Display) -> io::Result<()> {
        writeln!(lock(&self.stdout), "{text}")
    }

    /// An answer for programs: one JSON value on one line.
    ///
    /// # Errors
    /// What the stream reports.
    pub fn value(&self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value)?;
        let mut stdout = lock(&self.stdout);
        writeln!(stdout, "{text}")?;
        stdout.flush()
    }

    /// A remark. That stderr cannot be written is no reason to stop.
    pub fn note(&self, text: impl Display) {
        let _ = writeln!(lock(&self.stderr), "{text}");
    }

    /// Characters in a line: the terminal's, or what a wide one has.
    pub fn width(&self) -> u16 {
        // Some pseudo-terminals say 0.
        Table::new().width().filter(|width| *width >= LEAST_WIDTH).unwrap_or(WIDTH_WITHOUT_TERMINAL)
    }

    /// A table of the answer.
    ///
    /// # Errors
    /// What the stream reports.
    pub fn table(&self, table: &mut Table) -> io::Result<()> {
        table.set_width(self.width());
        for line in table.lines() {
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// What the stream reports.
    pub fn flush(&self) -> io::Result<()> {
        lock(&self.stdout).flush()
    }
}

/// An empty table in the house's look.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(RULED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.to_vec());
    table
}

/// Whether an error is a reader of stdout that went away.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}

fn lock<T: ?Sized>(stream: &Mutex<Box<T>>) -> MutexGuard<'_, Box<T>> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}
