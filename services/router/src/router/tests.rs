#![allow(clippy::unwrap_used)]

mod documents;
mod escalations;
mod harness;
mod residency;
mod stage;
