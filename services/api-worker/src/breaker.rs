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
//! What one document can cause (a broken answer, none in time) counts against the provider only if
//! several documents have it: one document that a provider fails on must not stop the others. What
//! none can cause (no connection, too much to do, a key that is refused) always counts.
//!
//! A provider whose answers cannot be read answers: it is not down, and documents whose answers can
//! be read go on. Only where so many in a row cannot that no other seems to come, a second such
//! state machine holds requests back, since each is paid for.
//!
//! While one of the two is not closed, documents wait for the dependency; after a bound they go
//! back to the router instead, which picks another tier, and only the one request that probes is
//! still sent.

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
/// So many answers in a row, of [`DOCUMENTS`] documents at least, that cannot be read hold requests
/// back.
const MAX_UNREADABLE: usize = 20;
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
    /// It was answered, and the answer to this document cannot be read.
    Unreadable(u64),
    /// Nothing: it was throttled, or never sent.
    Nothing,
}

/// The state machine. Pure: the time comes in as a value.
#[derive(Debug)]
pub struct Circuit {
    limits: Limits,
    /// Whether an answer makes the failures before it count no more.
    in_a_row: bool,
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
        Self { limits, in_a_row: false, state: State::Closed, results: VecDeque::new(), period: 0, down_since: None }
    }

    /// A closed one that opens when so many failures follow each other, however long that takes.
    pub fn in_a_row(failures: usize, open: Duration) -> Self {
        let limits = Limits { window: Duration::MAX, min_requests: failures, failure_share: 1.0, open };
        Self { in_a_row: true, ..Self::new(limits) }
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
            (State::Closed, Outcome::Answered) if self.in_a_row => self.results.clear(),
            (State::Closed, _) => {
                self.results.push_back((now, outcome));
                self.forget(now);
                if outcome != Outcome::Answered && self.fails() {
                    self.down_since = Some(now);
                    self.open(now);
                }
            }
            (State::HalfOpen { .. }, Outcome::Nothing) => self.state = State::HalfOpen { probing: false },
            (State::HalfOpen { .. }, Outcome::Failed(_) | Outcome::Unreadable(_)) => self.open(now),
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
                Outcome::Failed(Some(document)) | Outcome::Unreadable(document) => {
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
            Kind::Transient => Self::Failed(Some(hash(document))),
            Kind::Unreadable => Self::Unreadable(hash(document)),
            Kind::Overloaded | Kind::Unreachable | Kind::Auth => Self::Failed(None),
            Kind::Throttled | Kind::OutOfMoney => Self::Nothing,
            Kind::TooLong | Kind::Refused | Kind::BadRequest => Self::Answered,
        }
    }
}

fn hash(document: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    document.hash(&mut hasher);
    hasher.finish()
}

/// Why nothing is sent to a model now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBack {
    /// It looks down.
    Down(Down),
    /// It answers, and too many answers in a row could not be read.
    Unreadable(Down),
}

/// The [`Circuit`]s that tasks share, of one model of one provider.
#[derive(Debug)]
pub struct Breaker {
    labels: [String; 2],
    circuits: Mutex<Circuits>,
}

#[derive(Debug)]
struct Circuits {
    /// Whether it answers.
    answers: Circuit,
    /// Whether its answers can be read.
    readable: Circuit,
}

/// One request that was let through. Dropped without a result it says nothing.
#[derive(Debug)]
pub struct Admitted<'a> {
    breaker: &'a Breaker,
    passes: Option<(Pass, Pass)>,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(provider: &str, model: &str, limits: Limits) -> Self {
        let readable = Circuit::in_a_row(MAX_UNREADABLE, limits.open);
        let circuits = Circuits { answers: Circuit::new(limits), readable };
        let breaker = Self { labels: [provider.to_owned(), model.to_owned()], circuits: Mutex::new(circuits) };
        breaker.show(&breaker.circuits());
        breaker
    }

    /// Lets one request through.
    ///
    /// # Errors
    /// [`HeldBack`] while the provider's model is down or its answers cannot be read.
    pub fn admit(&self) -> Result<Admitted<'_>, HeldBack> {
        let now = Instant::now();
        let mut circuits = self.circuits();
        let admission = match circuits.readable.admit(now) {
            Admission::Wait(down) => Err(HeldBack::Unreadable(down)),
            Admission::Go(readable) => match circuits.answers.admit(now) {
                Admission::Go(answers) => Ok(Admitted { breaker: self, passes: Some((answers, readable)) }),
                Admission::Wait(down) => {
                    // Nothing is sent: whoever would have probed did not.
                    circuits.readable.record(readable, Outcome::Nothing, now);
                    Err(HeldBack::Down(down))
                }
            },
        };
        self.show(&circuits);
        admission
    }

    /// How it stands, unless it answers.
    pub fn down(&self) -> Option<Down> {
        self.circuits().answers.down(Instant::now())
    }

    fn show(&self, circuits: &Circuits) {
        let [provider, model] = &self.labels;
        Gauge::ApiBreakerState.set(circuits.answers.level(), &[provider, model]);
        Gauge::ApiUnreadableState.set(circuits.readable.level(), &[provider, model]);
    }

    fn circuits(&self) -> MutexGuard<'_, Circuits> {
        self.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Circuits {
    /// Whether it looks down, and whether its answers cannot be read.
    fn are_open(&self, now: Instant) -> (bool, bool) {
        (self.answers.down(now).is_some(), self.readable.down(now).is_some())
    }

    fn record(&mut self, (answers, readable): (Pass, Pass), outcome: Outcome, now: Instant) {
        let (answered, was_read) = match outcome {
            Outcome::Unreadable(_) => (Outcome::Answered, outcome),
            Outcome::Failed(_) => (outcome, Outcome::Nothing),
            Outcome::Answered | Outcome::Nothing => (outcome, outcome),
        };
        self.answers.record(answers, answered, now);
        self.readable.record(readable, was_read, now);
    }
}

impl Admitted<'_> {
    /// Tells what became of it.
    pub fn record(mut self, outcome: Outcome) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome) {
        let Some(passes) = self.passes.take() else { return };
        let mut circuits = self.breaker.circuits();
        let now = Instant::now();
        let before = circuits.are_open(now);
        circuits.record(passes, outcome, now);
        self.breaker.show(&circuits);
        let after = circuits.are_open(now);
        drop(circuits);
        let [provider, model] = &self.breaker.labels;
        match (before.0, after.0) {
            (false, true) => tracing::warn!(provider, model, "the provider looks down: requests are held back"),
            (true, false) => tracing::info!(provider, model, "the provider answers again"),
            _ => {}
        }
        match (before.1, after.1) {
            (false, true) => tracing::error!(
                provider,
                model,
                answers = MAX_UNREADABLE,
                "so many answers in a row could not be read: requests are held back; does this address speak the provider's format?"
            ),
            (true, false) => tracing::info!(provider, model, "the provider's answers can be read again"),
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
