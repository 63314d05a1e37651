//! Settings of the section `[controller]`.

use std::path::PathBuf;

use precis_config::{Validate, Violations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::view::{Axis, MAX_DAYS};

/// The section `[controller]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ControllerSettings {
    /// What groups are told apart by: `tier`, `model`, `prompt`, `type`, `language`.
    pub by: Vec<Axis>,
    /// Days up to today, UTC, whose quality is watched.
    pub current_days: u32,
    /// Days before them that they are compared with. The two together are at most 62.
    pub baseline_days: u32,
    /// How often the figures are made anew, milliseconds.
    pub interval_ms: u64,
    /// Where an alarm is sent to.
    pub webhook: WebhookSettings,
}

/// The section `[controller.webhook]`. The secret that requests are signed with is the variable
/// `PRECIS_WEBHOOK_SECRET`, or in `secret_file`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// The address, `https` unless it is on this machine. Left out: nothing is sent.
    pub url: Option<String>,
    /// A file with the secret, where the variable is not set.
    pub secret_file: Option<PathBuf>,
    /// The longest that one request may take, milliseconds.
    pub timeout_ms: u64,
}

impl Default for ControllerSettings {
    fn default() -> Self {
        Self {
            by: vec![Axis::Tier, Axis::Type],
            current_days: 7,
            baseline_days: 28,
            interval_ms: 60_000,
            webhook: WebhookSettings::default(),
        }
    }
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self { url: None, secret_file: None, timeout_ms: 10_000 }
    }
}

impl Validate for ControllerSettings {
    fn validate(&self, at: &str, out: &mut Violations) {
        if self.by.is_empty() {
            out.push(format!("{at}.by"), "is empty; name at least one of tier, model, prompt, type, language");
        }
        let days = u64::from(self.current_days) + u64::from(self.baseline_days);
        if self.current_days == 0 || self.baseline_days == 0 || days > MAX_DAYS as u64 {
            let problem = format!("current_days and baseline_days must be at least 1, and together at most {MAX_DAYS}");
            out.push(format!("{at}.baseline_days"), problem);
        }
        if !(1_000..=3_600_000).contains(&self.interval_ms) {
            out.push(format!("{at}.interval_ms"), "is not between 1000 and 3600000");
        }
        if !(100..=60_000).contains(&self.webhook.timeout_ms) {
            out.push(format!("{at}.webhook.timeout_ms"), "is not between 100 and 60000");
        }
    }
}
