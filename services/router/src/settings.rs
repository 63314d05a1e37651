//! Settings of the section `[router]`.

use precis_config::{Validate, Violations};
use precis_pipeline::runtime::StageSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[router]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouterSettings {
    /// How many records are in flight, and how they are committed.
    pub stage: StageSettings,
}

impl Default for RouterSettings {
    /// Many records at once, since routing takes microseconds, or the time of one request to the
    /// store; transactions large enough to be worth their round trips. One topic may hold two
    /// thirds of what the stage holds: three transactions.
    fn default() -> Self {
        Self { stage: StageSettings { max_in_flight: 256, max_held: Some(18_000), ..StageSettings::default() } }
    }
}

impl Validate for RouterSettings {
    fn validate(&self, at: &str, out: &mut Violations) {
        self.stage.validate(&format!("{at}.stage"), out);
    }
}
