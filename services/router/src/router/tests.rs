#![allow(clippy::unwrap_used)]

mod documents;
mod escalations;
mod evaluations;
mod extracts;
mod faults;
mod figures;
mod harness;
mod lookups;
mod residency;
mod stage;
mod waiting;
