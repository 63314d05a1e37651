//! The lowest crate: the few things that three crates or more need, each in a module that says what
//! it holds.
//!
//! It imports no other crate of ours. Something with fewer users stays where it is used.

pub mod backoff;
pub mod clock;
pub mod digest;
pub mod lock;
pub mod loopback;
pub mod private;
pub mod visible;
