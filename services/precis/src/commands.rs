//! One module a command: its arguments with their help, and what it does.

pub mod bench;
pub mod config;
pub mod dead_letters;
pub mod doctor;
pub mod models;
pub mod policy;
pub mod results;
pub mod spend;
pub mod status;
pub mod submit;
pub mod summarize;
pub mod tiers;
pub mod topics;
pub mod up;

/// Who gives a command, for the records that remember it.
fn operator(stated: Option<&str>) -> String {
    stated
        .map(str::to_owned)
        .or_else(|| std::env::var("USER").ok())
        .filter(|name| !name.trim().is_empty())
        .unwrap_or_else(|| "operator".to_owned())
}
