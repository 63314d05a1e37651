//! A token bucket with reserve-then-settle: what a request may use is taken before it leaves and
//! corrected by what it did use. Pure: the time comes in as a value.
//!
//! Refilled continuously, as the providers' own are. It holds ten seconds' worth, not a minute's:
//! two minutes' worth within one minute would be throttled, and some providers enforce a limit of
//! 60 a minute as one a second. A request larger than that goes when the bucket is full and leaves
//! a debt.

use std::time::Duration;

use tokio::time::Instant;

/// How much of a minute may go at once.
const BURST: f64 = 10.0 / 60.0;

/// A limit a minute.
#[derive(Debug, Clone)]
pub struct Bucket {
    capacity: f64,
    per_second: f64,
    /// Below 0: a debt.
    level: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn per_minute(limit: u32, now: Instant) -> Self {
        let capacity = (f64::from(limit) * BURST).max(1.0);
        Self { capacity, per_second: f64::from(limit) / 60.0, level: capacity, at: now }
    }

    /// How long it takes until `amount` may be taken; nothing: now.
    pub fn wait(&self, amount: f64, now: Instant) -> Duration {
        let missing = amount.min(self.capacity) - self.level_at(now);
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        // Rounded up, so that after the wait it is there.
        let wait = Duration::try_from_secs_f64(missing / self.per_second).unwrap_or(Duration::MAX);
        wait.saturating_add(Duration::from_micros(1))
    }

    /// Takes `amount`, or, below 0, gives it back: a request that used less than was taken for it.
    pub fn take(&mut self, amount: f64, now: Instant) {
        self.level = self.level_at(now) - amount;
        self.at = now;
    }

    /// Takes note that the provider says this much is left: others use the same key.
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
