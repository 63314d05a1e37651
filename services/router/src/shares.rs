//! The share of recent documents that each tier got first, for the gauge beside the target mix.

use std::collections::VecDeque;

/// How many documents are "recent": the window over which the mix holds its shares.
const WINDOW: usize = 2_000;

/// The tiers of the last documents.
#[derive(Debug, Default)]
pub(crate) struct Shares(VecDeque<String>);

impl Shares {
    /// Counts a document.
    pub(crate) fn count(&mut self, tier: &str) {
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(tier.to_owned());
    }

    /// The share of a tier, 0 to 1.
    pub(crate) fn of(&self, tier: &str) -> f64 {
        let got = self.0.iter().filter(|other| *other == tier).count();
        got as f64 / self.0.len().max(1) as f64
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
