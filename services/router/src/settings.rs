//! Settings of the section `[router]`.

use precis_config::{Validate, Violations};
use precis_pipeline::runtime::StageSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[router]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouterSettings {
    /// How much is in flight and how it is committed.
    pub stage: StageSettings,
}

impl Default for RouterSettings {
    /// Routing takes microseconds, or the store's time where the store is asked: many at once, and
    /// transactions that are large enough to be worth their round trips. One topic may hold two
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
