//! The running sum (Page, Biometrika 1954), one document at a time.

use serde::{Deserialize, Serialize};

use super::{Design, Direction};
use crate::StatisticsError;

/// A billionth of a deviation: the sum's unit.
const UNITS: f64 = 1e9;

/// The test of one series: its design and its state.
///
/// The sum is an integer and the design's numbers have 15 digits, so a state that was written as
/// JSON and read again goes on with equal results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cusum {
    design: Design,
    /// Sum in billionths of a deviation, at least 0.
    sum: i64,
    /// Documents seen in all.
    seen: u64,
    /// Documents since the sum was last 0.
    since_zero: u64,
}

/// Quality has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Documents of the series up to the alarm.
    pub seen: u64,
    /// About how many documents ago the change was: since the sum was last 0 (Page's estimate).
    pub changed_documents_ago: u64,
}

impl Cusum {
    /// A test that has seen nothing.
    pub fn new(design: Design) -> Self {
        Self { design, sum: 0, seen: 0, since_zero: 0 }
    }

    /// The parameters.
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// How far the sum is on its way to an alarm: from 0 to less than 1.
    pub fn level(&self) -> f64 {
        self.sum as f64 / (self.design.threshold * UNITS)
    }

    /// Documents seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Takes the next document's value in. After an alarm the sum starts at 0 again.
    ///
    /// # Errors
    /// `value_not_finite`; the state is then as it was.
    pub fn push(&mut self, value: f64) -> Result<Option<Alarm>, StatisticsError> {
        if !value.is_finite() {
            return Err(StatisticsError::NotFinite { what: "the series", position: self.seen as usize });
        }
        Ok(self.take(1, value))
    }

    /// Takes documents in of which only number and mean are known, such as those of an hour.
    ///
    /// The order of documents within a batch does not matter. The sum is looked at after the last
    /// of them and does not start again in between. So it is at most what it would be document by
    /// document: false alarms are as rare as stated or rarer, and an alarm comes about a batch
    /// later.
    ///
    /// # Errors
    /// `value_not_finite`; the state is then as it was.
    pub fn push_batch(&mut self, count: u64, mean: f64) -> Result<Option<Alarm>, StatisticsError> {
        if !mean.is_finite() {
            return Err(StatisticsError::NotFinite { what: "the batch's mean", position: 0 });
        }
        Ok(self.take(count, mean))
    }

    /// Takes in `count` documents of this mean, which is finite.
    fn take(&mut self, count: u64, mean: f64) -> Option<Alarm> {
        let worse = match self.design.target.direction {
            Direction::Fall => self.design.origin - mean,
            Direction::Rise => mean - self.design.origin,
        };
        self.seen += count;
        // A value beyond the range of the sum counts as its end.
        self.sum = self.sum.saturating_add((count as f64 * (worse / self.design.deviation * UNITS)) as i64);
        if self.sum <= 0 {
            self.sum = 0;
            self.since_zero = 0;
            return None;
        }
        self.since_zero += count;
        if self.sum < (self.design.threshold * UNITS) as i64 {
            return None;
        }
        let alarm = Alarm { seen: self.seen, changed_documents_ago: self.since_zero };
        self.sum = 0;
        self.since_zero = 0;
        Some(alarm)
    }
}

#[cfg(test)]
mod tests;
