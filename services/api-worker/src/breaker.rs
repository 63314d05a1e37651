//! Circuit breaker: holds requests to a failing model back, and probes the model with one request.
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
//! Some failures may be one document's fault: a broken answer, or none in time. They count against
//! the provider only if several documents have them, since one document must not stop the others.
//! Failures that no document can cause always count: no connection, an overloaded provider, a
//! refused key.
//!
//! A provider with unreadable answers is not down, and documents whose answers can be read go on.
//! After many unreadable answers in a row a second circuit holds requests back, since each request
//! is paid for.
//!
//! While one of the two circuits is not closed, documents wait. After a bound they go back to the
//! router, which picks another tier, and only the probing request is still sent.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use precis_base::lock::locked;
use precis_telemetry::metrics::Gauge;
use tokio::time::Instant;

use crate::provider::{Failure, FailureKind};

/// Different documents that must have failed before the circuit opens.
const MIN_DOCUMENTS: usize = 3;
/// Results that are kept. A window with more is judged by the last of them.
const MAX_RESULTS: usize = 1_000;
/// Unreadable answers in a row, of [`MIN_DOCUMENTS`] documents at least, that hold requests back.
const MAX_UNREADABLE: usize = 20;
/// How often a document asks for admission while the probing request is in flight.
const PROBE_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// When a circuit opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// How far back results count.
    pub window: Duration,
    /// Requests in the window below which the circuit stays closed.
    pub min_requests: usize,
    /// Share of the window's requests that must have failed, 0 to 1.
    pub failure_share: f64,
    /// How long nothing is sent after the circuit opened.
    pub open: Duration,
}

/// Result of a request, as far as it says something about the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallResult {
    /// The provider answered, if only to say that the request is wrong.
    Answered,
    /// The request failed. The document is given where it may be the cause.
    Failed(Option<u64>),
    /// The provider answered, and the answer to this document cannot be read.
    Unreadable(u64),
    /// Nothing is known: the request was throttled, or never sent.
    Nothing,
}

/// The breaker's state machine. Pure: the time is a value.
#[derive(Debug)]
pub struct Circuit {
    limits: Limits,
    /// Whether an answer clears the failures before it.
    in_a_row: bool,
    state: CircuitState,
    /// Results in the window since the circuit was last closed, without [`CallResult::Nothing`].
    results: VecDeque<(Instant, CallResult)>,
    /// Number of the present state. Results of requests from an earlier period are ignored.
    period: u64,
    down_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CircuitState {
    Closed,
    Open { until: Instant },
    HalfOpen { probing: bool },
}

/// State of a circuit that is not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Down {
    /// Time until one request may probe again.
    pub wait: Duration,
    /// How long the circuit has not been closed.
    pub lasted: Duration,
}

/// Answer of a circuit to a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// The request may leave. Its result is recorded with this pass.
    Go(Pass),
    /// The request may not leave.
    Wait(Down),
}

/// Proof that a request was admitted, with the period.
#[derive(Debug, PartialEq, Eq)]
pub struct Pass {
    period: u64,
}

