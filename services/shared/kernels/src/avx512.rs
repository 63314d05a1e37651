//! AVX-512 with VNNI and BF16: one register is a tile's 16 outputs, two are a panel's 32 columns.

mod linear;
mod panel;

use crate::activations::Rows;
use crate::pack::{TILE, Tile};
use crate::spec::{Dots, PANEL, PairRows, Panel, check_tile};

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
fn run<T>(work: impl FnOnce() -> T) -> T {
    work()
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
    fn with<T>(self, work: impl FnOnce() -> T) -> T {
        // SAFETY: `self` proves the features.
        unsafe { run(work) }
    }
}
