//! What several commands do: one module an operation, which no command has to itself.
//!
//! Commands import operations and never each other, so that each of them can be read alone. The
//! test `modules_import_their_own_layer_and_below` holds both.

pub mod dead_letters;
pub mod models;
pub mod operator;
pub mod policy;
pub mod publish;
pub mod topics;
