//! The processor's kernels of a transformer step: the only unsafe code that is shipped.
//!
//! [`Kernels`] has one operation for each thing that a decoder does to a packed batch of rows,
//! shared among a [`Team`] of threads. What each computes, bit for bit, is defined by safe portable
//! code in [`spec`]; AVX-512 and AVX2 have versions of the two products that take nearly all the
//! time, held to those bits by the tests.
//!
//! ```text
//! inference ──▶ Kernels (ops) ──▶ spec: elementwise, attention, linear ──▶ Dots ──▶ avx512 | avx2 | portable
//!                   │                         │
//!                 Team                  Matrix, Activations, KvPool: packed memory
//! ```
//!
//! Every operation checks shapes and places before the first unsafe read, and says by a panic what
//! does not fit.

mod activations;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod isa;
mod kv;
mod memory;
mod ops;
mod pack;
pub mod spec;
mod team;
#[cfg(test)]
mod testing;

pub use activations::Activations;
pub use isa::Isa;
pub use kv::{BLOCK_TOKENS, KvPool, KvShape};
pub use memory::{Buffer, Plain};
pub use ops::{Choice, Kernels, Rotations, Span, Tiles};
pub use pack::{Format, Kind, Matrix, PackError, Source};
pub use team::Team;
