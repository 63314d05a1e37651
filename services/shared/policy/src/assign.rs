//! Assigns a batch of documents to tiers: the most quality for its price within what each tier has
//! room for.
//!
//! Maximises Σ (quality − λ · dollars) over the documents, each to one of its offers or to none,
//! subject to every tier's room for documents (the target mix, a backlog), dollars (a budget) and
//! tokens (a provider's rate, the engine's throughput). Its linear relaxation is nearly integral,
//! because only as many documents are split as there are limits that bind.
//!
//! **Method**: Lagrangian relaxation. Each limit gets a price for a unit of its room; at given
//! prices every document simply takes its best offer, and the prices are right where demand just
//! fits. The dual function is convex. Along one price its minimum needs no search: each document
//! leaves the tier at a price that is known, so the right one is where the sorted demand overflows,
//! which a bisection would end at. Prices set in turn can come to rest at a kink of the dual that
//! is not its minimum; a few subgradient steps (Polyak's length, towards the best assignment found)
//! lead away from there. Documents then take their best offer that fits, those with the most to
//! lose first, and exchanges fill what is left. The dual's value bounds every assignment from
//! above, so [`Assignment::bound`] says how far from the best the result can be; the tests hold it
//! against a linear program's optimum.

mod dual;
mod fill;

/// Kinds of room: documents, dollars, tokens.
const ROOMS: usize = 3;
/// What is assigned is good enough when no other assignment can be worth more by a larger share
/// than this.
const CLOSE: f64 = 0.002;
/// What remains after exchanges is accepted up to this share; else it begins once more from the
/// best prices.
const ENOUGH: f64 = 0.005;
/// Times that it begins.
const STARTS: usize = 4;
/// Rounds of setting the prices in turn, assigning, and stepping away.
const ROUNDS: usize = 20;
/// Subgradient steps of a round.
const STEPS: usize = 20;
/// What the steps of a round have of the length of those before.
const SHORTER: f64 = 0.9;

/// What a tier could do for a document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    /// Index of the tier.
    pub tier: usize,
    /// Probability that its answer is accepted.
    pub quality: f64,
    /// What it would cost, US dollars.
    pub dollars: f64,
    /// What it would read and write, tokens.
    pub tokens: f64,
}

/// What a tier has room for in one batch; infinite for no limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// Documents.
    pub documents: f64,
    /// US dollars.
    pub dollars: f64,
    /// Tokens.
    pub tokens: f64,
}

impl Default for Room {
    fn default() -> Self {
        Self { documents: f64::INFINITY, dollars: f64::INFINITY, tokens: f64::INFINITY }
    }
}

/// Who goes where, and what room is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// For each document the tier, or `None`: there is no room, or nothing is worth its price.
    pub tiers: Vec<Option<usize>>,
    /// Σ (quality − λ · dollars).
    pub value: f64,
    /// No assignment is worth more.
    pub bound: f64,
    /// For each tier the shadow prices of its room: what one more document, dollar or token would
    /// add to the value.
    pub prices: Vec<[f64; ROOMS]>,
}

/// Assigns `documents`, each a list of offers, within `rooms`, one a tier; `lambda` is the quality
/// that a dollar must buy.
pub fn assign(documents: &[Vec<Offer>], rooms: &[Room], lambda: f64) -> Assignment {
    let rooms = rooms.iter().map(|room| [room.documents, room.dollars, room.tokens]).collect();
    let batch = Batch { documents, rooms, lambda };
    let mut at = vec![[0.0; ROOMS]; batch.rooms.len()];
    let mut best =
        Assignment { tiers: vec![None; documents.len()], value: 0.0, bound: batch.bound(&at), prices: at.clone() };
    for _ in 0..STARTS {
        best.descend(&batch, &mut at);
        best.adopt(&batch, batch.exchange(best.tiers.clone()));
        if best.is_close(ENOUGH) {
            break;
        }
        // A better assignment makes for better steps, and the least bound is the best place to
        // begin.
        at.clone_from(&best.prices);
    }
    best
}

impl Assignment {
    fn descend(&mut self, batch: &Batch<'_>, at: &mut [[f64; ROOMS]]) {
        let mut length = 1.0;
        for round in 0..ROUNDS {
            batch.set_in_turn(at, round == 0);
            self.learn(batch.bound(at), at);
            self.adopt(batch, batch.fill(at));
            if self.is_close(CLOSE) {
                return;
            }
            for _ in 0..STEPS {
                batch.step(at, length, self.value);
                self.learn(batch.bound(at), at);
            }
            self.adopt(batch, batch.fill(at));
            length *= SHORTER;
        }
    }

    fn is_close(&self, share: f64) -> bool {
        self.bound - self.value <= share * self.bound
    }

    fn learn(&mut self, bound: f64, prices: &[[f64; ROOMS]]) {
        if bound < self.bound {
            self.bound = bound;
            self.prices.clear();
            self.prices.extend_from_slice(prices);
        }
    }

    fn adopt(&mut self, batch: &Batch<'_>, tiers: Vec<Option<usize>>) {
        let value = (0..tiers.len()).map(|at| batch.worth(batch.offer(at, tiers[at]))).sum();
        if value > self.value {
            self.value = value;
            self.tiers = tiers;
        }
    }
}

/// The problem.
struct Batch<'a> {
    documents: &'a [Vec<Offer>],
    rooms: Vec<[f64; ROOMS]>,
    lambda: f64,
}

impl<'a> Batch<'a> {
    /// What an offer is worth before anyone pays for room.
    fn value(&self, offer: &Offer) -> f64 {
        offer.quality - self.lambda * offer.dollars
    }

    /// The same, of no offer nothing.
    fn worth(&self, offer: Option<&Offer>) -> f64 {
        offer.map_or(0.0, |offer| self.value(offer))
    }

    /// What it is worth after.
    fn net(&self, offer: &Offer, prices: &[[f64; ROOMS]]) -> f64 {
        let paid: f64 = uses(offer).iter().zip(&prices[offer.tier]).map(|(used, price)| used * price).sum();
        self.value(offer) - paid
    }

    fn offer(&self, document: usize, tier: Option<usize>) -> Option<&'a Offer> {
        self.documents[document].iter().find(|offer| Some(offer.tier) == tier)
    }
}

/// The room that an offer takes.
fn uses(offer: &Offer) -> [f64; ROOMS] {
    [1.0, offer.dollars, offer.tokens]
}

#[cfg(test)]
mod tests;
