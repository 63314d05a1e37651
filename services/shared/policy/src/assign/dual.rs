//! The prices: where the dual function is least.

use super::{Batch, Offer, ROOMS, uses};

/// Times that all prices are set in turn; they rest much earlier.
const TURNS: usize = 60;
/// Prices rest when a turn lowers the bound by a smaller share than this.
const RESTS: f64 = 1e-6;

impl Batch<'_> {
    /// The dual function: what all documents are worth at these prices, and what all room is.
    pub(super) fn bound(&self, prices: &[[f64; ROOMS]]) -> f64 {
        let nets = self.documents.iter().map(|offers| self.best(offers, prices).map_or(0.0, |(_, net)| net));
        let rooms = self.rooms.iter().flatten().zip(prices.iter().flatten());
        nets.sum::<f64>() + rooms.filter(|(_, price)| **price > 0.0).map(|(room, price)| room * price).sum::<f64>()
    }

    /// Sets each price to what its room is worth while the others stay; once, or until they rest.
    pub(super) fn set_in_turn(&self, prices: &mut [[f64; ROOMS]], until_they_rest: bool) {
        let mut bound = self.bound(prices);
        for _ in 0..if until_they_rest { TURNS } else { 1 } {
            for tier in 0..self.rooms.len() {
                for kind in 0..ROOMS {
                    if self.rooms[tier][kind].is_finite() {
                        prices[tier][kind] = self.price(prices, tier, kind);
                    }
                }
            }
            let before = std::mem::replace(&mut bound, self.bound(prices));
            if before - bound <= RESTS * before.abs() {
                return;
            }
        }
    }

    /// The least price at which demand for this room fits, the other prices given.
    fn price(&self, prices: &[[f64; ROOMS]], tier: usize, kind: usize) -> f64 {
        // The price at which each document leaves, and the room that it then frees.
        let mut leaving: Vec<(f64, f64)> = Vec::with_capacity(self.documents.len());
        for offers in self.documents {
            let Some(own) = offers.iter().find(|offer| offer.tier == tier) else { continue };
            let others = offers.iter().filter(|offer| offer.tier != tier).map(|offer| self.net(offer, prices));
            let other = others.fold(0.0, f64::max);
            let used = uses(own)[kind];
            let unpaid = self.net(own, prices) + used * prices[tier][kind];
            if used > 0.0 && unpaid > other {
                leaving.push(((unpaid - other) / used, used));
            }
        }
        leaving.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut demand = 0.0;
        let overflow = leaving.iter().find(|(_, used)| {
            demand += used;
            demand > self.rooms[tier][kind]
        });
        overflow.map_or(0.0, |(price, _)| *price)
    }

    /// One step down the dual function: room in excess demand gets dearer, room to spare cheaper,
    /// each by the share that is missing. The length is Polyak's, with the best known assignment's
    /// value in the place of the unknown minimum.
    pub(super) fn step(&self, prices: &mut [[f64; ROOMS]], length: f64, value: f64) {
        let mut demand = vec![[0.0; ROOMS]; self.rooms.len()];
        for offers in self.documents {
            if let Some((offer, _)) = self.best(offers, prices) {
                demand[offer.tier].iter_mut().zip(uses(offer)).for_each(|(demand, used)| *demand += used);
            }
        }
        let excess = |demand: f64, room: f64| if room.is_finite() { demand / room.max(1e-12) - 1.0 } else { 0.0 };
        let pairs = || demand.iter().flatten().zip(self.rooms.iter().flatten());
        let norm: f64 = pairs().map(|(demand, room)| excess(*demand, *room).powi(2)).sum();
        if norm == 0.0 {
            return;
        }
        let by = length * (self.bound(prices) - value).max(0.0) / norm;
        for (price, (demand, room)) in prices.iter_mut().flatten().zip(pairs()) {
            if room.is_finite() {
                *price = (*price + by * excess(*demand, *room) / room.max(1e-12)).max(0.0);
            }
        }
    }

    /// The offer that is worth most at these prices, if any is worth more than nothing.
    fn best<'o>(&self, offers: &'o [Offer], prices: &[[f64; ROOMS]]) -> Option<(&'o Offer, f64)> {
        let nets = offers.iter().map(|offer| (offer, self.net(offer, prices)));
        nets.filter(|(_, net)| *net > 0.0).max_by(|a, b| a.1.total_cmp(&b.1))
    }
}
