//! Keeps requests away from a provider's model that fails, and lets it back in with one request.
//!
//! ```text
//!            enough requests, enough of them failed,
//!            of enough different documents
//!   closed ─────────────────────────────▶ open ◀──────────────┐
//!      ▲                                     │ a while          │ it failed
//!      │              it was answered        ▼                  │
//!      └──────────────────────────────── half open: one request ┘
//! ```
//!
//! What one document can cause (a broken answer, none in time) counts against the provider only if several documents
//! have it: one document that a provider fails on must not stop the others. What none can cause (no connection, too
//! much to do, a key that is refused) always counts.
//!
//! While it is not closed, documents wait for the dependency; after a bound they go back to the router instead, which
//! picks another tier, and only the one request that probes is still sent.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use precis_telemetry::metrics::Gauge;
use tokio::time::Instant;

use crate::provider::{Failure, Kind};

/// So many different documents must fail.
const DOCUMENTS: usize = 3;
/// So many results are kept; a window with more is judged by the last of them.
const RESULTS: usize = 1_000;
/// How soon to ask again while the one request that probes is under way.
const PROBE_LOOK: Duration = Duration::from_secs(1);

/// When it opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// How far back results count.
    pub window: Duration,
    /// Fewer requests in the window say nothing.
    pub min_requests: usize,
    /// Share of them that must have failed, 0 to 1.
    pub failure_share: f64,
    /// How long nothing is sent.
    pub open: Duration,
}

/// What a request says about its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered, if only to say that the request is wrong.
    Answered,
    /// It failed; the document that may be why, where one may.
    Failed(Option<u64>),
    /// Nothing: it was throttled, or never sent.
    Nothing,
}

/// The state machine. Pure: the time comes in as a value.
#[derive(Debug)]
pub struct Circuit {
    limits: Limits,
    state: State,
    /// Results since it was last closed, in the window: those that say something.
    results: VecDeque<(Instant, Outcome)>,
    /// Changes with the state: what was let through in another one says nothing any more.
    period: u64,
    down_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { probing: bool },
}

/// Nothing is sent to this model now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Down {
    /// Until one request may probe again.
    pub wait: Duration,
    /// For how long it has been like that.
    pub lasted: Duration,
}

/// Whether a request may leave.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may; its result is told with this.
    Go(Pass),
    /// It may not.
    Wait(Down),
}

/// The period in which a request was let through.
#[derive(Debug, PartialEq, Eq)]
pub struct Pass {
    period: u64,
}

impl Circuit {
    /// A closed one.
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: State::Closed, results: VecDeque::new(), period: 0, down_since: None }
    }

    /// Asks for a request.
    pub fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed => Admission::Go(Pass { period: self.period }),
            State::Open { until } if now < until => Admission::Wait(self.standing(until - now, now)),
            State::HalfOpen { probing: true } => Admission::Wait(self.standing(PROBE_LOOK, now)),
            State::Open { .. } | State::HalfOpen { probing: false } => {
                self.state = State::HalfOpen { probing: true };
                Admission::Go(Pass { period: self.period })
            }
        }
    }

    /// Tells what became of a request that was let through.
    #[expect(clippy::needless_pass_by_value, reason = "one pass, one result")]
    pub fn record(&mut self, pass: Pass, outcome: Outcome, now: Instant) {
        if pass.period != self.period {
            return;
        }
        match (self.state, outcome) {
            (State::Closed, Outcome::Nothing) | (State::Open { .. }, _) => {}
            (State::Closed, _) => {
                self.results.push_back((now, outcome));
                self.forget(now);
                if outcome != Outcome::Answered && self.fails() {
                    self.down_since = Some(now);
                    self.open(now);
                }
            }
            (State::HalfOpen { .. }, Outcome::Nothing) => self.state = State::HalfOpen { probing: false },
            (State::HalfOpen { .. }, Outcome::Failed(_)) => self.open(now),
            (State::HalfOpen { .. }, Outcome::Answered) => {
                self.period += 1;
                self.state = State::Closed;
                self.down_since = None;
            }
        }
    }

    /// How it stands, unless it is closed.
    pub fn down(&self, now: Instant) -> Option<Down> {
        match self.state {
            State::Closed => None,
            State::Open { until } => Some(self.standing(until.saturating_duration_since(now), now)),
            State::HalfOpen { .. } => Some(self.standing(PROBE_LOOK, now)),
        }
    }

    fn standing(&self, wait: Duration, now: Instant) -> Down {
        Down { wait, lasted: self.down_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since)) }
    }

    /// Drops results that lie before the window.
    fn forget(&mut self, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at) > self.limits.window;
        while self.results.len() > RESULTS || self.results.front().is_some_and(|(at, _)| is_old(*at)) {
            self.results.pop_front();
        }
    }

    /// Whether the results of the window are the provider's fault.
    fn fails(&self) -> bool {
        let (mut failed, mut documents, mut of_nobody) = (0, HashSet::new(), 0);
        for (_, outcome) in &self.results {
            match outcome {
                Outcome::Failed(Some(document)) => {
                    documents.insert(document);
                    failed += 1;
                }
                Outcome::Failed(None) => {
                    of_nobody += 1;
                    failed += 1;
                }
                Outcome::Answered | Outcome::Nothing => {}
            }
        }
        let requests = self.results.len();
        requests >= self.limits.min_requests
            && f64::from(failed) >= self.limits.failure_share * requests as f64
            && documents.len() + of_nobody >= DOCUMENTS.min(self.limits.min_requests)
    }

    fn open(&mut self, now: Instant) {
        self.period += 1;
        self.results.clear();
        self.state = State::Open { until: now + self.limits.open };
    }

    /// As the gauge tells it.
    fn level(&self) -> f64 {
        match self.state {
            State::Closed => 0.0,
            State::HalfOpen { .. } => 1.0,
            State::Open { .. } => 2.0,
        }
    }
}

