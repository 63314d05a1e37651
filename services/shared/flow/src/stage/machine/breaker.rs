//! Tells a bad record from a bad deployment: if nearly everything is rejected, the fault is ours,
//! and going on would turn a wrong configuration into a topic full of dead letters.

use std::collections::VecDeque;

use crate::stage::config::RejectBreaker;

/// Watches the last results of a stage.
#[derive(Clone, Debug)]
pub(crate) struct Breaker {
    limits: Option<RejectBreaker>,
    rejected: VecDeque<bool>,
    count: usize,
}

/// The window at the moment the breaker tripped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tripped {
    pub(crate) rejected: usize,
    pub(crate) of: usize,
}

impl Breaker {
    pub(crate) fn new(limits: Option<RejectBreaker>) -> Self {
        Self { limits, rejected: VecDeque::new(), count: 0 }
    }

    /// Notes one result; `Some` when that was one rejection too many.
    pub(crate) fn note(&mut self, rejected: bool) -> Option<Tripped> {
        let limits = self.limits?;
        if self.rejected.len() == limits.window && self.rejected.pop_front() == Some(true) {
            self.count -= 1;
        }
        self.rejected.push_back(rejected);
        self.count += usize::from(rejected);
        let full = self.rejected.len() == limits.window;
        let tripped = full && rejected && self.count as f64 >= limits.share * limits.window as f64;
        tripped.then_some(Tripped { rejected: self.count, of: self.rejected.len() })
    }
}

#[cfg(test)]
mod tests;
