//! The mix's targets: the policy's shares, lowered where a tier's rate or topic does not allow
//! them.
//!
//! The module also computes the worth of a place at each tier.
//!
//! Documents come one by one and are not held back for a batch: [`Mix`](crate::Mix) holds the
//! targets document by document. Under the mix alone that loses nothing. A stronger tier adds more
//! to a harder document, so the optimum of a batch *is* a threshold for each tier on the score's
//! rank, which the mix follows (`under_a_mix_alone_the_optimum_is_thresholds_on_the_score`). A
//! micro-batch would delay every document and give the same assignments.
//!
//! Every [`BATCH_DOCUMENTS`] documents,
//!
//! - a tier with a rate gets the share of them that its rate would have let through, at the size of
//!   the documents that the tier was sent;
//! - a tier whose topic is nearly full gets the share that its topic has room for, and as much as
//!   its workers took out meanwhile;
//! - those documents are assigned once more as one batch ([`assign`]), under the mix and these
//!   limits, for the exported shadow prices.
//!
//! The first tier takes every document that fits nowhere else: it has no limit here, and the
//! surplus waits.

use crate::assign::{Offer, Room, assign};
use crate::gate::Eligibility;
use crate::policy::{Policy, Tier};

/// Documents in a batch: enough for whole documents to matter little, few enough to follow a change
/// within seconds.
const BATCH_DOCUMENTS: usize = 512;
/// Fewest documents from which a tier's usual document size is estimated.
const MIN_SAMPLES: f64 = 8.0;
/// Shortest time over which a rate is computed, milliseconds: a batch that came faster says little
/// of the rate.
const MIN_SPAN_MS: i64 = 1_000;

/// One router's state of the recent documents, and the targets that follow from it.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    batch: Vec<Vec<Offer>>,
    since_ms: i64,
    /// Documents and tokens that each tier got since the last batch.
    sent: Vec<(f64, f64)>,
    /// The tiers of the other fields, each with the policy's share and rate, in the policy's order.
    tiers: Vec<(String, f64, Option<u64>)>,
    shares: Vec<f64>,
    prices: Vec<f64>,
    /// Room of each tier's topic, documents: now, and when the last batch was settled.
    room: Vec<(f64, f64)>,
}

impl Targets {
    /// Takes in how many more documents a tier's topic has room for; infinite for no limit.
    pub fn take_room(&mut self, policy: &Policy, tier: &str, documents: f64) {
        self.follow(policy);
        if let Some(at) = self.tiers.iter().position(|(name, ..)| name == tier) {
            self.room[at].0 = documents;
        }
    }

    /// Counts a document that is about to be assigned: its score, its tokens, and the tiers that it
    /// may go to.
    pub fn track(&mut self, policy: &Policy, gate: &Eligibility, score: f64, tokens: f64, now_ms: i64) {
        self.follow(policy);
        if self.batch.is_empty() {
            self.since_ms = now_ms;
        }
        let tiers = policy.tiers.iter().enumerate().filter(|(_, tier)| gate.eligible.contains(&tier.name));
        let offer = |tier| Offer { tier, quality: policy.quality(tier, score), dollars: 0.0, tokens };
        self.batch.push(tiers.map(|(tier, _)| offer(tier)).collect());
        if self.batch.len() == BATCH_DOCUMENTS {
            self.settle(policy, now_ms);
        }
    }

    /// Counts where the last tracked document went.
    pub fn assigned(&mut self, tier: &str, tokens: f64) {
        if let Some(at) = self.tiers.iter().position(|(name, ..)| name == tier) {
            let (documents, sum) = &mut self.sent[at];
            *documents += 1.0;
            *sum += tokens;
        }
    }

    /// The share that each tier should get now, in the policy's order.
    pub fn shares(&mut self, policy: &Policy) -> &[f64] {
        self.follow(policy);
        &self.shares
    }

    /// The shadow price of each tier: how many accepted answers one more place there would have
    /// added in the last batch; 0 where room was left.
    pub fn prices(&self) -> impl Iterator<Item = (&str, f64)> {
        self.tiers.iter().map(|(name, ..)| name.as_str()).zip(self.prices.iter().copied())
    }

    /// Computes shares and prices from a full batch.
    fn settle(&mut self, policy: &Policy, now_ms: i64) {
        let minutes = (now_ms - self.since_ms).max(MIN_SPAN_MS) as f64 / 60_000.0;
        let rooms: Vec<Room> = policy
            .tiers
            .iter()
            .enumerate()
            .map(|(at, tier)| match at {
                0 => Room::default(),
                _ => Room {
                    documents: (tier.share * BATCH_DOCUMENTS as f64).round().min(self.takes(at)),
                    tokens: tier.tokens_per_minute.map_or(f64::INFINITY, |rate| rate as f64 * minutes),
                    ..Room::default()
                },
            })
            .collect();
        self.shares = policy.shares();
        for (tier, room) in rooms.iter().enumerate() {
            let fits = f64::min(room.tokens / self.tokens_of(tier), self.takes(tier));
            self.shares[tier] = self.shares[tier].min(fits / BATCH_DOCUMENTS as f64);
        }
        let others: f64 = self.shares.iter().skip(1).sum();
        if let Some(first) = self.shares.first_mut() {
            *first = 1.0 - others;
        }
        let prices = assign(&self.batch, &rooms, 0.0).prices;
        self.prices = (0..rooms.len()).map(|tier| prices[tier][0] + prices[tier][2] * self.tokens_of(tier)).collect();
        self.batch.clear();
        self.sent.fill((0.0, 0.0));
        self.room.iter_mut().for_each(|(now, then)| *then = *now);
    }

    /// Documents that a tier can take during a batch: its topic's room, and what its workers took
    /// out during the last batch.
    fn takes(&self, tier: usize) -> f64 {
        let (now, then) = self.room[tier];
        if now.is_infinite() {
            return now;
        }
        let taken_out = if then.is_finite() { now - then + self.sent[tier].0 } else { 0.0 };
        now + taken_out.max(0.0)
    }

    /// Mean tokens of a tier's documents in this batch; of all documents that may go there, where
    /// the tier got few.
    fn tokens_of(&self, tier: usize) -> f64 {
        let (documents, tokens) = self.sent[tier];
        if documents >= MIN_SAMPLES {
            return tokens / documents;
        }
        let offers = self.batch.iter().flatten().filter(|offer| offer.tier == tier);
        let (count, sum) = offers.fold((0.0, 0.0), |(count, sum), offer| (count + 1.0, sum + offer.tokens));
        f64::max(sum / f64::max(count, 1.0), 1.0)
    }

    /// Begins anew under another policy.
    fn follow(&mut self, policy: &Policy) {
        let same = |(own, tier): (&(String, f64, Option<u64>), &Tier)| {
            own.0 == tier.name && own.1.to_bits() == tier.share.to_bits() && own.2 == tier.tokens_per_minute
        };
        if self.tiers.len() != policy.tiers.len() || !self.tiers.iter().zip(&policy.tiers).all(same) {
            let own = |tier: &Tier| (tier.name.clone(), tier.share, tier.tokens_per_minute);
            *self = Self {
                tiers: policy.tiers.iter().map(own).collect(),
                shares: policy.shares(),
                prices: vec![0.0; policy.tiers.len()],
                sent: vec![(0.0, 0.0); policy.tiers.len()],
                room: vec![(f64::INFINITY, f64::INFINITY); policy.tiers.len()],
                ..Self::default()
            };
        }
    }
}

#[cfg(test)]
mod tests;
