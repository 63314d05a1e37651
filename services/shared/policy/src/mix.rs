//! Holds the target shares: the harder a document is expected to be, the further up it starts, and
//! the thresholds follow the scores.
//!
//! Every tier has a *deficit*: share × documents − documents it got. A document's rank is its place
//! among the last [`WINDOW`] scores (ties are broken by a hash of its id, so that equal scores
//! spread). The strongest tier takes the ranks from 0 up to its share, moved by its deficit divided
//! by [`STIFFNESS`]; the tiers before it in escalation order follow, each with the deficits of all
//! stronger ones. Because a tier's boundary reaches 0 or 1 once the deficit is off by `STIFFNESS`
//! documents, it can never be off by much more: over *any* 2,000 documents in a row, whatever their
//! scores, every share holds within (30 + 4) / 2,000 = 1.7 points.
//!
//! Documents that the gate sends elsewhere count, so the free ones make up for them; how far they
//! are to be made up for is bounded (else a day of restricted documents would send a day of others
//! away).

use std::collections::VecDeque;

use crate::policy::Policy;
use crate::rollout::hash01;

/// How many scores the quantiles are taken over.
const WINDOW: usize = 2_000;
/// Documents of deficit that move a threshold from its target to the end of the scale.
const STIFFNESS: f64 = 30.0;

/// The state of one router.
#[derive(Debug, Clone, Default)]
pub struct Mix {
    recent: VecDeque<f64>,
    sorted: Vec<f64>,
    /// Documents each tier should have had more of, by tier, in escalation order.
    deficits: Vec<(String, f64)>,
}

/// What the mix says of one document.
#[derive(Debug, Clone, PartialEq)]
pub struct Preference {
    /// The tier it should start at.
    pub tier: String,
    /// Its place among recent scores: 0 = hardest.
    pub rank: f64,
    /// Tier → the rank below which documents go to it or a stronger one.
    pub thresholds: Vec<(String, f64)>,
}

impl Mix {
    /// Where a document of this score should start, the tiers' target shares being `shares` (in the
    /// policy's order).
    pub fn prefer(&mut self, policy: &Policy, shares: &[f64], score: f64, document_id: &str) -> Preference {
        self.follow(policy);
        let rank = self.rank(score, document_id);
        self.remember(score);
        let mut thresholds = Vec::with_capacity(policy.tiers.len());
        let (mut target, mut deficit, mut floor) = (0.0, 0.0, 0.0_f64);
        for ((tier, share), (_, own)) in policy.tiers.iter().zip(shares).zip(&self.deficits).rev() {
            target += share;
            deficit += own;
            floor = (target + deficit / STIFFNESS).clamp(floor, 1.0_f64.max(floor));
            thresholds.push((tier.name.clone(), floor));
        }
        // The cheapest tier takes what is left, whatever rounding says.
        let tier = thresholds.iter().find(|(_, boundary)| rank < *boundary).or(thresholds.last());
        let tier = tier.map_or_else(String::new, |(name, _)| name.clone());
        Preference { tier, rank, thresholds }
    }

    /// Counts where a first assignment really went.
    pub fn assigned(&mut self, policy: &Policy, shares: &[f64], tier: &str) {
        self.follow(policy);
        for (share, (name, deficit)) in shares.iter().zip(&mut self.deficits) {
            let got = if name == tier { 1.0 } else { 0.0 };
            *deficit = (*deficit + share - got).clamp(-STIFFNESS * share - 2.0, STIFFNESS * (1.0 - share) + 2.0);
        }
    }

    fn follow(&mut self, policy: &Policy) {
        if !self.deficits.iter().map(|(name, _)| name.as_str()).eq(policy.tier_names()) {
            self.deficits = policy.tier_names().map(|name| (name.to_owned(), 0.0)).collect();
        }
    }

    fn rank(&self, score: f64, document_id: &str) -> f64 {
        let less = self.sorted.partition_point(|other| *other < score);
        let equal = self.sorted.partition_point(|other| *other <= score) - less;
        (less as f64 + hash01(document_id) * (equal as f64 + 1.0)) / (self.sorted.len() as f64 + 1.0)
    }

    fn remember(&mut self, score: f64) {
        if self.recent.len() == WINDOW
            && let Some(oldest) = self.recent.pop_front()
        {
            let at = self.sorted.partition_point(|other| *other < oldest);
            self.sorted.remove(at);
        }
        self.recent.push_back(score);
        let at = self.sorted.partition_point(|other| *other < score);
        self.sorted.insert(at, score);
    }
}

#[cfg(test)]
mod tests;
