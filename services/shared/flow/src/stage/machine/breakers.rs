//! Pauses a topic of which nearly everything is rejected, when the fault may be ours: going on
//! would turn a wrong setting or a broken device into a topic of dead letters. A pause never ends
//! the process, and never stops another topic.
//!
//! ```text
//!   open ──window full of rejections──▶ paused ──the pause is over──▶ probing (few records start)
//!    ▲                                     ▲                             │
//!    │                                     └──these are rejected too─────┤ (twice the pause)
//!    └─────────────────────────these are not─────────────────────────────┘
//! ```
//!
//! **What counts.** [`Fault`] says whose fault a rejection is. What only a sender can cause counts
//! nothing, in either direction: garbage is what dead letters are for, and a flood of it must
//! neither pause a topic nor hide that the rest is rejected too. A re-enqueued record says nothing
//! either, since its end is still to come.
//!
//! **Who is stopped.** The key is the source topic. A topic of `documents.*` is one tenant's own,
//! so its pause stops nobody else. A topic of work carries all tenants, and its records are
//! committed in order: one tenant's records could not wait there without everybody's. There one
//! sender must not bring about a pause. So a sender has at most a third of such a topic's window:
//! beyond that, a rejection takes the place of the sender's own oldest one. Then it takes three
//! senders whose records are all rejected, and nobody whose records are not. Rejections that no
//! sender can cause have no such bound. Where fewer than three tenants send, such a topic never
//! pauses on their account; its rejections are told all the same.
//!
//! State is kept while partitions of a topic are owned. A topic that comes back begins anew.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use precis_base::backoff;
use precis_schemas::codes::Fault;
use tokio::time::Instant;

use super::messages::{Command, Outcome};
use super::payload::Payload;
use crate::stage::config::RejectBreaker;
use crate::stage::processor::Cause;

/// How many senders it takes at least to pause a topic that many senders share.
const MIN_SENDERS: usize = 3;

/// A pause that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// How many of the last results were rejections.
    pub(crate) rejected: usize,
    /// How many results that is of.
    pub(crate) of: usize,
    /// How long the pause is.
    pub(crate) lasts: Duration,
    /// The code of the last rejection.
    pub(crate) last_code: &'static str,
}

/// What a result changed for its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is paused.
    Paused(Pause),
    /// One probe less is to come.
    Probed,
    /// It is as any other again.
    Resumed,
}

impl Change {
    /// What is to be done about it.
    pub(crate) fn command<P: Payload>(self, topic: &Arc<str>) -> Option<Command<P>> {
        match self {
            Self::Paused(pause) => Some(Command::PauseTopic { topic: Arc::clone(topic), pause }),
            Self::Probed => None,
            Self::Resumed => Some(Command::ResumeTopic(Arc::clone(topic))),
        }
    }
}

/// The last results of every owned topic, and which topics are paused.
#[derive(Clone, Debug)]
pub(crate) struct Breakers {
    limits: Option<RejectBreaker>,
    is_of_one_sender: fn(&str) -> bool,
    topics: HashMap<Arc<str>, Breaker>,
}

#[derive(Clone, Debug, Default)]
struct Breaker {
    state: State,
    /// The results that count: since the last pause, or since probing began.
    results: VecDeque<Counted>,
    rejected: usize,
    /// How many pauses came one after the other.
    pauses: u32,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Open,
    Paused {
        until: Instant,
    },
    Probing,
}

/// A result that counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Counted {
    Published,
    /// Rejected, for a reason that may be the sender's. Of unknown senders all count as one.
    Rejected(Option<Arc<str>>),
    /// Rejected, for a reason that no sender can bring about.
    RejectedByUs,
}

impl Counted {
    /// `None`: the result says nothing.
    fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Published => Some(Self::Published),
            Outcome::Requeued => None,
            Outcome::Rejected(Cause { fault, sender, .. }) => match fault {
                Fault::Sender => None,
                Fault::Unknown => Some(Self::Rejected(sender.clone())),
                Fault::Ours => Some(Self::RejectedByUs),
            },
        }
    }
}

impl Breakers {
    /// All topics are open. Without limits they stay so.
    pub(crate) fn new(limits: Option<RejectBreaker>, is_of_one_sender: fn(&str) -> bool) -> Self {
        Self { limits, is_of_one_sender, topics: HashMap::new() }
    }

