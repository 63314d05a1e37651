//! Assigns a batch of documents to tiers: the most quality for its price within each tier's room.
//!
//! Maximises Σ (quality − λ · dollars) over the documents, each to one of its offers or to none,
//! subject to every tier's room for documents (the target mix, a backlog), dollars (a budget) and
//! tokens (a provider's rate, the engine's throughput). Its linear relaxation is nearly integral,
//! because only as many documents are split as there are limits that bind.
//!
//! **Method**: Lagrangian relaxation.
//!
//! - Each limit gets a price for a unit of its room. At given prices every document simply takes
//!   its best offer, and the prices are right where demand just fits.
//! - The dual function is convex. Along one price its minimum needs no search: each document leaves
//!   the tier at a known price, so the right price is where the sorted demand overflows. A
//!   bisection would end at the same price.
//! - Prices set in turn can stop at a kink of the dual that is not its minimum. A few subgradient
//!   steps (Polyak's length, towards the best assignment found) lead away from there.
//! - Documents then take their best offer that fits, those with the most to lose first, and
//!   exchanges fill the rest.
//!
//! The dual's value bounds every assignment from above, so [`Assignment::bound`] says how far from
//! the best the result can be. The tests compare the result with a linear program's optimum.

mod dual;
mod fill;

/// Number of kinds of room: documents, dollars, tokens.
const ROOM_KINDS: usize = 3;
/// Gap to the bound, as a share of it, at which an assignment is good enough to stop.
const CLOSE_GAP: f64 = 0.002;
/// Gap to the bound, as a share of it, that is accepted after exchanges. Beyond it the search
/// starts once more from the best prices.
const ACCEPTED_GAP: f64 = 0.005;
/// Most starts of the search.
const MAX_STARTS: usize = 4;
/// Most rounds of one start: set the prices in turn, assign, step away.
const MAX_ROUNDS: usize = 20;
/// Subgradient steps of a round.
const STEPS_PER_ROUND: usize = 20;
/// Factor by which steps get shorter from round to round.
const STEP_LENGTH_FACTOR: f64 = 0.9;

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

/// A tier's room in one batch; infinite for no limit.
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

/// The tier of each document, and the prices of the tiers' room.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// For each document its tier. `None`: no tier has room, or no offer is worth its price.
    pub tiers: Vec<Option<usize>>,
    /// Σ (quality − λ · dollars).
    pub value: f64,
    /// Upper bound of the value of every assignment.
    pub bound: f64,
    /// For each tier the shadow prices of its room: what one more document, dollar or token would
    /// add to the value.
    pub prices: Vec<[f64; ROOM_KINDS]>,
}

/// Assigns `documents`, each a list of offers, within `rooms`, one a tier; `lambda` is the quality
/// that a dollar must buy.
pub fn assign(documents: &[Vec<Offer>], rooms: &[Room], lambda: f64) -> Assignment {
    let rooms = rooms.iter().map(|room| [room.documents, room.dollars, room.tokens]).collect();
    let batch = Batch { documents, rooms, lambda };
    let mut at = vec![[0.0; ROOM_KINDS]; batch.rooms.len()];
    let mut best =
        Assignment { tiers: vec![None; documents.len()], value: 0.0, bound: batch.bound(&at), prices: at.clone() };
    for _ in 0..MAX_STARTS {
        best.descend(&batch, &mut at);
        best.adopt_tiers(&batch, batch.exchange(best.tiers.clone()));
        if best.is_close(ACCEPTED_GAP) {
            break;
        }
        // A better assignment makes for better steps, and the prices of the least bound are the
        // best start.
        at.clone_from(&best.prices);
    }
    best
}

impl Assignment {
    /// One start: looks for better prices and assignments until the gap is small.
    fn descend(&mut self, batch: &Batch<'_>, at: &mut [[f64; ROOM_KINDS]]) {
        let mut length = 1.0;
        for round in 0..MAX_ROUNDS {
            batch.sweep(at, round == 0);
            self.adopt_bound(batch.bound(at), at);
            self.adopt_tiers(batch, batch.fill(at));
            if self.is_close(CLOSE_GAP) {
                return;
            }
            for _ in 0..STEPS_PER_ROUND {
                batch.step(at, length, self.value);
                self.adopt_bound(batch.bound(at), at);
            }
            self.adopt_tiers(batch, batch.fill(at));
            length *= STEP_LENGTH_FACTOR;
        }
    }

    fn is_close(&self, share: f64) -> bool {
        self.bound - self.value <= share * self.bound
    }

    /// Keeps the bound and its prices, if it is the least so far.
    fn adopt_bound(&mut self, bound: f64, prices: &[[f64; ROOM_KINDS]]) {
        if bound < self.bound {
            self.bound = bound;
            self.prices.clear();
            self.prices.extend_from_slice(prices);
        }
    }

    /// Keeps the assignment, if it is the best so far.
    fn adopt_tiers(&mut self, batch: &Batch<'_>, tiers: Vec<Option<usize>>) {
        let value = (0..tiers.len()).map(|at| batch.worth(batch.offer(at, tiers[at]))).sum();
        if value > self.value {
            self.value = value;
            self.tiers = tiers;
        }
    }
}

/// The problem: documents with their offers, the tiers' room, and λ.
struct Batch<'a> {
    documents: &'a [Vec<Offer>],
    rooms: Vec<[f64; ROOM_KINDS]>,
    lambda: f64,
}

impl<'a> Batch<'a> {
    /// The worth of an offer before the prices of its room.
    fn value(&self, offer: &Offer) -> f64 {
        offer.quality - self.lambda * offer.dollars
    }

    /// The worth of an offer before prices; 0 without an offer.
    fn worth(&self, offer: Option<&Offer>) -> f64 {
        offer.map_or(0.0, |offer| self.value(offer))
    }

    /// The worth of an offer after the prices of its room.
    fn net(&self, offer: &Offer, prices: &[[f64; ROOM_KINDS]]) -> f64 {
        let paid: f64 = uses(offer).iter().zip(&prices[offer.tier]).map(|(used, price)| used * price).sum();
        self.value(offer) - paid
    }

    fn offer(&self, document: usize, tier: Option<usize>) -> Option<&'a Offer> {
        self.documents[document].iter().find(|offer| Some(offer.tier) == tier)
    }
}

/// The room that an offer takes, by kind.
fn uses(offer: &Offer) -> [f64; ROOM_KINDS] {
    [1.0, offer.dollars, offer.tokens]
}

#[cfg(test)]
mod tests;
