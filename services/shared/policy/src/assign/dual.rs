//! The prices of room: where the dual function is least.

use super::{Batch, Offer, ROOM_KINDS, uses};

/// Most sweeps over all prices; they converge much earlier.
const MAX_SWEEPS: usize = 60;
/// Prices have converged when a sweep lowers the bound by a smaller share than this.
const CONVERGED_GAIN: f64 = 1e-6;

impl Batch<'_> {
    /// The dual function: the net worth of all documents at these prices, and the worth of all
    /// room.
    pub(super) fn bound(&self, prices: &[[f64; ROOM_KINDS]]) -> f64 {
        let nets = self.documents.iter().map(|offers| self.best(offers, prices).map_or(0.0, |(_, net)| net));
        let rooms = self.rooms.iter().flatten().zip(prices.iter().flatten());
        nets.sum::<f64>() + rooms.filter(|(_, price)| **price > 0.0).map(|(room, price)| room * price).sum::<f64>()
    }

    /// Sets each price to the worth of its room, the others given; once, or until they converge.
    pub(super) fn sweep(&self, prices: &mut [[f64; ROOM_KINDS]], until_converged: bool) {
        let mut bound = self.bound(prices);
        for _ in 0..if until_converged { MAX_SWEEPS } else { 1 } {
            for tier in 0..self.rooms.len() {
                for kind in 0..ROOM_KINDS {
                    if self.rooms[tier][kind].is_finite() {
                        prices[tier][kind] = self.price(prices, tier, kind);
                    }
                }
            }
            let before = std::mem::replace(&mut bound, self.bound(prices));
            if before - bound <= CONVERGED_GAIN * before.abs() {
                return;
            }
        }
    }

    /// The least price at which demand for this room fits, the other prices given.
    fn price(&self, prices: &[[f64; ROOM_KINDS]], tier: usize, kind: usize) -> f64 {
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

    /// One step down the dual function: each price moves by its relative excess demand, up where
    /// room is short and down where room is left. The length is Polyak's, with the value of the
    /// best known assignment in place of the unknown minimum.
    pub(super) fn step(&self, prices: &mut [[f64; ROOM_KINDS]], length: f64, value: f64) {
        let mut demand = vec![[0.0; ROOM_KINDS]; self.rooms.len()];
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

    /// The offer with the largest net worth at these prices, if it is above 0.
    fn best<'o>(&self, offers: &'o [Offer], prices: &[[f64; ROOM_KINDS]]) -> Option<(&'o Offer, f64)> {
        let nets = offers.iter().map(|offer| (offer, self.net(offer, prices)));
        nets.filter(|(_, net)| *net > 0.0).max_by(|a, b| a.1.total_cmp(&b.1))
    }
}
