//! One module a command: its arguments with their help, and what it does.

pub mod audit;
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

/// Longest reason, bytes: it is shown in tables.
const LONGEST_REASON: usize = 1_000;

/// Why a command is given, if that is said.
fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() > LONGEST_REASON {
        return Err(format!("it has {} bytes; keep it below {LONGEST_REASON}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err("write it on one line, without control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// Why a command is given that is not to be given without a reason.
fn given_reason(text: &str) -> Result<String, String> {
    let text = reason(text)?;
    if text.is_empty() { Err("say why: whoever looks at the tier must find out".to_owned()) } else { Ok(text) }
}

/// Who gives a command, for the records that remember it.
fn operator(stated: Option<&str>) -> String {
    stated
        .map(str::to_owned)
        .or_else(|| std::env::var("USER").ok())
        .filter(|name| !name.trim().is_empty())
        .unwrap_or_else(|| "operator".to_owned())
}
