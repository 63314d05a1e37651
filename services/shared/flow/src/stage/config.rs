//! How a stage runs: names, bounds and times.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::processor::{AttemptMarkers, DeadLetterStore};
use crate::error::FlowError;
use crate::values::{MAX_RECORD_BYTES, Subscription};

/// Room for what a log adds to a record: batch header, lengths, timestamps.
const FRAMING_BYTES: usize = 4 * 1024;

/// Largest output of a stage, bytes, as [`crate::Output::size_bytes`] counts them.
pub const MAX_OUTPUT_BYTES: usize = MAX_RECORD_BYTES - FRAMING_BYTES;

/// How a stage runs. [`StageConfig::new`] has defaults for all but the names.
#[derive(Clone)]
pub struct StageConfig {
    /// The stage's name: metric label, part of a dead letter's id.
    pub name: String,
    /// The consumer group.
    pub group: String,
    /// What to read.
    pub subscription: Subscription,
    /// Where rejected records go. `None`: rejections leave nothing but what
    /// [`super::Processor::rejected`] returns.
    pub dead_letters_topic: Option<String>,
    /// Where values go that are too large for a dead letter. `None`: such a record stops the stage.
    pub dead_letter_store: Option<Arc<dyn DeadLetterStore>>,
    /// Where it is noted that a record runs alone, because processes died. `None`: such records run
    /// alone and none is ever found guilty.
    pub attempt_markers: Option<Arc<dyn AttemptMarkers>>,
    /// The largest output, framing included: a larger one turns its record into a rejection
    /// `output_too_large`, since it would fail every transaction it is in.
    pub max_output_bytes: usize,
    /// How many records are processed at once; where several topics are read, one alone has two
    /// thirds of these places.
    pub max_in_flight: usize,
    /// How many records are held in all: waiting for their key, in process, or finished and waiting
    /// for an earlier record. Shared by topics as [`crate::member::Intake`] says: of several
    /// topics, one has two thirds at most.
    pub max_held: usize,
    /// How many bytes of records and outputs are held in all.
    pub max_in_flight_bytes: usize,
    /// How long finished work waits for more before it is committed.
    pub commit_interval: Duration,
    /// How long a revocation or a shutdown waits for work in flight.
    pub drain_budget: Duration,
    /// How often a record is tried again in place after a failure of its own, before it is
    /// re-enqueued.
    pub record_retries: u32,
    /// How often a record is delivered in all, re-enqueued copies included, before it is rejected.
    pub max_attempts: u32,
    /// The first wait between two tries; it doubles up to `max_backoff`, with jitter.
    pub backoff: Duration,
    /// The longest wait between two tries.
    pub max_backoff: Duration,
    /// When a topic pauses because too much of it is rejected. `None`: never.
    pub reject_breaker: Option<RejectBreaker>,
    /// Whether one sender alone writes to a topic, so that a pause of the topic stops nobody else.
    pub is_of_one_sender: fn(&str) -> bool,
    /// Which of the topics others write, too, and where copies of their records go. `None`: no
    /// topic; every copy goes to the topic of its record.
    pub returns: Option<Returns>,
}

/// Topics that others write, too, and the topic for copies of their records, which nobody else
/// writes. Headers that say how a record is treated ([`crate::CONTROL_HEADER_PREFIX`]) are believed
/// on the copies alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returns {
    /// How the names of the topics begin that others write.
    pub prefix: String,
    /// Where a record of these topics is re-enqueued; the stage reads this topic, too.
    pub topic: String,
}

/// How many results of a topic count towards a pause.
const REJECT_WINDOW: usize = 200;
/// The share of rejections among these results at which a topic pauses.
const MAX_REJECT_SHARE: f64 = 0.9;
/// How many records of a topic are tried after a pause: enough for a third each of three senders.
const MAX_PROBES: usize = 6;
/// The first pause of a topic; each pause after failed probes is twice as long.
const FIRST_REJECT_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause of a topic.
const MAX_REJECT_PAUSE: Duration = Duration::from_mins(5);

/// Pauses a topic when so large a share of its last records was rejected, for reasons that may lie
/// with this deployment, that going on could turn a wrong setting into a topic of dead letters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RejectBreaker {
    /// How many of the last results of a topic count; fewer never pause it.
    pub window: usize,
    /// The share of rejected ones at which the topic pauses, over 0 up to 1.
    pub share: f64,
    /// How many records are tried after a pause; the same share of rejections pauses again.
    pub probes: usize,
    /// The first pause; it doubles with each time that the probes fail.
    pub first_pause: Duration,
    /// The longest pause.
    pub max_pause: Duration,
}