impl Circuit {
    /// A closed circuit.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            in_a_row: false,
            state: CircuitState::Closed,
            results: VecDeque::new(),
            period: 0,
            down_since: None,
        }
    }

    /// A closed circuit that opens after so many failures in a row, however long they take.
    pub fn in_a_row(failures: usize, open: Duration) -> Self {
        let limits = Limits { window: Duration::MAX, min_requests: failures, failure_share: 1.0, open };
        Self { in_a_row: true, ..Self::new(limits) }
    }

    /// Decides whether a request may leave.
    pub fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            CircuitState::Closed => Admission::Go(Pass { period: self.period }),
            CircuitState::Open { until } if now < until => Admission::Wait(self.down_now(until - now, now)),
            CircuitState::HalfOpen { probing: true } => Admission::Wait(self.down_now(PROBE_POLL_INTERVAL, now)),
            CircuitState::Open { .. } | CircuitState::HalfOpen { probing: false } => {
                self.state = CircuitState::HalfOpen { probing: true };
                Admission::Go(Pass { period: self.period })
            }
        }
    }

    /// Records the result of an admitted request.
    #[expect(clippy::needless_pass_by_value, reason = "one pass, one result")]
    pub fn record(&mut self, pass: Pass, outcome: CallResult, now: Instant) {
        if pass.period != self.period {
            return;
        }
        match (self.state, outcome) {
            (CircuitState::Closed, CallResult::Nothing) | (CircuitState::Open { .. }, _) => {}
            (CircuitState::Closed, CallResult::Answered) if self.in_a_row => self.results.clear(),
            (CircuitState::Closed, _) => {
                self.results.push_back((now, outcome));
                self.forget(now);
                if outcome != CallResult::Answered && self.fails() {
                    self.down_since = Some(now);
                    self.open(now);
                }
            }
            (CircuitState::HalfOpen { .. }, CallResult::Nothing) => {
                self.state = CircuitState::HalfOpen { probing: false }
            }
            (CircuitState::HalfOpen { .. }, CallResult::Failed(_) | CallResult::Unreadable(_)) => self.open(now),
            (CircuitState::HalfOpen { .. }, CallResult::Answered) => {
                self.period += 1;
                self.state = CircuitState::Closed;
                self.down_since = None;
            }
        }
    }

    /// The circuit's state, unless it is closed.
    pub fn down(&self, now: Instant) -> Option<Down> {
        match self.state {
            CircuitState::Closed => None,
            CircuitState::Open { until } => Some(self.down_now(until.saturating_duration_since(now), now)),
            CircuitState::HalfOpen { .. } => Some(self.down_now(PROBE_POLL_INTERVAL, now)),
        }
    }

    fn down_now(&self, wait: Duration, now: Instant) -> Down {
        Down { wait, lasted: self.down_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since)) }
    }

    /// Drops results from before the window.
    fn forget(&mut self, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at) > self.limits.window;
        while self.results.len() > MAX_RESULTS || self.results.front().is_some_and(|(at, _)| is_old(*at)) {
            self.results.pop_front();
        }
    }

    /// Whether the window's results show that the provider fails.
    fn fails(&self) -> bool {
        let (mut failed, mut documents, mut without_document) = (0, HashSet::new(), 0);
        for (_, outcome) in &self.results {
            match outcome {
                CallResult::Failed(Some(document)) | CallResult::Unreadable(document) => {
                    documents.insert(document);
                    failed += 1;
                }
                CallResult::Failed(None) => {
                    without_document += 1;
                    failed += 1;
                }
                CallResult::Answered | CallResult::Nothing => {}
            }
        }
        let requests = self.results.len();
        requests >= self.limits.min_requests
            && f64::from(failed) >= self.limits.failure_share * requests as f64
            && documents.len() + without_document >= MIN_DOCUMENTS.min(self.limits.min_requests)
    }

    fn open(&mut self, now: Instant) {
        self.period += 1;
        self.results.clear();
        self.state = CircuitState::Open { until: now + self.limits.open };
    }

    /// The state as the gauge's value.
    fn level(&self) -> f64 {
        match self.state {
            CircuitState::Closed => 0.0,
            CircuitState::HalfOpen { .. } => 1.0,
            CircuitState::Open { .. } => 2.0,
        }
    }
}

impl CallResult {
    /// What a failure says about the provider.
    pub fn of(failure: &Failure, document: &str) -> Self {
        match failure.kind {
            FailureKind::Transient => Self::Failed(Some(hash(document))),
            FailureKind::Unreadable => Self::Unreadable(hash(document)),
            FailureKind::Overloaded | FailureKind::Unreachable | FailureKind::Auth => Self::Failed(None),
            FailureKind::Throttled | FailureKind::OutOfMoney => Self::Nothing,
            FailureKind::TooLong | FailureKind::Refused | FailureKind::BadRequest => Self::Answered,
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
    /// The model fails.
    Down(Down),
    /// The model answers, and too many answers in a row could not be read.
    Unreadable(Down),
}

/// The two circuits of one model of one provider, shared by tasks.
#[derive(Debug)]
pub struct Breaker {
    labels: [String; 2],
    circuits: Mutex<Circuits>,
}

#[derive(Debug)]
struct Circuits {
    /// Opens while the model does not answer.
    answers: Circuit,
    /// Opens while the model's answers cannot be read.
    readable: Circuit,
}

/// One admitted request. Dropped without a result it says nothing about the provider.
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

    /// Admits one request.
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
                    // Nothing is sent, so the readable circuit must not wait for a probe.
                    circuits.readable.record(readable, CallResult::Nothing, now);
                    Err(HeldBack::Down(down))
                }
            },
        };
        self.show(&circuits);
        admission
    }

    /// The state of a model that does not answer.
    pub fn down(&self) -> Option<Down> {
        self.circuits().answers.down(Instant::now())
    }

    fn show(&self, circuits: &Circuits) {
        let [provider, model] = &self.labels;
        Gauge::ApiBreakerState.set(circuits.answers.level(), &[provider, model]);
        Gauge::ApiUnreadableState.set(circuits.readable.level(), &[provider, model]);
    }

    fn circuits(&self) -> MutexGuard<'_, Circuits> {
        locked(&self.circuits)
    }
}

impl Circuits {
    /// Whether the model does not answer, and whether its answers cannot be read.
    fn are_open(&self, now: Instant) -> (bool, bool) {
        (self.answers.down(now).is_some(), self.readable.down(now).is_some())
    }

    fn record(&mut self, (answers, readable): (Pass, Pass), outcome: CallResult, now: Instant) {
        let (answered, was_read) = match outcome {
            CallResult::Unreadable(_) => (CallResult::Answered, outcome),
            CallResult::Failed(_) => (outcome, CallResult::Nothing),
            CallResult::Answered | CallResult::Nothing => (outcome, outcome),
        };
        self.answers.record(answers, answered, now);
        self.readable.record(readable, was_read, now);
    }
}

impl Admitted<'_> {
    /// Records the request's result.
    pub fn record(mut self, outcome: CallResult) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: CallResult) {
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
            (false, true) => tracing::warn!(provider, model, "the provider seems down: requests are held back"),
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
        self.finish(CallResult::Nothing);
    }
}

#[cfg(test)]
mod tests;
