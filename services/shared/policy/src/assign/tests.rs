#![allow(clippy::unwrap_used, clippy::float_cmp)]

use microlp::{ComparisonOp, OptimizationDirection, Problem};

use super::*;

/// xorshift64*: the instances must be equal on every machine.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..10 {
            random.unit();
        }
        random
    }

    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    fn chance(&mut self, of: f64) -> bool {
        self.unit() < of
    }
}

struct Instance {
    documents: Vec<Vec<Offer>>,
    rooms: Vec<Room>,
    lambda: f64,
}

const SHARES: [f64; 4] = [0.7, 0.2, 0.1, 0.05];
const DOLLARS_A_TOKEN: [f64; 4] = [0.0, 0.2e-6, 1.5e-6, 6e-6];
const STRENGTHS: [f64; 4] = [0.0, 0.5, 0.75, 0.9];

/// A random batch: 150 to 300 documents, two to four tiers, easy or hard documents, a third of them
/// bound to internal tiers, and limits that bind by anything from not at all to a third of the
/// demand.
fn instance(seed: u64) -> Instance {
    let random = &mut Random::new(seed);
    let tiers = 2 + (random.unit() * 3.0) as usize;
    let count = 150 + (random.unit() * 150.0) as usize;
    let skew = [1.0, 0.3, 4.0][(random.unit() * 3.0) as usize];
    let documents: Vec<Vec<Offer>> = (0..count)
        .map(|_| {
            let score = random.unit().powf(skew);
            let tokens = random.between(5.0, 8.5).exp();
            let stays = random.chance(0.3);
            let offers = (0..tiers).filter(|tier| *tier == 0 || !(stays || random.chance(0.15)));
            let offers = offers.map(|tier| Offer {
                tier,
                quality: score + (1.0 - score) * STRENGTHS[tier],
                dollars: tokens * DOLLARS_A_TOKEN[tier],
                tokens,
            });
            offers.collect()
        })
        .collect();
    let total: f64 = documents.iter().filter_map(|offers| offers.first()).map(|offer| offer.tokens).sum();
    let rooms = (0..tiers)
        .map(|tier| {
            let mut room = Room::default();
            if random.chance(0.8) {
                room.documents = (SHARES[tier] * count as f64 * random.between(0.7, 1.4)).floor();
            }
            if tier > 0 && random.chance(0.4) {
                room.dollars = SHARES[tier] * total * DOLLARS_A_TOKEN[tier] * random.between(0.3, 1.2);
            }
            if random.chance(0.4) {
                room.tokens = SHARES[tier] * total * random.between(0.3, 1.3);
            }
            room
        })
        .collect();
    let lambda = if random.chance(0.5) { 0.0 } else { random.between(0.0, 30.0) };
    Instance { documents, rooms, lambda }
}

/// The optimum where documents may be split; no assignment of whole documents exceeds it.
fn linear_optimum(instance: &Instance) -> f64 {
    let mut problem = Problem::new(OptimizationDirection::Maximize);
    let mut limits: Vec<[Vec<(microlp::Variable, f64)>; ROOM_KINDS]> = vec![Default::default(); instance.rooms.len()];
    for offers in &instance.documents {
        let mut one = Vec::new();
        for offer in offers {
            let part = problem.add_var(offer.quality - instance.lambda * offer.dollars, (0.0, 1.0));
            one.push((part, 1.0));
            for (limit, used) in limits[offer.tier].iter_mut().zip(uses(offer)) {
                limit.push((part, used));
            }
        }
        problem.add_constraint(one, ComparisonOp::Le, 1.0);
    }
    for (limits, room) in limits.into_iter().zip(&instance.rooms) {
        for (limit, room) in limits.into_iter().zip([room.documents, room.dollars, room.tokens]) {
            if room.is_finite() {
                // In shares of the room, so that coefficients are of one magnitude.
                let shares: Vec<_> = limit.into_iter().map(|(part, used)| (part, used / room)).collect();
                problem.add_constraint(shares, ComparisonOp::Le, 1.0);
            }
        }
    }
    problem.solve().unwrap().into_solution().unwrap().objective()
}

