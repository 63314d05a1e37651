//! Who gives a command and why, for the records that remember it.

use precis_pipeline::audit::Actor;

/// Longest reason, bytes: reasons are shown in tables.
const MAX_REASON_BYTES: usize = 1_000;
/// Who acts where nothing names a person.
const UNNAMED: &str = "operator";

/// Who gives a command, and why if they say so.
#[derive(Debug, Clone, clap::Args)]
pub struct Why {
    /// Why: kept on the topic `audit`
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = reason)]
    pub reason: String,
    /// Who, for the record [default: $USER]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// Who gives a command that must not be given without a reason, and the reason.
#[derive(Debug, Clone, clap::Args)]
pub struct RequiredWhy {
    /// Why: shown by `precis status`, kept on the topic `audit`
    #[arg(long, value_name = "TEXT", value_parser = required_reason)]
    reason: String,
    /// Who, for the record [default: $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl From<RequiredWhy> for Why {
    fn from(RequiredWhy { reason, by }: RequiredWhy) -> Self {
        Self { reason, by }
    }
}

impl Why {
    /// Who gives the command: the stated name, or the account's.
    pub fn operator(&self) -> Operator {
        Operator { by: name(self.by.as_deref()), reason: self.reason.clone() }
    }
}

/// A named operator and the reason.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The name: never empty.
    pub by: String,
    /// The reason: empty where none was stated.
    pub reason: String,
}

impl Operator {
    /// Whoever runs this process, for something that a command does on the way.
    pub fn of_process(reason: &str) -> Self {
        Self { by: name(None), reason: reason.to_owned() }
    }

    /// The same for an audit record.
    pub fn actor(&self) -> Actor<'_> {
        Actor { by: &self.by, reason: &self.reason }
    }
}

fn name(stated: Option<&str>) -> String {
    stated
        .map(str::to_owned)
        .or_else(|| std::env::var("USER").ok())
        .filter(|name| !name.trim().is_empty())
        .unwrap_or_else(|| UNNAMED.to_owned())
}

/// A reason as an argument: one short line, or none.
fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() > MAX_REASON_BYTES {
        return Err(format!("it has {} bytes; keep it below {MAX_REASON_BYTES}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err("write it on one line, without control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// A reason that may not be empty.
fn required_reason(text: &str) -> Result<String, String> {
    let text = reason(text)?;
    if text.is_empty() { Err("say why: whoever looks at the tier must find out".to_owned()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_short_line() {
        assert_eq!(reason(" new driver "), Ok("new driver".to_owned()));
        assert_eq!(reason(""), Ok(String::new()));
        assert!(reason("a\nb").is_err() && reason("a\u{1b}[2J").is_err());
        assert!(reason(&"x".repeat(MAX_REASON_BYTES)).is_ok() && reason(&"x".repeat(MAX_REASON_BYTES + 1)).is_err());
    }

    #[test]
    fn a_required_reason_is_not_empty() {
        assert!(required_reason("  ").is_err());
        assert_eq!(required_reason("incident"), Ok("incident".to_owned()));
    }

    #[test]
    fn a_blank_name_is_no_name() {
        assert_eq!(name(Some("ada")), "ada");
        assert_eq!(name(Some(" ")), UNNAMED);
    }
}
