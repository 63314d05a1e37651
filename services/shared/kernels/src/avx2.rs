//! AVX2 with FMA and F16C: half a tile's outputs, or a quarter of a panel's columns, in a register.

mod linear;
pub(crate) mod low_rank;
mod panel;

use crate::activations::Rows;
use crate::pack::{BLOCK, TILE, Tile};
use crate::spec::{Dots, PANEL, PairRows, Panel, Work, check_tile};

/// Proof that this processor has every feature that the functions of this module are compiled for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let has =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        has.then_some(Self(()))
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn run<W: Work>(work: W) -> W::Output {
    work.run()
}

impl Dots for Avx2 {
    #[inline(always)]
    fn tile(self, tile: &Tile<'_>, rows: &Rows<'_>, results: &mut [[f32; TILE]]) {
        check_tile(tile, rows, results);
        // SAFETY: `self` proves the features, and the check every length.
        unsafe { linear::tile(tile, rows, results) }
    }

    #[inline(always)]
    fn panel(self, rows: &PairRows<'_>, panels: &[Panel<'_>], _: &[Panel<'_>], results: &mut [[f32; PANEL]]) {
        rows.check(panels, results);
        // SAFETY: `self` proves the features, and the check every length.
        unsafe { panel::panel(rows, panels, results) }
    }

    #[inline(always)]
    fn numbers(self, codes: &[i8; BLOCK], scale: f32, numbers: &mut [f32; BLOCK]) {
        // SAFETY: `self` proves the features.
        unsafe { low_rank::numbers(codes, scale, numbers) }
    }

    #[inline(always)]
    fn low_rank_dots<const R: usize>(self, rows: [&[f32]; R], factor: &[u32]) -> [f32; R] {
        // SAFETY: as above.
        unsafe { low_rank::dots(rows, factor) }
    }

    #[inline(always)]
    fn add_low_rank<const R: usize>(self, between: [&[f32]; R], factor: &[u32], sums: &mut [[f32; TILE]]) {
        // SAFETY: as above.
        unsafe { low_rank::add_outputs(between, factor, sums) }
    }

    #[inline(always)]
    fn with<W: Work>(self, work: W) -> W::Output {
        // SAFETY: `self` proves the features.
        unsafe { run(work) }
    }
}