impl Outcome {
    /// What a failure of this document says.
    pub fn of(failure: &Failure, document: &str) -> Self {
        match failure.kind {
            Kind::Transient => {
                let mut hasher = DefaultHasher::new();
                document.hash(&mut hasher);
                Self::Failed(Some(hasher.finish()))
            }
            Kind::Overloaded | Kind::Unreachable | Kind::Auth => Self::Failed(None),
            Kind::Throttled | Kind::OutOfMoney => Self::Nothing,
            Kind::TooLong | Kind::Refused | Kind::BadRequest => Self::Answered,
        }
    }
}

/// A [`Circuit`] that tasks share, of one model of one provider.
#[derive(Debug)]
pub struct Breaker {
    labels: [String; 2],
    circuit: Mutex<Circuit>,
}

/// One request that was let through. Dropped without a result it says nothing.
#[derive(Debug)]
pub struct Admitted<'a> {
    breaker: &'a Breaker,
    pass: Option<Pass>,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(provider: &str, model: &str, limits: Limits) -> Self {
        let breaker =
            Self { labels: [provider.to_owned(), model.to_owned()], circuit: Mutex::new(Circuit::new(limits)) };
        breaker.show(&breaker.circuit());
        breaker
    }

    /// Lets one request through.
    ///
    /// # Errors
    /// [`Down`] while the provider's model is.
    pub fn admit(&self) -> Result<Admitted<'_>, Down> {
        let now = Instant::now();
        let mut circuit = self.circuit();
        let admission = circuit.admit(now);
        self.show(&circuit);
        match admission {
            Admission::Go(pass) => Ok(Admitted { breaker: self, pass: Some(pass) }),
            Admission::Wait(down) => Err(down),
        }
    }

    /// How it stands, unless it is closed.
    pub fn down(&self) -> Option<Down> {
        self.circuit().down(Instant::now())
    }

    fn show(&self, circuit: &Circuit) {
        let [provider, model] = &self.labels;
        Gauge::ApiBreakerState.set(circuit.level(), &[provider, model]);
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admitted<'_> {
    /// Tells what became of it.
    pub fn record(mut self, outcome: Outcome) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome) {
        let Some(pass) = self.pass.take() else { return };
        let mut circuit = self.breaker.circuit();
        let now = Instant::now();
        let was_down = circuit.down(now).is_some();
        circuit.record(pass, outcome, now);
        self.breaker.show(&circuit);
        let is_down = circuit.down(now).is_some();
        drop(circuit);
        let [provider, model] = &self.breaker.labels;
        match (was_down, is_down) {
            (false, true) => tracing::warn!(provider, model, "the provider looks down: requests are held back"),
            (true, false) => tracing::info!(provider, model, "the provider answers again"),
            _ => {}
        }
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.finish(Outcome::Nothing);
    }
}

#[cfg(test)]
mod tests;
