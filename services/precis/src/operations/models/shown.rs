//! How far a pull is: a bar on a terminal, a plain line now and then elsewhere.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use precis_inference::models::Progress;

use crate::output::{Output, draws_on_stderr};
use crate::progress::{bytes_bar, message};

/// Least time between two plain lines about the bytes of one file.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);
const MB: u64 = 1_000_000;

/// Shows the steps of one pull; takes the bar away at its end.
pub(super) struct Shown<'a> {
    bar: Option<ProgressBar>,
    last_line: Instant,
    out: &'a Output,
}

impl<'a> Shown<'a> {
    pub(super) fn new(out: &'a Output) -> Self {
        Self { bar: draws_on_stderr().then(bytes_bar), last_line: Instant::now(), out }
    }

    pub(super) fn show(&mut self, step: &Progress) {
        match &self.bar {
            Some(bar) => draw(bar, step),
            None => self.tell(step),
        }
    }

    fn tell(&mut self, step: &Progress) {
        match step {
            Progress::Receiving { .. } | Progress::Installing { .. } if self.last_line.elapsed() < PLAIN_INTERVAL => {}
            step => {
                self.last_line = Instant::now();
                self.out.note(in_words(step));
            }
        }
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn draw(bar: &ProgressBar, step: &Progress) {
    match step {
        Progress::Fetching { source } => bar.set_message(message(&format!("fetching {source}"))),
        Progress::Receiving { source, done, total } => {
            bar.set_length(total.unwrap_or(*done));
            bar.set_position(*done);
            bar.set_message(message(source));
        }
        Progress::Installing { done, total } => {
            bar.set_length(*total);
            bar.set_position(*done);
            bar.set_message("checking and installing");
        }
        Progress::Retrying { .. } | Progress::Skipped { .. } => bar.println(message(&in_words(step))),
    }
}

/// A step as a line.
fn in_words(step: &Progress) -> String {
    match step {
        Progress::Fetching { source } => format!("fetching {source}"),
        Progress::Receiving { source, done, total: Some(total) } => {
            format!("{source}: {} of {} MB", done / MB, total / MB)
        }
        Progress::Receiving { source, done, total: None } => format!("{source}: {} MB", done / MB),
        Progress::Retrying { source, reason, done } => {
            format!("{source}: {reason}; asking again from {} MB on", done / MB)
        }
        Progress::Installing { done, total } => {
            format!("checking and installing: {} of {} MB", done / MB, total / MB)
        }
        Progress::Skipped { source, reason } => format!("{source}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_in_words_has_its_source_and_how_far_it_is() {
        let source = || "hf:a/b/c@main".to_owned();
        let told = |done, total| in_words(&Progress::Receiving { source: source(), done, total });
        assert_eq!(told(2_500_000, Some(10_000_000)), "hf:a/b/c@main: 2 of 10 MB");
        assert_eq!(told(2_500_000, None), "hf:a/b/c@main: 2 MB");
        let again = Progress::Retrying { source: source(), reason: "the connection broke".into(), done: 7_000_000 };
        assert_eq!(in_words(&again), "hf:a/b/c@main: the connection broke; asking again from 7 MB on");
    }
}
