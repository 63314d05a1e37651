#![allow(clippy::unwrap_used)]

use super::*;

const SHAPE: LowRankShape = LowRankShape { first: 32, inputs: 48, outputs: 64, rank: 3 };

fn numbers(count: usize) -> Vec<f32> {
    // Whole numbers below 256 are bf16 numbers.
    (0..count).map(|at| (at * 7 % 251) as f32 - 100.0).collect()
}

#[test]
fn packed_factors_are_the_given_ones() {
    let (a, b) = (numbers(3 * 48), numbers(3 * 64));
    let packed = LowRank::pack(SHAPE, 0.5, &a, &b).unwrap();
    assert_eq!((packed.shape(), packed.scale()), (SHAPE, 0.5));
    assert_eq!((packed.a(), packed.b()), (a, b.clone()));
    assert_eq!(SHAPE.bytes(), 2 * 3 * (48 + 64));
    assert!(packed.tile_of_b(16).is_none() && packed.tile_of_b(96).is_none());
    let tile = packed.tile_of_b(48).unwrap();
    for (output, rank) in [(0, 0), (5, 2), (15, 1)] {
        assert_eq!(get(tile, rank * TILE + output), b[(16 + output) * 3 + rank]);
    }
}

#[test]
fn factors_that_cannot_be_computed_are_refused() {
    let (a, b) = (numbers(3 * 48), numbers(3 * 64));
    let pack = |shape, a: &[f32], b: &[f32]| LowRank::pack(shape, 1.0, a, b).unwrap_err();
    assert_eq!(pack(LowRankShape { rank: 0, ..SHAPE }, &[], &[]), LowRankError::Rank(0));
    assert_eq!(pack(LowRankShape { rank: 513, ..SHAPE }, &a, &b), LowRankError::Rank(513));
    for shape in [
        LowRankShape { inputs: 40, ..SHAPE },
        LowRankShape { inputs: 0, ..SHAPE },
        LowRankShape { outputs: 60, ..SHAPE },
        LowRankShape { first: 8, ..SHAPE },
    ] {
        assert!(matches!(pack(shape, &a, &b), LowRankError::Shape { .. }), "{shape:?}");
    }
    assert_eq!(pack(SHAPE, &a[1..], &b), LowRankError::Size { needed: 144, found: 143 });
    assert_eq!(pack(SHAPE, &a, &b[1..]), LowRankError::Size { needed: 192, found: 191 });
    for number in [f32::NAN, f32::INFINITY, f32::MAX] {
        let mut broken = a.clone();
        broken[17] = number;
        assert_eq!(pack(SHAPE, &broken, &b), LowRankError::NotFinite, "{number}");
    }
    assert_eq!(LowRank::pack(SHAPE, f32::NAN, &a, &b).unwrap_err(), LowRankError::NotFinite);
}
