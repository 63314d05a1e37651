//! Instruction sets, and which of them this processor has.

use crate::spec::Portable;
#[cfg(target_arch = "x86_64")]
use crate::{avx2::Avx2, avx512::Avx512};

/// An instruction set that the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 with VNNI (integer products) and BF16 (products of bf16 pairs): Zen 4, Sapphire
    /// Rapids and later.
    Avx512,
    /// AVX2 with FMA and F16C: nearly every x86-64 server.
    Avx2,
    /// Plain Rust.
    Portable,
}

impl Isa {
    /// All instruction sets, the fastest first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// The fastest that this processor has.
    pub fn detect() -> Self {
        Self::ALL.into_iter().find(|isa| isa.is_available()).unwrap_or(Self::Portable)
    }

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::detect().is_some(),
            Self::Portable => true,
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The name, as settings and reports have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }
}

/// Proof that this processor has an instruction set, with its products.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DetectedIsa {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Portable(Portable),
}

impl DetectedIsa {
    /// `None` where the processor does not have it.
    pub(crate) fn new(isa: Isa) -> Option<Self> {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Avx512::detect().map(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Avx2::detect().map(Self::Avx2),
            Isa::Portable => Some(Self::Portable(Portable)),
            #[cfg(not(target_arch = "x86_64"))]
            _ => None,
        }
    }
}

/// Runs an expression with `$dots` bound to the products of the isa_proof instruction set.
macro_rules! with_dots {
    ($isa_proof:expr, $dots:ident => $body:expr) => {
        match $isa_proof {
            #[cfg(target_arch = "x86_64")]
            $crate::isa::DetectedIsa::Avx512($dots) => $body,
            #[cfg(target_arch = "x86_64")]
            $crate::isa::DetectedIsa::Avx2($dots) => $body,
            $crate::isa::DetectedIsa::Portable($dots) => $body,
        }
    };
}
pub(crate) use with_dots;
