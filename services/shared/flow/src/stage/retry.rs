//! What to do about a failed record: a function of the error, of how often it was tried, and of the
//! configuration.

use std::time::Duration;

use precis_base::backoff;

use super::config::StageConfig;
use super::processor::{Rejection, Scope, StageError};

/// The next step for a record whose processing failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Try again in place after this wait.
    Again {
        /// How long to wait.
        wait: Duration,
        /// Whether everything else should wait too.
        scope: Scope,
    },
    /// Write a copy to the tail of its topic, or of the topic of returns.
    Reenqueue,
    /// Give up.
    Reject(Rejection),
    /// Stop the stage.
    Stop,
}

/// How often a record was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tries {
    /// Failures of scope record, in place, of this delivery.
    pub(crate) of_record: u32,
    /// Failures of scope dependency, in place, since the last success of anything.
    pub(crate) of_dependency: u32,
    /// Earlier deliveries.
    pub(crate) deliveries: u32,
}

/// Decides. `jitter` is between 0 and 1: with many instances behind one failing dependency, equal
/// waits would meet.
pub(crate) fn next_step(error: &StageError, tries: Tries, config: &StageConfig, jitter: f64) -> Step {
    match error {
        StageError::Reject(rejection) => Step::Reject(rejection.clone()),
        StageError::Fatal { .. } => Step::Stop,
        StageError::Retry { scope: Scope::Dependency, after, .. } => {
            Step::Again { wait: wait(tries.of_dependency, *after, config, jitter), scope: Scope::Dependency }
        }
        StageError::Retry { scope: Scope::Record, after, code, message } => {
            if tries.of_record < config.record_retries {
                // The records behind it in its partition wait too: it may ask for no more than the
                // longest wait.
                let after = after.map(|after| after.min(config.max_backoff));
                return Step::Again { wait: wait(tries.of_record, after, config, jitter), scope: Scope::Record };
            }
            let deliveries = tries.deliveries.saturating_add(1);
            if deliveries < config.max_attempts {
                return Step::Reenqueue;
            }
            Step::Reject(Rejection::new(code, format!("gave up after {deliveries} deliveries: {message}")))
        }
    }
}

/// Waits that double, up to a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// The first wait.
    pub(crate) first: Duration,
    /// The longest wait.
    pub(crate) max: Duration,
}

impl Backoff {
    pub(crate) fn of(config: &StageConfig) -> Self {
        Self { first: config.backoff, max: config.max_backoff }
    }

    /// The wait after so many tries, less up to half of it by jitter.
    pub(crate) fn wait(self, tries: u32, jitter: f64) -> Duration {
        backoff::wait(tries, self.first, self.max, jitter)
    }
}

/// The wait before the next try; never shorter than the error asks for.
fn wait(tries: u32, after: Option<Duration>, config: &StageConfig, jitter: f64) -> Duration {
    Backoff::of(config).wait(tries, jitter).max(after.unwrap_or_default())
}

#[cfg(test)]
mod tests;
