//! Where a command writes: answers to stdout, remarks to stderr, nothing else anywhere.
//!
//! - stdout holds what was asked for and only that, so that it can be piped: text for people, or
//!   with `--json` one JSON value a line.
//! - stderr holds notes, warnings and progress.
//! - Printing never ends a command. A reader of stdout that goes away
//!   (`precis submit letters/ | head -1`) has read enough: the rest is not printed, the work is
//!   done, and the exit code tells of the work. Where stdout cannot be written for another reason,
//!   such as a full disk, the work is done as well, and [`Output::finish`] reports the failure.
//! - Whatever is printed passes [`visible`]: no text can control a terminal.

mod table;
pub mod width;
pub mod words;

use std::env;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard};

use precis_base::lock::locked;
pub use precis_base::visible;
use serde::Serialize;

use crate::exit::Exit;
pub use table::Table;
pub(crate) use table::{GAP, MIN_FOLDED};

/// Width of tables where there is no terminal.
const WIDTH_WITHOUT_TERMINAL: usize = 150;

/// The two streams of a command.
pub struct Output {
    json: bool,
    is_terminal: bool,
    stdout: Mutex<Answers>,
    stderr: Mutex<Box<dyn Write + Send>>,
}

/// stdout, and why nothing more is written to it.
struct Answers {
    stream: Box<dyn Write + Send>,
    failure: Option<io::Error>,
}

impl Answers {
    /// Does nothing after a failure: half a line must not be followed by another.
    fn attempt(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        if self.failure.is_none() {
            self.failure = write(&mut *self.stream).err();
        }
    }
}

impl Output {
    /// The process's own streams; `json`: answers are for programs.
    pub fn of_process(json: bool) -> Self {
        Self { is_terminal: io::stdout().is_terminal(), ..Self::to(json, io::stdout(), io::stderr()) }
    }

    /// Other streams.
    pub fn to(json: bool, stdout: impl Write + Send + 'static, stderr: impl Write + Send + 'static) -> Self {
        Self {
            json,
            is_terminal: false,
            stdout: Mutex::new(Answers { stream: Box::new(stdout), failure: None }),
            stderr: Mutex::new(Box::new(stderr)),
        }
    }

    /// Whether `--json` was given.
    pub fn json(&self) -> bool {
        self.json
    }

    /// A line of the answer; a line break in the text is shown and breaks no line.
    pub fn line(&self, text: impl Display) {
        self.write(&visible::line(&text.to_string()), "\n");
    }

    /// A text of the answer that has several lines.
    pub fn text(&self, text: impl Display) {
        self.write(&visible::block(&text.to_string()), "\n");
    }

    /// A text that another program reads back, such as a policy: unchanged, except on a terminal.
    pub fn file(&self, text: &str) {
        if self.is_terminal { self.text(text) } else { self.write(text, "\n") }
    }

    /// An answer for programs: one JSON value on one line.
    ///
    /// # Errors
    /// A value that has no JSON.
    pub fn value(&self, value: &impl Serialize) -> serde_json::Result<()> {
        let text = serde_json::to_string(value)?;
        self.write(&visible::json(&text), "\n");
        self.flush();
        Ok(())
    }

    /// A table of the answer.
    pub fn table(&self, table: &Table) {
        // Cells were made visible; the padding is the table's own.
        for line in table.lines(self.width()) {
            self.line(line);
        }
    }

    /// A remark on one line. That stderr cannot be written is no reason to stop.
    pub fn note(&self, text: impl Display) {
        let _ = writeln!(self.stderr(), "{}", visible::line(&text.to_string()));
    }

    /// Help, which this build wrote itself; with its emphasis where stdout is a terminal that wants
    /// colours.
    pub fn help(&self, text: &clap::builder::StyledStr) {
        let has_colours = self.is_terminal && wants_colours();
        self.write(&if has_colours { text.ansi().to_string() } else { text.to_string() }, "");
    }

    /// What went wrong. Further lines of the text are indented, so that none of them looks like
    /// another remark.
    pub fn error(&self, error: impl Display) {
        let text = error.to_string();
        let text = visible::block(&text);
        let mut stderr = self.stderr();
        for (number, line) in text.lines().enumerate() {
            let before = match (number, line.is_empty() || line.starts_with("  ")) {
                (0, _) => "error: ",
                (_, true) => "",
                (_, false) => "  ",
            };
            let _ = writeln!(stderr, "{before}{line}");
        }
    }

    /// Columns of a line: the terminal's, or what a wide one has.
    pub fn width(&self) -> usize {
        // Pseudo-terminals that nobody gave a size say 0.
        let own = comfy_table::Table::new().width().filter(|width| *width > 0);
        own.filter(|_| self.is_terminal).map_or(WIDTH_WITHOUT_TERMINAL, usize::from)
    }

    /// Writes out what is buffered.
    pub fn flush(&self) {
        self.stdout().attempt(|stdout| stdout.flush());
    }

    /// Whether nobody reads stdout any more. A command that follows something ends then.
    pub fn is_closed(&self) -> bool {
        self.stdout().failure.is_some() || stdout_hung_up()
    }

    /// How a command ends that would end with `exit`: stdout that could not be written is an error,
    /// a reader that went away is none.
    pub fn finish(&self, exit: Exit) -> Exit {
        self.flush();
        let failure = self.stdout().failure.take();
        match failure {
            None => exit,
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => exit,
            Some(error) => {
                self.error(format_args!("stdout cannot be written: {error}; what was printed is not all there is"));
                Exit::Environment
            }
        }
    }

    fn write(&self, text: &str, end: &str) {
        self.stdout().attempt(|stdout| write!(stdout, "{text}{end}"));
    }

    fn stdout(&self) -> MutexGuard<'_, Answers> {
        locked(&self.stdout)
    }

    fn stderr(&self) -> MutexGuard<'_, Box<dyn Write + Send>> {
        locked(&self.stderr)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("json", &self.json).finish_non_exhaustive()
    }
}

/// Whether colours are wanted: <https://no-color.org>, and a terminal that has them.
fn wants_colours() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && is_capable_terminal()
}

fn is_capable_terminal() -> bool {
    env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Whether stderr is a terminal that can move its cursor: progress is drawn there, and printed line
/// by line elsewhere.
pub fn draws_on_stderr() -> bool {
    is_capable_terminal() && io::stderr().is_terminal()
}

/// Whether the other end of stdout is gone. The system is polled for it, since a command that has
/// nothing to write would not notice.
fn stdout_hung_up() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = io::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let gone = PollFlags::ERR | PollFlags::HUP;
    poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().intersects(gone)
}

#[cfg(test)]
mod tests;
