//! The model: its weights, and one forward pass for every family.

pub(crate) mod decoder;
pub(crate) mod weights;
