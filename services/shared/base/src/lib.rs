//! The ground floor: what three crates or more need, in modules that say what they hold.
//!
//! Imports nothing of ours. Something with fewer users stays where it is used.

pub mod backoff;
pub mod clock;
pub mod digest;
pub mod lock;
