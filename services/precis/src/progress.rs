//! How far a run is: a bar on a terminal, a plain line now and then elsewhere.
//!
//! [`pace`] is the pure part: what is known, and whether that is enough to tell how long the rest
//! takes.

pub mod pace;

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::{Output, draws_on_stderr, visible};
pub use pace::{Pace, Tokens};

/// Time until the first plain line, and the least time between two.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);
/// Plain lines come after each such part of the run so far: a long run does not fill a log file.
const PLAIN_PART: u32 = 10;
/// A terminal of fewer columns has room for the text, not for a bar beside it.
const MIN_WIDTH_OF_BAR: usize = 80;

/// Shows a [`Pace`]. What is drawn is taken away at the end, also where the run ends early.
pub struct Progress<'a> {
    pace: Pace,
    started: Instant,
    bar: Option<ProgressBar>,
    last_line: Duration,
    out: &'a Output,
}

impl<'a> Progress<'a> {
    /// Starts to show.
    pub fn new(pace: Pace, out: &'a Output) -> Self {
        let bar = draws_on_stderr().then(|| {
            let columns = console_columns();
            let template = if columns < MIN_WIDTH_OF_BAR { "{wide_msg}" } else { "{bar:24.cyan/dim} {wide_msg}" };
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("━━─");
            ProgressBar::new(1000).with_style(style)
        });
        Self { pace, started: Instant::now(), bar, last_line: Duration::ZERO, out }
    }

    /// A document for which nothing was computed: it was settled before, or its record could not be
    /// used.
    pub fn settled(&mut self, id: &str) {
        self.pace.settled(id);
    }

    /// A document that a model has answered with so many tokens.
    pub fn computed(&mut self, id: &str, tokens: Tokens) {
        self.pace.computed(id, tokens, self.elapsed());
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Shows where it stands, with all tokens computed so far and the sequences that are being
    /// computed.
    pub fn tick(&mut self, tokens: Tokens, running: u64) {
        let at = self.elapsed();
        self.pace.sample(at, tokens, running);
        if let Some(bar) = &self.bar {
            bar.set_position((self.pace.done() * 1000.0) as u64);
            bar.set_message(self.pace.describe(at));
        } else if at >= next_plain_line(self.last_line) {
            self.last_line = at;
            self.out.note(self.pace.describe(at));
        }
    }

    /// A remark above the bar.
    pub fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.out.note(text)),
            None => self.out.note(text),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A bar for bytes with a message beside it; hidden where nothing can be drawn.
pub fn bytes_bar() -> ProgressBar {
    if !draws_on_stderr() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:24.cyan/dim} {bytes}/{total_bytes} {wide_msg}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━─"))
}

/// A text that comes from elsewhere, for a bar.
pub fn message(text: &str) -> String {
    visible::line(text).into_owned()
}

/// When the next plain line comes after one.
fn next_plain_line(last: Duration) -> Duration {
    last + PLAIN_INTERVAL.max(last / PLAIN_PART)
}

fn console_columns() -> usize {
    comfy_table::Table::new().use_stderr().width().map_or(MIN_WIDTH_OF_BAR, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_lines_become_rarer_in_a_long_run() {
        let mut lines = vec![Duration::ZERO];
        while let Some(last) = lines.last().filter(|last| **last < Duration::from_hours(10)) {
            lines.push(next_plain_line(*last));
        }
        assert_eq!(lines[..4], [0, 10, 20, 30].map(Duration::from_secs));
        assert!(lines.len() < 80, "{}", lines.len());
    }
}