impl Default for RejectBreaker {
    fn default() -> Self {
        Self {
            window: REJECT_WINDOW,
            share: MAX_REJECT_SHARE,
            probes: MAX_PROBES,
            first_pause: FIRST_REJECT_PAUSE,
            max_pause: MAX_REJECT_PAUSE,
        }
    }
}

impl StageConfig {
    /// A stage of this name, group and subscription, with defaults for the rest: no dead letters
    /// yet.
    pub fn new(name: impl Into<String>, group: impl Into<String>, subscription: Subscription) -> Self {
        Self {
            name: name.into(),
            group: group.into(),
            subscription,
            dead_letters_topic: None,
            dead_letter_store: None,
            attempt_markers: None,
            max_output_bytes: MAX_OUTPUT_BYTES,
            max_in_flight: 64,
            max_held: 256,
            max_in_flight_bytes: 64 * 1024 * 1024,
            commit_interval: Duration::from_millis(200),
            drain_budget: Duration::from_secs(30),
            record_retries: 2,
            max_attempts: 3,
            backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(30),
            reject_breaker: Some(RejectBreaker::default()),
            returns: None,
            is_of_one_sender: |_| true,
        }
    }

    /// Where records of this topic are re-enqueued, if that is another topic. Then others write
    /// this one.
    pub(crate) fn return_topic(&self, topic: &str) -> Option<&str> {
        let returns = self.returns.as_ref().filter(|returns| topic.starts_with(&returns.prefix))?;
        Some(&returns.topic)
    }

    /// Sends rejected records to this topic.
    #[must_use]
    pub fn with_dead_letters(mut self, topic: impl Into<String>, store: Option<Arc<dyn DeadLetterStore>>) -> Self {
        self.dead_letters_topic = Some(topic.into());
        self.dead_letter_store = store;
        self
    }

    /// Fails with all problems at once.
    pub(crate) fn check(&self) -> Result<(), FlowError> {
        let mut problems = Vec::new();
        let mut check = |fails: bool, problem: &str| {
            if fails {
                problems.push(format!("stage {}: {problem}", self.name));
            }
        };
        check(self.name.is_empty() || self.name.contains('/'), "name must not be empty and have no slash");
        check(self.group.is_empty(), "group must not be empty");
        check(
            self.subscription.topics.is_empty() && self.subscription.prefixes.is_empty(),
            "subscription must not be empty",
        );
        check(self.subscription.prefixes.iter().any(String::is_empty), "subscription prefixes must not be empty");
        check(self.max_in_flight == 0, "max_in_flight must be at least 1");
        check(self.max_held < self.max_in_flight, "max_held must be at least max_in_flight");
        check(self.max_in_flight_bytes == 0, "max_in_flight_bytes must be at least 1");
        check(self.max_attempts == 0, "max_attempts must be at least 1");
        check(self.max_output_bytes <= FRAMING_BYTES, "max_output_bytes is too small for any record");
        check(
            self.backoff.is_zero() || self.max_backoff < self.backoff,
            "backoff must be over 0 and at most max_backoff",
        );
        if let Some(breaker) = self.reject_breaker {
            check(
                breaker.window == 0 || breaker.probes == 0 || !(breaker.share > 0.0 && breaker.share <= 1.0),
                "reject_breaker needs a window and probes of at least 1 and a share over 0, up to 1",
            );
            check(
                breaker.first_pause.is_zero() || breaker.max_pause < breaker.first_pause,
                "reject_breaker's first_pause must be over 0 and at most max_pause",
            );
        }
        if let Some(Returns { prefix, topic }) = &self.returns {
            check(prefix.is_empty() || topic.starts_with(prefix), "others must not write the topic of returns");
            check(!self.subscription.matches(topic), "the topic of returns must be read");
        }
        if problems.is_empty() { Ok(()) } else { Err(FlowError::Config { problems }) }
    }
}

impl fmt::Debug for StageConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageConfig")
            .field("name", &self.name)
            .field("group", &self.group)
            .field("subscription", &self.subscription)
            .finish_non_exhaustive()
    }
}
