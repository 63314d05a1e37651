//! From prices to whole documents: who takes which offer where not all fit.

use super::{Batch, Offer, ROOMS, uses};

/// Times that every document may move to a better offer that fits.
const MOVES: usize = 4;
/// Times that every document may take another's place.
const EXCHANGES: usize = 3;
/// Room is counted in sums of fractions.
const ROUNDING: f64 = 1e-9;
/// Gains below this are rounding.
const GAIN: f64 = 1e-9;

/// What is left of each tier's room.
#[derive(Clone)]
struct Left(Vec<[f64; ROOMS]>);

impl Left {
    fn fits(&self, offer: &Offer) -> bool {
        uses(offer).iter().zip(&self.0[offer.tier]).all(|(used, left)| *used <= left + ROUNDING * left.max(1.0))
    }

    fn take(&mut self, offer: Option<&Offer>) {
        if let Some(offer) = offer {
            self.0[offer.tier].iter_mut().zip(uses(offer)).for_each(|(left, used)| *left -= used);
        }
    }

    fn give(&mut self, offer: Option<&Offer>) {
        if let Some(offer) = offer {
            self.0[offer.tier].iter_mut().zip(uses(offer)).for_each(|(left, used)| *left += used);
        }
    }
}

impl Batch<'_> {
    /// Every document takes its best offer that fits, those with the most to lose first; then each
    /// moves up where room is left.
    pub(super) fn fill(&self, prices: &[[f64; ROOMS]]) -> Vec<Option<usize>> {
        let mut left = Left(self.rooms.clone());
        let mut tiers = vec![None; self.documents.len()];
        let order = self.most_to_lose(prices);
        for at in &order {
            let fitting = self.documents[*at].iter().filter(|offer| self.value(offer) > 0.0 && left.fits(offer));
            let best = fitting.max_by(|a, b| self.net(a, prices).total_cmp(&self.net(b, prices)));
            left.take(best);
            tiers[*at] = best.map(|offer| offer.tier);
        }
        for _ in 0..MOVES {
            let mut moved = false;
            // Those that were nearly indifferent were put off: they come first now.
            for at in order.iter().rev() {
                let own = self.offer(*at, tiers[*at]);
                left.give(own);
                let better = self.best_fitting(*at, &left, None);
                let next = if self.worth(better) > self.worth(own) + GAIN { better } else { own };
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

    /// Documents by what they lose where they do not get their best offer, the greatest loss first.
    fn most_to_lose(&self, prices: &[[f64; ROOMS]]) -> Vec<usize> {
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

    fn best_fitting(&self, document: usize, left: &Left, but: Option<usize>) -> Option<&Offer> {
        let fitting = self.documents[document].iter().filter(|offer| Some(offer.tier) != but && left.fits(offer));
        let worth_it = fitting.filter(|offer| self.value(offer) > 0.0);
        worth_it.max_by(|a, b| self.value(a).total_cmp(&self.value(b)))
    }

    /// Lets documents take others' places wherever both together gain by it.
    pub(super) fn exchange(&self, mut tiers: Vec<Option<usize>>) -> Vec<Option<usize>> {
        let mut left = Left(self.rooms.clone());
        (0..tiers.len()).for_each(|at| left.take(self.offer(at, tiers[at])));
        for _ in 0..EXCHANGES {
            let mut moved = false;
            for at in 0..tiers.len() {
                let own = self.offer(at, tiers[at]);
                left.give(own);
                if let Some((wanted, other, next)) = self.best_exchange(at, own, &tiers, &left) {
                    left.give(self.offer(other, tiers[other]));
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

    /// The offer that the document should take, whose place, and where that one goes; `left` holds
    /// the document's own room already.
    fn best_exchange(
        &self,
        document: usize,
        own: Option<&Offer>,
        tiers: &[Option<usize>],
        left: &Left,
    ) -> Option<(&Offer, usize, Option<&Offer>)> {
        let mut best = None;
        let mut most = GAIN;
        let has = self.worth(own);
        for wanted in self.documents[document].iter().filter(|offer| self.value(offer) > has) {
            for other in (0..tiers.len()).filter(|other| *other != document && tiers[*other] == Some(wanted.tier)) {
                let gives = self.offer(other, tiers[other]);
                let mut free = left.clone();
                free.give(gives);
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
