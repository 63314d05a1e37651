//! The processor's kernels of a transformer step: the only unsafe code that is shipped.
//!
//! [`Kernels`] has one operation for each thing that a decoder does to a packed batch of rows,
//! shared among a [`Team`] of threads. Safe portable code in [`spec`] defines every result, bit for
//! bit. AVX-512 and AVX2 have versions of the two products that take nearly all the time; the tests
//! hold them to those bits.
//!
//! ```text
//! inference ──▶ Kernels (ops) ──▶ spec: elementwise, attention, linear ──▶ Dots ──▶ avx512 | avx2 | portable
//!                   │                         │
//!                 Team                  Matrix, Activations, KvPool: packed memory
//! ```
//!
//! Every operation checks shapes and places before the first unsafe read, and panics with the
//! numbers that do not fit. No safe function of this crate relies on a promise of its caller: what
//! threads write apart from each other is checked to be apart ([`Spans`]).

mod activations;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod isa;
mod kv;
mod low_rank;
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
pub use low_rank::{LowRank, LowRankError, LowRankShape, MAX_RANK};
pub use memory::{Buffer, Plain};
pub use ops::{AdaptedRows, Adapters, Choice, HeadNorm, HeadTurn, Kernels, Rotations, Span, Spans};
pub use pack::{Format, Matrix, PackError, Source, TileKind};
pub use team::Team;
