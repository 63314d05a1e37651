//! One module a command: its arguments with their help, and what it does. No command imports
//! another; what several of them do is in [`crate::operations`].

pub mod audit;
pub mod bench;
pub mod config;
pub mod dead_letters;
pub mod doctor;
pub mod models;
pub mod policy;
pub mod quality;
pub mod results;
pub mod spend;
pub mod status;
pub mod submit;
pub mod summarize;
pub mod tiers;
pub mod topics;
pub mod up;
