//! The share of recent documents that each tier got first, for the gauge beside the target mix.

use std::collections::{BTreeMap, VecDeque};

/// How many documents are "recent": the window over which the mix holds its shares.
const WINDOW: usize = 2_000;

/// The tiers of the last documents, and how many of them each got.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    recent: VecDeque<String>,
    counts: BTreeMap<String, usize>,
}

impl Shares {
    /// Counts a document.
    pub(crate) fn count(&mut self, tier: &str) {
        if self.recent.len() == WINDOW
            && let Some(oldest) = self.recent.pop_front()
            && let Some(count) = self.counts.get_mut(&oldest)
        {
            *count -= 1;
        }
        self.recent.push_back(tier.to_owned());
        *self.counts.entry(tier.to_owned()).or_default() += 1;
    }

    /// The share of a tier, 0 to 1.
    pub(crate) fn of(&self, tier: &str) -> f64 {
        let got = self.counts.get(tier).copied().unwrap_or_default();
        got as f64 / self.recent.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_recent_documents_count() {
        let mut shares = Shares::default();
        assert!(shares.of("gpu").abs() < 1e-12);
        shares.count("gpu");
        shares.count("mid");
        assert!((shares.of("gpu") - 0.5).abs() < 1e-12);
        for _ in 0..WINDOW {
            shares.count("mid");
        }
        assert!(shares.of("gpu").abs() < 1e-12);
    }
}
