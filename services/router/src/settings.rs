//! Settings of the section `[router]`.

use precis_config::{Validate, Violations};
use precis_pipeline::house::StageSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[router]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouterSettings {
    /// How much is in flight and how it is committed.
    pub stage: StageSettings,
}

impl Validate for RouterSettings {
    fn validate(&self, at: &str, out: &mut Violations) {
        self.stage.validate(&format!("{at}.stage"), out);
    }
}
