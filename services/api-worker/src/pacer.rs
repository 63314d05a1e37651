//! How fast, and whether at all, requests may go to one provider under one key.
//!
//! - **Bound**: never more in flight than the configured ceiling.
//! - **Adaptive**: a throttled or overloaded answer halves the bound, once for all requests that were in flight
//!   together; each success wins a little back (additive increase, multiplicative decrease).
//! - **Hold**: a provider's `Retry-After` concerns the key, not the document: nobody sends before it has passed.
//! - **Closed**: out of money, nothing is sent for a while; documents go to another tier at once instead of being
//!   refused one by one.
//! - **Looks down**: failures of several different documents in a row without a success are the provider's fault, one
//!   document's are its own. This decides whether a document waits or is given up.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::provider::{Failure, Kind};

/// How long nothing is sent after the provider said that there is no money.
pub const MONEY_HOLD: Duration = Duration::from_mins(5);
/// So many different documents in a row must fail for the provider to look down.
const DOWN_AFTER: usize = 3;

/// Paces requests. Shared by all tiers that use one provider.
#[derive(Debug)]
pub struct Pacer {
    ceiling: u32,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    limit: f64,
    in_flight: u32,
    /// When the limit was last halved: requests that were sent before say nothing new.
    cut_at: Option<Instant>,
    not_before: Option<Instant>,
    closed_until: Option<Instant>,
    /// Documents that failed since the last success, up to [`DOWN_AFTER`].
    failing: HashSet<String>,
}

/// Nothing may be sent now: there is no money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// The right to send one request. Dropping it frees its place.
#[derive(Debug)]
pub struct Permit<'a> {
    pacer: &'a Pacer,
    sent_at: Instant,
}

enum Turn {
    Now,
    After(Instant),
    WhenChanged,
}

impl Pacer {
    /// At most `ceiling` requests at once.
    pub fn new(ceiling: u32) -> Self {
        let ceiling = ceiling.max(1);
        let state = State {
            limit: f64::from(ceiling),
            in_flight: 0,
            cut_at: None,
            not_before: None,
            closed_until: None,
            failing: HashSet::new(),
        };
        Self { ceiling, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Waits for a place. Dropping the future gives it up.
    ///
    /// # Errors
    /// [`Closed`] at once while there is no money.
    pub async fn enter(&self) -> Result<Permit<'_>, Closed> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that a place freed in between is not missed.
            changed.as_mut().enable();
            match self.turn()? {
                Turn::Now => return Ok(Permit { pacer: self, sent_at: Instant::now() }),
                Turn::After(moment) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(moment) => {}
                        () = changed => {}
                    }
                }
                Turn::WhenChanged => changed.await,
            }
        }
    }

    fn turn(&self) -> Result<Turn, Closed> {
        let now = Instant::now();
        let mut state = self.state();
        if state.closed_until.is_some_and(|until| now < until) {
            return Err(Closed);
        }
        if let Some(moment) = state.not_before.filter(|moment| now < *moment) {
            return Ok(Turn::After(moment));
        }
        // At least one: else nothing would ever tell that it is over.
        if f64::from(state.in_flight) < state.limit.floor().max(1.0) {
            state.in_flight += 1;
            return Ok(Turn::Now);
        }
        Ok(Turn::WhenChanged)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The request was answered.
    pub fn succeeded(&self) {
        let mut state = self.pacer.state();
        state.limit = (state.limit + 1.0 / state.limit).min(f64::from(self.pacer.ceiling));
        state.failing.clear();
        drop(state);
        self.pacer.changed.notify_waiters();
    }

    /// The request failed for this document. Returns whether the provider looks down.
    pub fn failed(&self, failure: &Failure, document: &str) -> bool {
        let now = Instant::now();
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
            Kind::OutOfMoney => {
                state.closed_until = Some(now + MONEY_HOLD);
                drop(state);
                // Whoever waits for a place must hear of it.
                self.pacer.changed.notify_waiters();
                return false;
            }
            _ => {}
        }
        if failure.kind.is_retryable() && state.failing.len() < DOWN_AFTER {
            state.failing.insert(document.to_owned());
        }
        state.failing.len() >= DOWN_AFTER
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.pacer.state().in_flight -= 1;
        self.pacer.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
