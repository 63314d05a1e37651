//! How far a run is: a bar on a terminal, a plain line every few seconds elsewhere.
//!
//! Time left is reckoned in tokens, not in documents: all documents of a batch advance together, so for a long time none is done although
//! half of the work is. [`Pace`] is the pure part.

use std::{
    collections::VecDeque,
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{output::Output, report};

/// Tokens that a word of a document costs to read, before any document has shown it.
const READ_A_WORD_AT_FIRST: f64 = 1.6;
/// Tokens that are written for a document, before any has shown it.
const WRITTEN_AT_FIRST: f64 = 160.0;
/// What writing a token takes, in reading one: those that are read are computed many at a time.
const WRITING_TO_READING: f64 = 4.0;
/// Time over which rates are averaged.
const WINDOW: Duration = Duration::from_mins(1);
/// The longest time left that is told, seconds: a hundred days.
const LONGEST_LEFT: f64 = 8_640_000.0;
/// Time between plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Tokens that a model has computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of documents and prompts.
    pub read: u64,
    /// Of answers.
    pub written: u64,
}

impl Tokens {
    fn all(self) -> u64 {
        self.read + self.written
    }

    fn work(self) -> f64 {
        self.read as f64 + self.written as f64 * WRITING_TO_READING
    }
}

/// What is known of a run's speed. Takes values, reads no clock.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    documents: usize,
    settled: usize,
    /// Documents that a model has to read, and their words; how many are done.
    computed: usize,
    words: usize,
    computed_done: usize,
    words_done: usize,
    tokens_done: Tokens,
    samples: VecDeque<(Duration, Tokens)>,
}

impl Pace {
    /// A run of `documents`, of which a model has to read `computed` with `words` words together.
    pub fn new(documents: usize, computed: usize, words: usize) -> Self {
        Self { documents, computed, words, ..Self::default() }
    }

    /// A document that was settled from the store.
    pub fn settled_from_store(&mut self) {
        self.settled += 1;
    }

    /// A document that was computed.
    pub fn computed(&mut self, words: usize, tokens: Tokens) {
        self.settled += 1;
        self.computed_done += 1;
        self.words_done += words;
        self.tokens_done.read += tokens.read;
        self.tokens_done.written += tokens.written;
    }

    /// All tokens computed so far, at a time since the start.
    pub fn sample(&mut self, at: Duration, tokens: Tokens) {
        self.samples.push_back((at, tokens));
        while self.samples.len() > 2
            && self.samples.front().is_some_and(|(first, _)| at.saturating_sub(*first) > WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// Tokens a second over the last minute.
    pub fn tokens_a_second(&self) -> f64 {
        match (self.samples.front(), self.samples.back()) {
            (Some((from, first)), Some((to, last))) if to > from => {
                last.all().saturating_sub(first.all()) as f64 / to.saturating_sub(*from).as_secs_f64()
            }
            _ => 0.0,
        }
    }

    /// Documents a minute since the start, without those from the store.
    pub fn documents_a_minute(&self, at: Duration) -> f64 {
        if at.is_zero() { 0.0 } else { self.computed_done as f64 * 60.0 / at.as_secs_f64() }
    }

    /// The share of the work that is done, 0 to 1.
    pub fn done(&self) -> f64 {
        if self.settled >= self.documents {
            return 1.0;
        }
        let computed = self.work_computed();
        (computed / (computed + self.work_left()).max(1.0)).min(0.99)
    }

    /// Time left at the pace of the last minute; `None` while too little is done to tell.
    pub fn left(&self) -> Option<Duration> {
        let ((from, first), (to, last)) = (self.samples.front()?, self.samples.back()?);
        let rate = (last.work() - first.work()) / to.saturating_sub(*from).as_secs_f64();
        let is_known = self.done() > 0.02 && rate.is_finite() && rate > 0.0;
        is_known.then(|| Duration::from_secs_f64((self.work_left() / rate).min(LONGEST_LEFT)))
    }

    fn work_computed(&self) -> f64 {
        self.samples.back().map_or(0.0, |(_, tokens)| tokens.work()).max(self.tokens_done.work())
    }

    /// What is left by what the documents that are done have cost, less what the others have cost so far.
    fn work_left(&self) -> f64 {
        let each =
            |done: u64, of: usize, at_first: f64| if of > 0 && done > 0 { done as f64 / of as f64 } else { at_first };
        let read = each(self.tokens_done.read, self.words_done, READ_A_WORD_AT_FIRST);
        let written = each(self.tokens_done.written, self.computed_done, WRITTEN_AT_FIRST);
        let others = self.words.saturating_sub(self.words_done) as f64 * read
            + self.computed.saturating_sub(self.computed_done) as f64 * written * WRITING_TO_READING;
        (others - (self.work_computed() - self.tokens_done.work())).max(0.0)
    }

    fn describe(&self, at: Duration) -> String {
        let left = match self.left().map(|left| left.as_secs().max(1)) {
            None => "…".to_owned(),
            Some(seconds @ ..60) => format!("{seconds} s"),
            Some(seconds) => report::duration(seconds as f64),
        };
        format!(
            "{}/{} documents · {:.1} documents a minute · {:.0} tokens a second · {left} left",
            self.settled,
            self.documents,
            self.documents_a_minute(at),
            self.tokens_a_second(),
        )
    }
}

/// Shows a [`Pace`].
pub struct Progress<'a> {
    pace: Pace,
    started: Instant,
    bar: Option<ProgressBar>,
    last_line: Instant,
    out: &'a Output,
}

impl<'a> Progress<'a> {
    /// Starts to show.
    pub fn new(pace: Pace, out: &'a Output) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:24.cyan/dim} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("━━─");
            ProgressBar::new(1000).with_style(style)
        });
        let now = Instant::now();
        Self { pace, started: now, bar, last_line: now, out }
    }

    /// The numbers behind it.
    pub fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Shows where it stands, with all tokens computed so far.
    pub fn tick(&mut self, tokens: Tokens) {
        let at = self.elapsed();
        self.pace.sample(at, tokens);
        let text = self.pace.describe(at);
        if let Some(bar) = &self.bar {
            bar.set_position((self.pace.done() * 1000.0) as u64);
            bar.set_message(text);
        } else if self.last_line.elapsed() >= PLAIN_EVERY {
            self.last_line = Instant::now();
            self.out.note(text);
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

#[cfg(test)]
mod tests;
