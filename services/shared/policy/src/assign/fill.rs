//! From prices to whole documents: which document takes which offer where not all fit.

use super::{Batch, Offer, ROOM_KINDS, uses};

/// Most rounds in which every document may move to a better offer that fits.
const MAX_MOVE_ROUNDS: usize = 4;
/// Most rounds in which every document may take another one's place.
const MAX_EXCHANGE_ROUNDS: usize = 3;
/// Tolerance for sums of fractions when room is compared.
const ROUNDING_TOLERANCE: f64 = 1e-9;
/// Smallest gain that is not rounding.
const MIN_GAIN: f64 = 1e-9;

/// The room that is left at each tier.
#[derive(Clone)]
struct RoomLeft(Vec<[f64; ROOM_KINDS]>);

impl RoomLeft {
    fn fits(&self, offer: &Offer) -> bool {
        uses(offer)
            .iter()
            .zip(&self.0[offer.tier])
            .all(|(used, left)| *used <= left + ROUNDING_TOLERANCE * left.max(1.0))
    }

    fn take(&mut self, offer: Option<&Offer>) {
        if let Some(offer) = offer {
            self.0[offer.tier].iter_mut().zip(uses(offer)).for_each(|(left, used)| *left -= used);
        }
    }

    fn give_back(&mut self, offer: Option<&Offer>) {
        if let Some(offer) = offer {
            self.0[offer.tier].iter_mut().zip(uses(offer)).for_each(|(left, used)| *left += used);
        }
    }
}

impl Batch<'_> {
    /// Gives every document its best offer that fits, those with the most to lose first; then each
    /// moves up where room is left.
    pub(super) fn fill(&self, prices: &[[f64; ROOM_KINDS]]) -> Vec<Option<usize>> {
        let mut left = RoomLeft(self.rooms.clone());
        let mut tiers = vec![None; self.documents.len()];
        let order = self.most_to_lose(prices);
        for at in &order {
            let fitting = self.documents[*at].iter().filter(|offer| self.value(offer) > 0.0 && left.fits(offer));
            let best = fitting.max_by(|a, b| self.net(a, prices).total_cmp(&self.net(b, prices)));
            left.take(best);
            tiers[*at] = best.map(|offer| offer.tier);
        }
        for _ in 0..MAX_MOVE_ROUNDS {
            let mut moved = false;
            // Documents that were nearly indifferent were served last: they come first now.
            for at in order.iter().rev() {
                let own = self.offer(*at, tiers[*at]);
                left.give_back(own);
                let better = self.best_fitting(*at, &left, None);
                let next = if self.worth(better) > self.worth(own) + MIN_GAIN { better } else { own };
                left.take(next);
                let tier = next.map(|offer| offer.tier);
                moved |= tier != tiers[*at];
                tiers[*at] = tier;
            }
            if !moved {
                break;
            }
        }
        tiers
    }

    /// The documents, ordered by their loss without their best offer, the greatest loss first.
    fn most_to_lose(&self, prices: &[[f64; ROOM_KINDS]]) -> Vec<usize> {
        let loss = |offers: &Vec<Offer>| {
            let (mut best, mut second) = (0.0_f64, 0.0_f64);
            for net in offers.iter().map(|offer| self.net(offer, prices)) {
                second = second.max(best.min(net));
                best = best.max(net);
            }
            best - second
        };
        let losses: Vec<f64> = self.documents.iter().map(loss).collect();
        let mut order: Vec<usize> = (0..losses.len()).collect();
        order.sort_by(|a, b| losses[*b].total_cmp(&losses[*a]));
        order
    }

    /// The best offer that fits into the room left, at any tier except `except`.
    fn best_fitting(&self, document: usize, left: &RoomLeft, except: Option<usize>) -> Option<&Offer> {
        let fitting = self.documents[document].iter().filter(|offer| Some(offer.tier) != except && left.fits(offer));
        let worth_it = fitting.filter(|offer| self.value(offer) > 0.0);
        worth_it.max_by(|a, b| self.value(a).total_cmp(&self.value(b)))
    }

    /// Lets documents take others' places wherever both together gain.
    pub(super) fn exchange(&self, mut tiers: Vec<Option<usize>>) -> Vec<Option<usize>> {
        let mut left = RoomLeft(self.rooms.clone());
        (0..tiers.len()).for_each(|at| left.take(self.offer(at, tiers[at])));
        for _ in 0..MAX_EXCHANGE_ROUNDS {
            let mut moved = false;
            for at in 0..tiers.len() {
                let own = self.offer(at, tiers[at]);
                left.give_back(own);
                if let Some((wanted, other, next)) = self.best_exchange(at, own, &tiers, &left) {
                    left.give_back(self.offer(other, tiers[other]));
                    left.take(Some(wanted));
                    left.take(next);
                    tiers[at] = Some(wanted.tier);
                    tiers[other] = next.map(|offer| offer.tier);
                    moved = true;
                } else {
                    left.take(own);
                }
            }
            if !moved {
                break;
            }
        }
        tiers
    }

    /// The best exchange for a document: the offer that it takes, the document that gives its
    /// place, and that document's next offer. `left` contains the document's own room already.
    fn best_exchange(
        &self,
        document: usize,
        own: Option<&Offer>,
        tiers: &[Option<usize>],
        left: &RoomLeft,
    ) -> Option<(&Offer, usize, Option<&Offer>)> {
        let mut best = None;
        let mut most = MIN_GAIN;
        let has = self.worth(own);
        for wanted in self.documents[document].iter().filter(|offer| self.value(offer) > has) {
            for other in (0..tiers.len()).filter(|other| *other != document && tiers[*other] == Some(wanted.tier)) {
                let gives = self.offer(other, tiers[other]);
                let mut free = left.clone();
                free.give_back(gives);
                if !free.fits(wanted) {
                    continue;
                }
                free.take(Some(wanted));
                let next = self.best_fitting(other, &free, Some(wanted.tier));
                let gain = self.value(wanted) - has + self.worth(next) - self.worth(gives);
                if gain > most {
                    most = gain;
                    best = Some((wanted, other, next));
                }
            }
        }
        best
    }
}
