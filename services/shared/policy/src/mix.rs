//! Holds the target shares: the harder a document is expected to be, the further up it starts.
//!
//! Every tier has a *deficit*: share × documents − documents that it got. A document's rank is its
//! place among the last [`MIX_WINDOW`] scores (a hash of its id breaks ties, so that equal scores
//! spread). The strongest tier takes the ranks from 0 up to its share, moved by its deficit divided
//! by [`FULL_SHIFT_DEFICIT`]. The tiers before it in escalation order follow, each with the
//! deficits of all stronger ones.
//!
//! A tier's boundary reaches 0 or 1 once the deficit is off by `FULL_SHIFT_DEFICIT` documents,
//! therefore the deficit can never be off by much more: over *any* 2,000 documents in a row,
//! whatever their scores, every share holds within (30 + 4) / 2,000 = 1.7 points.
//!
//! Documents that the gate sends elsewhere count, so documents that may go anywhere make up for
//! them. How much they make up for is bounded; else a day of restricted documents would send a day
//! of other documents to providers.

use std::collections::VecDeque;

use crate::policy::Policy;
use crate::rollout::hash01;

/// Number of recent documents over which scores are ranked and shares are measured.
pub const MIX_WINDOW: usize = 2_000;
/// Deficit, documents, that moves a threshold from its target to the end of the scale.
const FULL_SHIFT_DEFICIT: f64 = 30.0;

/// The state of one router's mix.
#[derive(Debug, Clone, Default)]
pub struct Mix {
    recent: VecDeque<f64>,
    sorted: Vec<f64>,
    /// Deficit of each tier in documents, in escalation order.
    deficits: Vec<(String, f64)>,
}

/// The mix's decision for one document.
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
    /// Where a document of this score should start. `shares` are the tiers' target shares, in the
    /// policy's order.
    pub fn prefer(&mut self, policy: &Policy, shares: &[f64], score: f64, document_id: &str) -> Preference {
        self.follow(policy);
        let rank = self.rank(score, document_id);
        self.remember(score);
        let mut thresholds = Vec::with_capacity(policy.tiers.len());
        let (mut target, mut deficit, mut floor) = (0.0, 0.0, 0.0_f64);
        for ((tier, share), (_, own)) in policy.tiers.iter().zip(shares).zip(&self.deficits).rev() {
            target += share;
            deficit += own;
            floor = (target + deficit / FULL_SHIFT_DEFICIT).clamp(floor, 1.0_f64.max(floor));
            thresholds.push((tier.name.clone(), floor));
        }
        // The cheapest tier takes the rest, whatever rounding says.
        let tier = thresholds.iter().find(|(_, boundary)| rank < *boundary).or(thresholds.last());
        let tier = tier.map_or_else(String::new, |(name, _)| name.clone());
        Preference { tier, rank, thresholds }
    }

    /// Counts where a first assignment really went.
    pub fn assigned(&mut self, policy: &Policy, shares: &[f64], tier: &str) {
        self.follow(policy);
        for (share, (name, deficit)) in shares.iter().zip(&mut self.deficits) {
            let got = if name == tier { 1.0 } else { 0.0 };
            *deficit = (*deficit + share - got)
                .clamp(-FULL_SHIFT_DEFICIT * share - 2.0, FULL_SHIFT_DEFICIT * (1.0 - share) + 2.0);
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
        if self.recent.len() == MIX_WINDOW
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
