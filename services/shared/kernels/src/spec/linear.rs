//! One row of activations times one tile of weights.

use crate::activations::Row;
use crate::pack::{BLOCK, TILE, Tile};

/// The products of a row with 16 outputs; see [`super::Dots::tile`] for the order.
pub fn tile(tile: &Tile<'_>, row: &Row<'_>) -> [f32; TILE] {
    let kind = tile.kind;
    let groups = kind.groups();
    let inputs = BLOCK / groups;
    let mut sums = [0.0f32; TILE];
    for block in 0..tile.blocks {
        let codes = &row.codes[block * BLOCK..][..BLOCK];
        for group in 0..groups {
            for (output, sum) in sums.iter_mut().enumerate() {
                let mut dot = 0i32;
                for input in group * inputs..(group + 1) * inputs {
                    let weight = i32::from(tile.code(block, output, input)) - kind.zero();
                    dot += weight * i32::from(codes[input]);
                }
                *sum = (dot as f32 * row.scales[block]).mul_add(tile.number(block, group, output), *sum);
            }
        }
        if kind.has_min() {
            for (output, sum) in sums.iter_mut().enumerate() {
                *sum = row.sums[block].mul_add(tile.number(block, groups, output), *sum);
            }
        }
    }
    sums
}
