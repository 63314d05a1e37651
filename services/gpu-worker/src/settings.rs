//! Settings of the sections `[gpu_worker]` and `[model]`.

use std::path::PathBuf;

use precis_config::{Validate, Violations};
use precis_inference::EngineConfig;
use precis_pipeline::runtime::StageSettings;
use precis_pipeline::topics;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[gpu_worker]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GpuWorkerSettings {
    /// The tier whose work this worker takes: the name of a tier of the policy.
    pub tier: String,
    /// How many records are in flight, and how they are committed.
    pub stage: StageSettings,
    /// The engine's batch and memory.
    pub engine: EngineConfig,
}

impl Default for GpuWorkerSettings {
    fn default() -> Self {
        Self { tier: "gpu".into(), stage: StageSettings::default(), engine: EngineConfig::default() }
    }
}

impl Validate for GpuWorkerSettings {
    fn validate(&self, at: &str, out: &mut Violations) {
        if !topics::is_valid_name(&self.tier) {
            out.push(format!("{at}.tier"), "is no tier name; use 1 to 64 of a-z, 0-9, - and _, as in the policy");
        }
        self.stage.validate(&format!("{at}.stage"), out);
        out.extend_lines(&format!("{at}.engine"), self.engine.problems());
    }
}

/// The section `[model]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSettings {
    /// Name of the model: an entry of the manifest.
    pub name: String,
    /// A manifest of your own (TOML), whose entries come before the built-in ones. Default:
    /// `precis/models.toml` in `$XDG_CONFIG_HOME`, else in `~/.config`, if it is there.
    pub manifest: Option<PathBuf>,
    /// Where model files are kept. Default: `$PRECIS_MODELS_DIR`, else `~/.cache/precis/models`.
    pub directory: Option<PathBuf>,
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self { name: "smollm2-135m-instruct".into(), manifest: None, directory: None }
    }
}

impl Validate for ModelSettings {
    fn validate(&self, at: &str, out: &mut Violations) {
        if self.name.trim().is_empty() {
            out.push(format!("{at}.name"), "is empty; name an entry of the manifest (`precis models list` shows them)");
        }
    }
}