    /// Notes how a record of this topic ended.
    pub(crate) fn note(&mut self, topic: &Arc<str>, outcome: &Outcome, now: Instant) -> Option<Change> {
        let limits = self.limits?;
        let counted = Counted::of(outcome)?;
        let last_code = if let Outcome::Rejected(cause) = outcome { Some(cause.code) } else { None };
        let senders = if (self.is_of_one_sender)(topic) { 1 } else { MIN_SENDERS };
        let breaker = self.topics.entry(Arc::clone(topic)).or_default();
        breaker.note(counted, last_code, &limits, senders, now)
    }

    /// How many records of this topic may be in process; `None`: it has no limit of its own.
    pub(crate) fn max_running(&self, topic: &str) -> Option<usize> {
        let (limits, breaker) = (self.limits?, self.topics.get(topic)?);
        match breaker.state {
            State::Open => None,
            State::Paused { .. } => Some(0),
            State::Probing => Some(limits.probes.saturating_sub(breaker.results.len())),
        }
    }

    /// When the next pause is over.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.topics.values().filter_map(Breaker::paused_until).min()
    }

    /// Ends the pauses that are over: the topics of which some records may start now.
    pub(crate) fn wake(&mut self, now: Instant) -> Vec<Arc<str>> {
        let mut woken = Vec::new();
        for (topic, breaker) in &mut self.topics {
            if breaker.paused_until().is_some_and(|until| until <= now) {
                breaker.enter(State::Probing);
                woken.push(Arc::clone(topic));
            }
        }
        woken
    }

    /// Forgets the other topics: those of them that were not open.
    pub(crate) fn keep(&mut self, is_owned: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        let gone: Vec<Arc<str>> = self.topics.keys().filter(|topic| !is_owned(topic)).cloned().collect();
        let forgotten = gone.into_iter().filter(|topic| self.topics.remove(topic).is_some_and(|one| !one.is_open()));
        forgotten.collect()
    }

    /// The topics that are not open.
    pub(crate) fn paused(&self) -> impl Iterator<Item = &Arc<str>> {
        self.topics.iter().filter(|(_, breaker)| !breaker.is_open()).map(|(topic, _)| topic)
    }
}

impl Breaker {
    fn note(
        &mut self,
        counted: Counted,
        last_code: Option<&'static str>,
        limits: &RejectBreaker,
        senders: usize,
        now: Instant,
    ) -> Option<Change> {
        let window = match self.state {
            // It was in process already when the pause began.
            State::Paused { .. } => return None,
            State::Open => limits.window,
            State::Probing => limits.probes,
        };
        self.push(counted, window, (window / senders).max(1));
        let of = self.results.len();
        let too_many = of == window && self.rejected as f64 >= limits.share * window as f64;
        match (self.state, last_code) {
            (State::Open | State::Probing, Some(last_code)) if too_many => {
                let lasts = backoff::wait(self.pauses, limits.first_pause, limits.max_pause, 0.0);
                let pause = Pause { rejected: self.rejected, of, lasts, last_code };
                self.pauses = self.pauses.saturating_add(1);
                self.enter(State::Paused { until: now + lasts });
                Some(Change::Paused(pause))
            }
            (State::Probing, _) if of == window => {
                self.pauses = 0;
                self.enter(State::Open);
                Some(Change::Resumed)
            }
            (State::Probing, _) => Some(Change::Probed),
            _ => None,
        }
    }

    /// Takes a result in, and lets go of another where there is no room.
    fn push(&mut self, counted: Counted, window: usize, max_of_one: usize) {
        let is_of_one = matches!(counted, Counted::Rejected(_));
        let leaves = if is_of_one && self.results.iter().filter(|one| **one == counted).count() >= max_of_one {
            self.results.iter().position(|one| *one == counted)
        } else {
            (self.results.len() == window).then_some(0)
        };
        if let Some(left) = leaves.and_then(|index| self.results.remove(index)) {
            self.rejected -= usize::from(left != Counted::Published);
        }
        self.rejected += usize::from(counted != Counted::Published);
        self.results.push_back(counted);
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.results.clear();
        self.rejected = 0;
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    fn paused_until(&self) -> Option<Instant> {
        if let State::Paused { until } = self.state { Some(until) } else { None }
    }
}

#[cfg(test)]
mod state_key;
#[cfg(test)]
mod tests;
