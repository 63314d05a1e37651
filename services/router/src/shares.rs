//! The share of recent first assignments that each tier got: the gauge beside the target mix.

use std::collections::{BTreeMap, VecDeque};

use precis_policy::MIX_WINDOW;

/// The tiers of the last [`MIX_WINDOW`] documents, and how many each tier got.
#[derive(Debug, Default)]
pub(crate) struct RecentShares {
    recent: VecDeque<String>,
    counts: BTreeMap<String, usize>,
}

impl RecentShares {
    /// Counts a document.
    pub(crate) fn count(&mut self, tier: &str) {
        if self.recent.len() == MIX_WINDOW
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
        let mut shares = RecentShares::default();
        assert!(shares.of("gpu").abs() < 1e-12);
        shares.count("gpu");
        shares.count("mid");
        assert!((shares.of("gpu") - 0.5).abs() < 1e-12);
        for _ in 0..MIX_WINDOW {
            shares.count("mid");
        }
        assert!(shares.of("gpu").abs() < 1e-12);
    }
}
