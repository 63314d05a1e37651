//! The commands as a user runs them: the real binary, the embedded log, no model. What needs the
//! model is ignored unless asked for.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that cannot go on fails")]

mod audit;
mod commands;
mod dead_letters;
mod extracts;
mod harness;
mod model;
mod models;
mod printing;
mod privacy;
mod quality;
mod quantise;
mod services;
mod summarize;
