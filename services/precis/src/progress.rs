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

/// Tokens that a word costs, read and answered, before any document has shown it.
const TOKENS_A_WORD_AT_FIRST: f64 = 1.8;
/// Time over which tokens a second are averaged.
const WINDOW: Duration = Duration::from_secs(15);
/// Time between plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// What is known of a run's speed. Takes values, reads no clock.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    documents: usize,
    settled: usize,
    computed_documents: usize,
    words: usize,
    words_done: usize,
    tokens_of_done: u64,
    samples: VecDeque<(Duration, u64)>,
}

impl Pace {
    /// A run of `documents` of which those to be computed have `words` words.
    pub fn new(documents: usize, words: usize) -> Self {
        Self { documents, words, ..Self::default() }
    }

    /// A document that was settled from the store.
    pub fn settled_from_store(&mut self) {
        self.settled += 1;
    }

    /// A document that was computed.
    pub fn computed(&mut self, words: usize, tokens: u64) {
        self.settled += 1;
        self.computed_documents += 1;
        self.words_done += words;
        self.tokens_of_done += tokens;
    }

    /// All tokens computed so far, at a time since the start.
    pub fn sample(&mut self, at: Duration, tokens: u64) {
        self.samples.push_back((at, tokens));
        while self.samples.len() > 2
            && self.samples.front().is_some_and(|(first, _)| at.saturating_sub(*first) > WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// Tokens a second over the last seconds.
    pub fn tokens_a_second(&self) -> f64 {
        match (self.samples.front(), self.samples.back()) {
            (Some((from, first)), Some((to, last))) if to > from => {
                last.saturating_sub(*first) as f64 / to.saturating_sub(*from).as_secs_f64()
            }
            _ => 0.0,
        }
    }

    /// Documents a minute since the start, without those from the store.
    pub fn documents_a_minute(&self, at: Duration) -> f64 {
        if at.is_zero() { 0.0 } else { self.computed_documents as f64 * 60.0 / at.as_secs_f64() }
    }

    /// The share of the work that is done, 0 to 1.
    pub fn done(&self) -> f64 {
        if self.settled >= self.documents {
            return 1.0;
        }
        let a_word = if self.words_done > 0 && self.tokens_of_done > 0 {
            self.tokens_of_done as f64 / self.words_done as f64
        } else {
            TOKENS_A_WORD_AT_FIRST
        };
        let left = self.words.saturating_sub(self.words_done) as f64 * a_word;
        let computed = self.samples.back().map_or(0, |(_, tokens)| *tokens).max(self.tokens_of_done) as f64;
        let expected = (self.tokens_of_done as f64 + left).max(computed).max(1.0);
        (computed / expected).min(0.99)
    }

    /// Time left at this pace; `None` while too little is done to tell.
    pub fn left(&self, at: Duration) -> Option<Duration> {
        let done = self.done();
        (done > 0.02).then(|| at.mul_f64((1.0 - done) / done))
    }

    fn describe(&self, at: Duration) -> String {
        let left = self.left(at).map_or_else(|| "…".to_owned(), |left| report::duration(left.as_secs().max(1) as f64));
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
    pub fn tick(&mut self, tokens: u64) {
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
