//! The model: its shape, its weights, and one forward pass for every family of it.

pub(crate) mod decoder;
pub(crate) mod weights;