/// A thousand random batches are within one percent of the optimum of the linear program.
#[test]
fn random_batches_are_within_one_percent_of_the_optimum() {
    let mut worst: f64 = 0.0;
    for seed in 1..=1_000 {
        let instance = instance(seed);
        let found = assign(&instance.documents, &instance.rooms, instance.lambda);
        let optimum = linear_optimum(&instance);
        let miss = (optimum - found.value) / optimum;
        assert!(miss <= 0.01, "seed {seed}: {} of {optimum}, missed by {miss}", found.value);
        assert!(miss >= -1e-6, "seed {seed}: more than the optimum");
        assert!(found.bound >= optimum * (1.0 - 1e-6), "seed {seed}: {} is no bound of {optimum}", found.bound);
        assert_fits(seed, &instance, &found);
        worst = worst.max(miss);
    }
    assert!(worst > 0.0, "whole documents cost something: the comparison compares nothing");
}

fn assert_fits(seed: u64, instance: &Instance, found: &Assignment) {
    let mut used = vec![[0.0; ROOM_KINDS]; instance.rooms.len()];
    let mut value = 0.0;
    for (offers, tier) in instance.documents.iter().zip(&found.tiers) {
        let Some(tier) = tier else { continue };
        let offer = offers.iter().find(|offer| offer.tier == *tier).unwrap_or_else(|| panic!("seed {seed}: no offer"));
        used[*tier].iter_mut().zip(uses(offer)).for_each(|(used, more)| *used += more);
        value += offer.quality - instance.lambda * offer.dollars;
    }
    assert!((value - found.value).abs() < 1e-6, "seed {seed}");
    for (used, room) in used.iter().zip(&instance.rooms) {
        for (used, room) in used.iter().zip([room.documents, room.dollars, room.tokens]) {
            assert!(*used <= room * (1.0 + 1e-6) + 1e-6, "seed {seed}: {used} in room for {room}");
        }
    }
}

/// Documents of these scores that may go anywhere, equally dear and equally long.
fn scored(scores: impl Iterator<Item = f64>, strengths: &[f64]) -> Vec<Vec<Offer>> {
    let offer = |score: f64, tier: usize| Offer {
        tier,
        quality: score + (1.0 - score) * strengths[tier],
        dollars: 0.01,
        tokens: 1_000.0,
    };
    scores.map(|score| (0..strengths.len()).map(|tier| offer(score, tier)).collect()).collect()
}

/// Under a mix alone the hardest documents go to the strongest tier, as thresholds on the score
/// would send them.
#[test]
fn under_a_mix_alone_the_optimum_is_thresholds_on_the_score() {
    let documents = scored((0..100).map(|at| f64::from(at) / 100.0), &[0.0, 0.5, 0.75]);
    let rooms = [70.0, 20.0, 10.0].map(|documents| Room { documents, ..Room::default() });
    let found = assign(&documents, &rooms, 0.0);
    for (at, tier) in found.tiers.iter().enumerate() {
        assert_eq!(*tier, Some(if at < 10 { 2 } else { usize::from(at < 30) }), "document {at}");
    }
}

#[test]
fn the_shadow_price_is_what_one_more_document_of_room_adds() {
    let documents = scored((0..100).map(|at| f64::from(at) / 100.0), &[0.0, 0.5]);
    let with = |room: f64| assign(&documents, &[Room::default(), Room { documents: room, ..Room::default() }], 0.0);
    let (found, more) = (with(10.0), with(11.0));
    assert!((found.prices[1][0] - (more.value - found.value)).abs() < 1e-9, "{:?}", found.prices);
    assert!((found.prices[1][0] - 0.45).abs() < 1e-9, "the eleventh hardest would gain half of what it lacks");
    assert_eq!(found.prices[0], [0.0; ROOM_KINDS], "room without a limit has no price");
    assert_eq!(with(100.0).prices[1], [0.0; ROOM_KINDS], "nor has room that is left over");
}

#[test]
fn nothing_is_bought_that_is_not_worth_its_price() {
    let documents = scored((0..10).map(|_| 0.5), &[0.5, 0.9]);
    let rooms = [Room { documents: 0.0, ..Room::default() }, Room::default()];
    assert_eq!(assign(&documents, &rooms, 1_000.0).tiers, [None; 10]);
    assert_eq!(assign(&documents, &rooms, 1.0).tiers, [Some(1); 10]);
    assert_eq!(assign(&[], &rooms, 1.0).value, 0.0);
}
