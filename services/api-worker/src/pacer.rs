//! Pace of requests to one provider under one key.
//!
//! - **Bound**: never more requests in flight than the configured ceiling.
//! - **Adaptive**: a throttled or overloaded answer halves the bound, once for all requests that
//!   were in flight together; each success raises it a little (additive increase, multiplicative
//!   decrease).
//! - **A minute's limits**: requests and tokens have a [`Bucket`] each where the settings know the
//!   provider's limits. A request takes an upper bound of its tokens and gives the unused rest
//!   back.
//! - **Hold**: a provider's `Retry-After` is about the key, not the document: nobody sends before
//!   that time has passed.
//! - **No money**: nothing is sent for a while, and documents go to another tier at once instead of
//!   being refused one by one.
//!
//! Requests go in the order in which they came. Otherwise a large request would wait for ever
//! behind small ones, which need less.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use precis_base::lock::locked;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bucket::Bucket;
use crate::provider::{Billing, Failure, FailureKind, Remaining};

/// How long nothing is sent after the provider said that there is no money.
pub const OUT_OF_MONEY_PAUSE: Duration = Duration::from_mins(5);

/// Limits of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Requests at once.
    pub concurrency: u32,
    /// Requests a minute, where that is known.
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute, read and generated, where that is known.
    pub tokens_per_minute: Option<u32>,
}

/// Paces requests. Shared by all tiers that use one provider.
#[derive(Debug)]
pub struct Pacer {
    ceiling: u32,
    state: Mutex<PacerState>,
    changed: Notify,
    /// Queue for a place: its holder is first, the others wait for the lock.
    queue: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct PacerState {
    limit: f64,
    in_flight: u32,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    /// When the limit was last halved. Failures of requests that were sent before do not count
    /// again.
    cut_at: Option<Instant>,
    not_before: Option<Instant>,
    closed_until: Option<Instant>,
}

/// Nothing may be sent now, since the account has no money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoMoney;

/// The right to send one request. Dropping the permit frees its place. A permit without a result
/// gives everything back, since nothing was sent.
#[derive(Debug)]
pub struct Permit<'a> {
    pacer: &'a Pacer,
    sent_at: Instant,
    tokens: f64,
    over: bool,
}

/// Use of a minute's limits.
#[derive(Debug, Clone, Copy)]
struct Used {
    requests: f64,
    tokens: f64,
}

enum Entry {
    Now,
    After(Duration),
    WhenChanged,
}

impl Pacer {
    /// A pacer at full speed.
    pub fn new(pace: Pace) -> Self {
        let ceiling = pace.concurrency.max(1);
        let now = Instant::now();
        let bucket = |limit: Option<u32>| limit.map(|limit| Bucket::per_minute(limit, now));
        let state = PacerState {
            limit: f64::from(ceiling),
            in_flight: 0,
            requests: bucket(pace.requests_per_minute),
            tokens: bucket(pace.tokens_per_minute),
            cut_at: None,
            not_before: None,
            closed_until: None,
        };
        Self { ceiling, state: Mutex::new(state), changed: Notify::new(), queue: tokio::sync::Mutex::default() }
    }

    /// Waits for a place for a request of up to `tokens`. Dropping the future gives the place up.
    ///
    /// # Errors
    /// [`NoMoney`] at once while there is no money.
    pub async fn enter(&self, tokens: u64) -> Result<Permit<'_>, NoMoney> {
        let tokens = tokens as f64;
        let _first = self.queue.lock().await;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the attempt, so that a place freed in between is not missed.
            changed.as_mut().enable();
            match self.try_enter(tokens)? {
                Entry::Now => return Ok(Permit { pacer: self, sent_at: Instant::now(), tokens, over: false }),
                Entry::After(wait) => {
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = changed => {}
                    }
                }
                Entry::WhenChanged => changed.await,
            }
        }
    }

    fn try_enter(&self, tokens: f64) -> Result<Entry, NoMoney> {
        let now = Instant::now();
        let mut state = self.state();
        if state.closed_until.is_some_and(|until| now < until) {
            return Err(NoMoney);
        }
        if let Some(until) = state.not_before.filter(|until| now < *until) {
            return Ok(Entry::After(until - now));
        }
        // At least one: without a request nothing would show that the throttling is over.
        if f64::from(state.in_flight) >= state.limit.floor().max(1.0) {
            return Ok(Entry::WhenChanged);
        }
        let wait = |bucket: &Option<Bucket>, amount| bucket.as_ref().map_or(Duration::ZERO, |it| it.wait(amount, now));
        let wait = wait(&state.requests, 1.0).max(wait(&state.tokens, tokens));
        if !wait.is_zero() {
            return Ok(Entry::After(wait));
        }
        state.in_flight += 1;
        state.use_up(Used { requests: 1.0, tokens }, now);
        Ok(Entry::Now)
    }

    fn state(&self) -> MutexGuard<'_, PacerState> {
        locked(&self.state)
    }
}

impl PacerState {
    /// Takes from the buckets; negative amounts are given back.
    fn use_up(&mut self, used: Used, now: Instant) {
        for (bucket, amount) in [(&mut self.requests, used.requests), (&mut self.tokens, used.tokens)] {
            if let Some(bucket) = bucket {
                bucket.take(amount, now);
            }
        }
    }
}

impl Permit<'_> {
    /// Records an answer: the tokens that it used, where the provider counted them, and what is
    /// left of the limits.
    pub fn succeeded(mut self, tokens: Option<u64>, remaining: Remaining) {
        let now = Instant::now();
        self.used(Used { requests: 1.0, tokens: tokens.map_or(self.tokens, |tokens| tokens as f64) });
        let mut state = self.pacer.state();
        state.limit = (state.limit + 1.0 / state.limit).min(f64::from(self.pacer.ceiling));
        // After the correction, since the provider has counted this request already.
        let PacerState { requests, tokens, .. } = &mut *state;
        for (bucket, left) in [(requests, remaining.requests), (tokens, remaining.tokens)] {
            if let (Some(bucket), Some(left)) = (bucket, left) {
                bucket.at_most(left as f64, now);
            }
        }
    }

    /// Records a failure.
    pub fn failed(mut self, failure: &Failure) {
        let now = Instant::now();
        let tokens = match failure.billing {
            Billing::NotBilled => 0.0,
            Billing::Unknown => self.tokens,
        };
        self.used(Used { requests: 1.0, tokens });
        let mut state = self.pacer.state();
        match failure.kind {
            FailureKind::Throttled | FailureKind::Overloaded => {
                if state.cut_at.is_none_or(|cut| self.sent_at > cut) {
                    state.limit = (state.limit / 2.0).max(1.0);
                    state.cut_at = Some(now);
                }
                if let Some(wait) = failure.retry_after {
                    let until = now + wait;
                    state.not_before = Some(state.not_before.map_or(until, |earlier| earlier.max(until)));
                }
            }
            FailureKind::OutOfMoney => state.closed_until = Some(now + OUT_OF_MONEY_PAUSE),
            _ => {}
        }
    }

    /// Replaces the taken amounts by the used ones.
    fn used(&mut self, used: Used) {
        self.over = true;
        let correction = Used { requests: used.requests - 1.0, tokens: used.tokens - self.tokens };
        self.pacer.state().use_up(correction, Instant::now());
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.used(Used { requests: 0.0, tokens: 0.0 });
        }
        self.pacer.state().in_flight -= 1;
        // Waiting requests must learn of the free place, or that there is no money.
        self.pacer.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
