//! What is known of a run's speed, and how long the rest takes if that is known, too. Takes values,
//! reads no clock.
//!
//! Work is counted in tokens, since the documents of a batch advance together and for a long time
//! none is done although half of the work is. What the open documents will cost is learnt from
//! those that are done: tokens read for a byte, tokens written for a document.
//!
//! **No time left is told** before a document was computed (nothing has shown what one costs), and
//! while the estimate is shorter than the time since the last document was done: then those in work
//! have cost more than was thought, and the estimate is refuted.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::output::words::duration;

/// What writing a token takes, in reading one: those that are read are computed many at a time.
const WRITING_TO_READING: f64 = 4.0;
/// Rates are averaged over at least this time.
const RATE_WINDOW: Duration = Duration::from_mins(1);
/// Rates are averaged over at least so many documents: reading and writing alternate, and both take
/// part.
const RATE_DOCUMENTS: usize = 8;
/// Samples that come closer together replace each other.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// The longest time left that is told, seconds: a hundred days.
const MAX_LEFT: f64 = 8_640_000.0;

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

    fn at_least(self, other: Self) -> Self {
        if self.work() < other.work() { other } else { self }
    }
}

/// What is known of a run.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    documents: usize,
    settled: usize,
    /// Bytes of the documents that a model has still to answer, by id.
    open: HashMap<String, usize>,
    open_bytes: usize,
    /// Documents that were computed, their bytes and what they cost.
    computed: usize,
    computed_bytes: usize,
    cost: Tokens,
    /// When the last documents were computed, oldest first.
    ends: VecDeque<Duration>,
    /// All tokens so far, at times since the start.
    samples: VecDeque<(Duration, Tokens)>,
    /// Sequences in work.
    running: u64,
}

impl Pace {
    /// A run of `documents`; `open`: those that a model has to answer, with their bytes.
    pub fn new(documents: usize, open: impl IntoIterator<Item = (String, usize)>) -> Self {
        let open: HashMap<String, usize> = open.into_iter().collect();
        let start = VecDeque::from([(Duration::ZERO, Tokens::default())]);
        Self { documents, open_bytes: open.values().sum(), open, samples: start, ..Self::default() }
    }

    /// A document for which nothing was computed.
    pub fn settled(&mut self, id: &str) {
        self.end(id);
    }

    /// A document that was computed for so many tokens.
    pub fn computed(&mut self, id: &str, tokens: Tokens, at: Duration) {
        let Some(bytes) = self.end(id) else { return };
        self.ends.push_back(at);
        if self.ends.len() > RATE_DOCUMENTS {
            self.ends.pop_front();
        }
        self.computed += 1;
        self.computed_bytes += bytes;
        self.cost.read += tokens.read;
        self.cost.written += tokens.written;
    }

    fn end(&mut self, id: &str) -> Option<usize> {
        self.settled += 1;
        let bytes = self.open.remove(id)?;
        self.open_bytes -= bytes;
        Some(bytes)
    }

    /// All tokens computed so far and the sequences in work, at a time since the start.
    pub fn sample(&mut self, at: Duration, tokens: Tokens, running: u64) {
        self.running = running;
        // Other machines' tokens are known when a document ends.
        let sample = (at, tokens.at_least(self.cost));
        let second_last = self.samples.len().checked_sub(2).map(|place| self.samples[place].0);
        match self.samples.back_mut() {
            Some(last) if second_last.is_some_and(|before| at.saturating_sub(before) < SAMPLE_INTERVAL) => {
                *last = sample;
            }
            _ => self.samples.push_back(sample),
        }
        let from = self.window_start(at);
        while self.samples.len() > 2 && self.samples[1].0 <= from {
            self.samples.pop_front();
        }
    }

    /// Since when rates are averaged: a minute ago or some documents ago, whichever is longer.
    fn window_start(&self, at: Duration) -> Duration {
        let documents = if self.ends.len() < RATE_DOCUMENTS {
            Duration::ZERO
        } else {
            self.ends.front().copied().unwrap_or_default()
        };
        documents.min(at.saturating_sub(RATE_WINDOW))
    }

