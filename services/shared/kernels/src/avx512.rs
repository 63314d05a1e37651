//! AVX-512 with VNNI and BF16: one register is a tile's 16 outputs, two are a panel's 32 columns.

mod linear;
mod panel;

use crate::activations::Rows;
use crate::avx2::low_rank;
use crate::pack::{BLOCK, TILE, Tile};
use crate::spec::{Dots, PANEL, PairRows, Panel, Work, check_tile};

/// Proof that this processor has every feature that the functions of this module are compiled for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512bf16")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        has.then_some(Self(()))
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,fma,f16c")]
fn run<W: Work>(work: W) -> W::Output {
    work.run()
}

impl Dots for Avx512 {
    #[inline(always)]
    fn tile(self, tile: &Tile<'_>, rows: &Rows<'_>, results: &mut [[f32; TILE]]) {
        check_tile(tile, rows, results);
        // SAFETY: `self` proves the features, and the check every length.
        unsafe { linear::tile(tile, rows, results) }
    }

    #[inline(always)]
    fn panel(self, rows: &PairRows<'_>, panels: &[Panel<'_>], ahead: &[Panel<'_>], results: &mut [[f32; PANEL]]) {
        rows.check(panels, results);
        // SAFETY: `self` proves the features, and the check every length.
        unsafe { panel::panel(rows, panels, ahead, results) }
    }

    #[inline(always)]
    fn numbers(self, codes: &[i8; BLOCK], scale: f32, numbers: &mut [f32; BLOCK]) {
        // SAFETY: `self` proves the features, of which AVX2 is a part.
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
