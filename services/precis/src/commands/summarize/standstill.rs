//! When a run must end before its documents: the log or the store fails, and no document ends.
//! Takes values, reads no clock.
//!
//! ```text
//!          the log or the store fails           for MAX_STANDSTILL
//! running ───────────────────────────▶ failing ────────────────────▶ over: the run ends with the reason
//!    ▲  a document ended, or nothing failed for MAX_SILENCE │
//!    └──────────────────────────────────────────────────────┘
//! ```
//!
//! A stage waits for its log and its store without limit, which is right for a service. Here a
//! person waits, and both are folders of this machine: a full disk does not become empty by
//! waiting. Failures of providers are bounded by the pipeline itself.

use std::time::Duration;

use precis_telemetry::Trouble;

/// How long saving may fail before the run ends.
pub(super) const MAX_STANDSTILL: Duration = Duration::from_mins(1);
/// The longest time between two failures of one standstill: more than the stages' longest wait
/// between two attempts, 30 s.
const MAX_SILENCE: Duration = Duration::from_secs(45);
/// How long saving fails before that is told: a single failure is not.
const TELL_AFTER: Duration = Duration::from_secs(2);
/// How the codes of the log and the store begin, and no other codes.
const CODE_PREFIXES: [&str; 2] = ["log_", "store_"];

/// Whether the log or the store fails, and for how long.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    done: usize,
    failing: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    since: Duration,
    last: Duration,
    why: Trouble,
    told: bool,
}

impl Standstill {
    /// Takes the failures that were logged since the last call, at a time since the start and with
    /// so many documents done. Returns a remark that is due.
    pub(super) fn note(&mut self, at: Duration, done: usize, troubles: Vec<Trouble>) -> Option<String> {
        if done != self.done
            || self.failing.as_ref().is_some_and(|failing| at.saturating_sub(failing.last) > MAX_SILENCE)
        {
            self.done = done;
            self.failing = None;
        }
        let is_ours = |trouble: &Trouble| CODE_PREFIXES.iter().any(|code| trouble.code.starts_with(code));
        for why in troubles.into_iter().filter(is_ours).map(without_code) {
            match &mut self.failing {
                Some(failing) => (failing.last, failing.why) = (at, why),
                none => *none = Some(Failing { since: at, last: at, why, told: false }),
            }
        }
        let failing =
            self.failing.as_mut().filter(|failing| !failing.told && at.saturating_sub(failing.since) >= TELL_AFTER)?;
        failing.told = true;
        Some(format!(
            "nothing can be saved: {}; the run ends in {} s unless that changes",
            failing.why.message,
            MAX_STANDSTILL.as_secs()
        ))
    }

    /// Why nothing can be saved now, if that is so.
    pub(super) fn reason(&self) -> Option<&Trouble> {
        self.failing.as_ref().map(|failing| &failing.why)
    }

    /// The error that the run ends with, once it has stood still for too long.
    pub(super) fn over(&self, at: Duration) -> Option<anyhow::Error> {
        let Failing { since, why, .. } = self.failing.as_ref()?;
        let lasts = at.saturating_sub(*since);
        (lasts >= MAX_STANDSTILL).then(|| {
            anyhow::anyhow!("nothing could be saved for {} s: {} ({})", lasts.as_secs(), why.message, why.code)
        })
    }
}

/// The text without the words that a stage puts before it: that it tries again, and the code.
fn without_code(Trouble { code, message }: Trouble) -> Trouble {
    let text = message.split_once(&format!("{code}: ")).map(|(_, text)| text.to_owned());
    Trouble { code, message: text.unwrap_or(message) }
}

#[cfg(test)]
mod tests;