    /// The first and the last sample, and the seconds between them.
    fn window(&self) -> Option<(Tokens, Tokens, f64)> {
        let ((from, first), (to, last)) = (self.samples.front()?, self.samples.back()?);
        (to > from).then(|| (*first, *last, to.saturating_sub(*from).as_secs_f64()))
    }

    /// Tokens a second of late.
    pub fn tokens_a_second(&self) -> f64 {
        self.window().map_or(0.0, |(first, last, seconds)| last.all().saturating_sub(first.all()) as f64 / seconds)
    }

    /// Documents a minute since the start, without those for which nothing was computed.
    pub fn documents_a_minute(&self, at: Duration) -> f64 {
        if at.is_zero() { 0.0 } else { self.computed as f64 * 60.0 / at.as_secs_f64() }
    }

    /// The share of the run that is done, 0 to 1: of the work where its size is known, else of the
    /// documents.
    pub fn done(&self) -> f64 {
        if self.settled >= self.documents {
            return 1.0;
        }
        let of_documents = self.settled as f64 / self.documents as f64;
        let share = self.work_left().map_or(of_documents, |left| {
            // What is in work may cost more than was thought: a full bar would promise an end.
            let left = left.max(self.in_work() / 4.0);
            let spent = self.cost.work() + self.in_work();
            spent / (spent + left).max(1.0)
        });
        share.clamp(0.0, 0.99)
    }

    /// Time left at the pace of late; `None` where that is not known, see the module.
    pub fn left(&self, at: Duration) -> Option<Duration> {
        if self.open.is_empty() {
            return None;
        }
        let (first, last, seconds) = self.window()?;
        let rate = (last.work() - first.work()) / seconds;
        let left = self.work_left()? / rate;
        let since_last = at.saturating_sub(self.ends.back().copied().unwrap_or_default()).as_secs_f64();
        (left.is_finite() && left > since_last).then(|| Duration::from_secs_f64(left.min(MAX_LEFT)))
    }

    /// What the open documents will cost, less what those in work have cost so far; `None` before a
    /// document has shown what one costs.
    fn work_left(&self) -> Option<f64> {
        let expected = self.expected()?;
        Some((expected - self.in_work().min(expected * self.share_in_work())).max(0.0))
    }

    fn expected(&self) -> Option<f64> {
        if self.computed == 0 || self.computed_bytes == 0 {
            return None;
        }
        let read = self.cost.read as f64 / self.computed_bytes as f64;
        let written = self.cost.written as f64 / self.computed as f64;
        Some(self.open_bytes as f64 * read + self.open.len() as f64 * written * WRITING_TO_READING)
    }

    /// What the documents in work have cost so far.
    fn in_work(&self) -> f64 {
        let all = self.samples.back().map_or(0.0, |(_, tokens)| tokens.work());
        (all - self.cost.work()).max(0.0)
    }

    /// The part of the open documents that is in work at most: what is spent on them does not make
    /// the others cheaper.
    fn share_in_work(&self) -> f64 {
        (self.running as f64 / self.open.len().max(1) as f64).min(1.0)
    }

    /// On one line, what matters most first.
    pub fn describe(&self, at: Duration) -> String {
        let time = match self.left(at) {
            Some(left) => format!("about {} left", rounded_up(left)),
            None => format!("{} so far", in_words(at.as_secs())),
        };
        let mut parts = vec![format!("{}/{} documents", self.settled, self.documents), time];
        if self.computed > 0 {
            parts.push(format!("{:.1} documents a minute", self.documents_a_minute(at)));
        }
        if self.tokens_a_second() >= 1.0 {
            parts.push(format!("{:.0} tokens a second", self.tokens_a_second()));
        }
        parts.join(" · ")
    }
}

/// No more exact than an estimate can be, and never less than it says.
fn rounded_up(left: Duration) -> String {
    let seconds = left.as_secs_f64().ceil() as u64;
    let step = match seconds {
        ..60 => 5,
        60..600 => 10,
        600..3600 => 60,
        _ => 300,
    };
    in_words(seconds.next_multiple_of(step).max(step))
}

fn in_words(seconds: u64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        ..3600 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => duration(seconds as f64),
    }
}

#[cfg(test)]
mod tests;
