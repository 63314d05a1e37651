//! How fast, and whether at all, requests may go to one provider under one key.
//!
//! - **Bound**: never more in flight than the configured ceiling.
//! - **Adaptive**: a throttled or overloaded answer halves the bound, once for all requests that
//!   were in flight together; each success wins a little back (additive increase, multiplicative
//!   decrease).
//! - **A minute's limits**: requests and tokens have a [`Bucket`] each where the settings know the
//!   provider's limits. A request takes an upper bound of its tokens and gives back what it did not
//!   use.
//! - **Hold**: a provider's `Retry-After` concerns the key, not the document: nobody sends before
//!   it has passed.
//! - **Closed**: out of money, nothing is sent for a while; documents go to another tier at once
//!   instead of being refused one by one.
//!
//! Requests go in the order in which they came: a large one would wait for ever behind small ones
//! that need less.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bucket::Bucket;
use crate::provider::{Billing, Failure, Kind, Remaining};

/// How long nothing is sent after the provider said that there is no money.
pub const MONEY_HOLD: Duration = Duration::from_mins(5);

/// What a provider allows.
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
    state: Mutex<State>,
    changed: Notify,
    /// Who waits for a place: the first in it asks, the others stand behind.
    queue: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    limit: f64,
    in_flight: u32,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    /// When the limit was last halved: requests that were sent before say nothing new.
    cut_at: Option<Instant>,
    not_before: Option<Instant>,
    closed_until: Option<Instant>,
}

/// Nothing may be sent now: there is no money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// The right to send one request. Dropping it frees its place; without a result nothing was sent
/// and all is given back.
#[derive(Debug)]
pub struct Permit<'a> {
    pacer: &'a Pacer,
    sent_at: Instant,
    tokens: f64,
    over: bool,
}

/// What a request took of a minute's limits.
#[derive(Debug, Clone, Copy)]
struct Used {
    requests: f64,
    tokens: f64,
}

enum Turn {
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
        let state = State {
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

    /// Waits for a place for a request of up to so many tokens. Dropping the future gives it up.
    ///
    /// # Errors
    /// [`Closed`] at once while there is no money.
    pub async fn enter(&self, tokens: u64) -> Result<Permit<'_>, Closed> {
        let tokens = tokens as f64;
        let _first = self.queue.lock().await;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that a place freed in between is not missed.
            changed.as_mut().enable();
            match self.turn(tokens)? {
                Turn::Now => return Ok(Permit { pacer: self, sent_at: Instant::now(), tokens, over: false }),
                Turn::After(wait) => {
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = changed => {}
                    }
                }
                Turn::WhenChanged => changed.await,
            }
        }
    }

    fn turn(&self, tokens: f64) -> Result<Turn, Closed> {
        let now = Instant::now();
        let mut state = self.state();
        if state.closed_until.is_some_and(|until| now < until) {
            return Err(Closed);
        }
        if let Some(moment) = state.not_before.filter(|moment| now < *moment) {
            return Ok(Turn::After(moment - now));
        }
        // At least one: else nothing would ever tell that it is over.
        if f64::from(state.in_flight) >= state.limit.floor().max(1.0) {
            return Ok(Turn::WhenChanged);
        }
        let wait = |bucket: &Option<Bucket>, amount| bucket.as_ref().map_or(Duration::ZERO, |it| it.wait(amount, now));
        let wait = wait(&state.requests, 1.0).max(wait(&state.tokens, tokens));
        if !wait.is_zero() {
            return Ok(Turn::After(wait));
        }
        state.in_flight += 1;
        state.use_up(Used { requests: 1.0, tokens }, now);
        Ok(Turn::Now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes from the buckets; below 0 it gives back.
    fn use_up(&mut self, used: Used, now: Instant) {
        for (bucket, amount) in [(&mut self.requests, used.requests), (&mut self.tokens, used.tokens)] {
            if let Some(bucket) = bucket {
                bucket.take(amount, now);
            }
        }
    }
}

impl Permit<'_> {
    /// The request was answered and used so many tokens, if the provider said how many, and left so
    /// much.
    pub fn succeeded(mut self, tokens: Option<u64>, remaining: Remaining) {
        let now = Instant::now();
        self.used(Used { requests: 1.0, tokens: tokens.map_or(self.tokens, |tokens| tokens as f64) });
        let mut state = self.pacer.state();
        state.limit = (state.limit + 1.0 / state.limit).min(f64::from(self.pacer.ceiling));
        // After the correction: the provider has counted this request already.
        let State { requests, tokens, .. } = &mut *state;
        for (bucket, left) in [(requests, remaining.requests), (tokens, remaining.tokens)] {
            if let (Some(bucket), Some(left)) = (bucket, left) {
                bucket.at_most(left as f64, now);
            }
        }
    }

    /// The request failed.
    pub fn failed(mut self, failure: &Failure) {
        let now = Instant::now();
        let tokens = match failure.billing {
            Billing::NotBilled => 0.0,
            Billing::Unknown => self.tokens,
        };
        self.used(Used { requests: 1.0, tokens });
        let mut state = self.pacer.state();
        match failure.kind {
            Kind::Throttled | Kind::Overloaded => {
                if state.cut_at.is_none_or(|cut| self.sent_at > cut) {
                    state.limit = (state.limit / 2.0).max(1.0);
                    state.cut_at = Some(now);
                }
                if let Some(wait) = failure.retry_after {
                    let until = now + wait;
                    state.not_before = Some(state.not_before.map_or(until, |earlier| earlier.max(until)));
                }
            }
            Kind::OutOfMoney => state.closed_until = Some(now + MONEY_HOLD),
            _ => {}
        }
    }

    /// Corrects what was taken by what was used.
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
        // Whoever waits must hear of the place, and of there being no money.
        self.pacer.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
