//! Token bucket with reserve and settle: an upper bound is taken before a request leaves, and
//! corrected by the real use. Pure: the time is a value.
//!
//! The bucket refills continuously, as the providers' own do. It holds ten seconds' worth, not a
//! minute's. A full minute's burst would allow two minutes' worth within one minute, which is
//! throttled, and some providers enforce a limit of 60 a minute as one a second. A request larger
//! than the bucket goes when the bucket is full, and leaves a debt.

use std::time::Duration;

use tokio::time::Instant;

/// Share of a minute's limit that may go at once.
const MAX_BURST: f64 = 10.0 / 60.0;

/// A limit for each minute.
#[derive(Debug, Clone)]
pub struct Bucket {
    capacity: f64,
    per_second: f64,
    /// What may be taken; below 0 a debt.
    level: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn per_minute(limit: u32, now: Instant) -> Self {
        let capacity = (f64::from(limit) * MAX_BURST).max(1.0);
        Self { capacity, per_second: f64::from(limit) / 60.0, level: capacity, at: now }
    }

    /// How long it takes until `amount` may be taken; zero for now.
    pub fn wait(&self, amount: f64, now: Instant) -> Duration {
        let missing = amount.min(self.capacity) - self.level_at(now);
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        // Rounded up, so that the amount is there after the wait.
        let wait = Duration::try_from_secs_f64(missing / self.per_second).unwrap_or(Duration::MAX);
        wait.saturating_add(Duration::from_micros(1))
    }

    /// Takes `amount`. A negative amount is given back, for a request that used less than was
    /// taken.
    pub fn take(&mut self, amount: f64, now: Instant) {
        self.level = self.level_at(now) - amount;
        self.at = now;
    }

    /// Lowers the level to what the provider says is left, since others use the same key.
    pub fn at_most(&mut self, remaining: f64, now: Instant) {
        self.level = self.level_at(now).min(remaining);
        self.at = now;
    }

    fn level_at(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.level + passed * self.per_second).min(self.capacity)
    }
}

#[cfg(test)]
mod tests;
