//! Where a command works: settings from file, environment and command line, and the state folder.
//!
//! On one machine nothing has to be configured: log and store lie in the state folder, so that
//! `precis up`, `precis submit` and `precis results` find each other. A configured place wins.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use precis_config::{ConfigError, Settings};
use precis_flow::{Log, LogKind};
use precis_objects::{ObjectStore, StoreConfig, StoreKind};
use precis_pipeline::runtime::CommonSettings;
use precis_pipeline::{Control, topics};

use crate::globals::Globals;

/// Variable that names the settings file where no `--config` does.
const CONFIG_VARIABLE: &str = "PRECIS_CONFIG";
/// Variable that names the state folder where no `--state` does.
const STATE_VARIABLE: &str = "PRECIS_STATE";

/// Settings that a command sets itself, as variables: they win over file and environment.
pub type Overrides = Vec<(&'static str, String)>;

/// Settings and state folder of one command.
#[derive(Debug)]
pub struct Environment {
    /// All sections.
    pub settings: Settings,
    /// Folder of the embedded log and the directory store.
    pub state: PathBuf,
    /// The settings file, if there is one.
    pub file: Option<PathBuf>,
}

impl Environment {
    /// File, environment and command line.
    ///
    /// # Errors
    /// Those of the configuration.
    pub fn load(globals: &Globals) -> anyhow::Result<Self> {
        Self::load_with(globals, Overrides::new())
    }

    /// The same, with settings that the command sets itself.
    ///
    /// # Errors
    /// Those of the configuration.
    pub fn load_with(globals: &Globals, overrides: Overrides) -> anyhow::Result<Self> {
        let file = globals.config.clone().or_else(|| env::var_os(CONFIG_VARIABLE).map(PathBuf::from));
        let state = match globals.state.clone().or_else(|| env::var_os(STATE_VARIABLE).map(PathBuf::from)) {
            Some(state) => state,
            None => default_state()?,
        };
        let text = match &file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?,
            None => String::new(),
        };
        // A variable that is not Unicode cannot be one of ours.
        let variables: Vec<(String, String)> = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let variables = layered(&text, variables, &state, overrides);
        let name = file.as_ref().map_or_else(String::new, |path| path.display().to_string());
        Ok(Self { settings: Settings::parse(&name, &text, variables)?, state, file })
    }

    /// The sections that every service shares: log, store, topics, policy.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn common(&self) -> Result<CommonSettings, ConfigError> {
        CommonSettings::read(&self.settings)
    }

    /// The policy in force and the switches, as `control` has them now.
    ///
    /// # Errors
    /// Those of the settings and the log's.
    pub async fn control(&self, log: &Arc<dyn Log>) -> anyhow::Result<Arc<Control>> {
        // Where no policy was applied, the one of the settings is in force.
        let start = self.common()?.policy.load()?;
        Ok(Control::follow(log, start).await?)
    }

    /// Section `[store]`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn store_config(&self) -> anyhow::Result<StoreConfig> {
        Ok(self.settings.section("store")?)
    }

    /// The log. The embedded log and its topics are created here where they are missing; topics of
    /// Kafka are created by `precis topics apply` or by the services.
    ///
    /// # Errors
    /// The log's.
    pub async fn log(&self) -> anyhow::Result<Arc<dyn Log>> {
        self.log_for(&[]).await
    }

    /// The same, with the `documents` topics of further tenants.
    ///
    /// # Errors
    /// The log's.
    pub async fn log_for(&self, tenants: &[String]) -> anyhow::Result<Arc<dyn Log>> {
        let settings = self.common()?;
        let log = precis_flow::open(&settings.log).await.context("the log cannot be opened")?;
        if settings.log.kind == LogKind::Embedded {
            let policy = settings.policy.load()?;
            let tiers: Vec<String> = policy.worker_tiers().map(str::to_owned).collect();
            let mut wanted = settings.topics.tenants.clone();
            wanted.extend(tenants.iter().filter(|tenant| !settings.topics.tenants.contains(tenant)).cloned());
            log.ensure_topics(&topics::all(&wanted, &tiers, settings.topics.partitions, None)).await?;
        }
        Ok(log)
    }

    /// Where the store is. The store is not opened for it.
    ///
    /// # Errors
    /// Everything that is wrong with `[store]`.
    pub fn store_place(&self) -> anyhow::Result<String> {
        let store = self.store_config()?;
        Ok(match store.kind {
            StoreKind::Directory => format!("directory {}", store.directory.path.display()),
            StoreKind::S3 => {
                format!("s3 bucket {} {}", store.s3.bucket, store.s3.endpoint.as_deref().unwrap_or_default())
            }
        })
    }

    /// The object store, proven to create objects at most once.
    ///
    /// # Errors
    /// The store's.
    pub async fn store(&self) -> anyhow::Result<Arc<dyn ObjectStore>> {
        precis_objects::open(&self.store_config()?).await.context("the object store cannot be opened")
    }
}

/// The variables, with the places in the state folder for log and store where nothing else names
/// one, and with the settings that the command sets itself.
fn layered(file: &str, variables: Vec<(String, String)>, state: &Path, overrides: Overrides) -> Vec<(String, String)> {
    let table: toml::Table = file.parse().unwrap_or_default();
    let in_file = |keys: [&str; 3]| {
        keys[1..].iter().try_fold(table.get(keys[0]), |value, key| Some(value?.get(key))).flatten().is_some()
    };
    let places = [
        (["log", "embedded", "path"], "PRECIS_LOG__EMBEDDED__PATH", state.join("log.db")),
        (["store", "directory", "path"], "PRECIS_STORE__DIRECTORY__PATH", state.join("objects")),
    ];
    let forced = |name: &str| overrides.iter().any(|(forced, _)| *forced == name);
    let mut layered: Vec<(String, String)> = variables.into_iter().filter(|(name, _)| !forced(name)).collect();
    for (keys, name, path) in places {
        let set = in_file(keys) || layered.iter().any(|(known, _)| known == name);
        if !set && !forced(name) {
            layered.push((name.to_owned(), path.display().to_string()));
        }
    }
    layered.extend(overrides.into_iter().map(|(name, value)| (name.to_owned(), value)));
    layered
}

/// `$XDG_STATE_HOME/precis`, or `~/.local/state/precis`: the XDG base directory specification.
fn default_state() -> anyhow::Result<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|base| base.join("precis"))
        .context("there is no home folder for the state; name one with --state DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(layered: &'a [(String, String)], name: &str) -> Vec<&'a str> {
        layered.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// Unless the file or a variable names another place.
    #[test]
    fn log_and_store_lie_in_the_state_folder_by_default() {
        let state = Path::new("/state");
        let plain = layered("", Vec::new(), state, Overrides::new());
        assert_eq!(value(&plain, "PRECIS_LOG__EMBEDDED__PATH"), ["/state/log.db"]);
        assert_eq!(value(&plain, "PRECIS_STORE__DIRECTORY__PATH"), ["/state/objects"]);

        let by_file = layered("[log.embedded]\npath = \"/a\"", Vec::new(), state, Overrides::new());
        assert!(value(&by_file, "PRECIS_LOG__EMBEDDED__PATH").is_empty());

        let variables = vec![("PRECIS_STORE__DIRECTORY__PATH".to_owned(), "/b".to_owned())];
        let by_variable = layered("", variables, state, Overrides::new());
        assert_eq!(value(&by_variable, "PRECIS_STORE__DIRECTORY__PATH"), ["/b"]);
    }

    #[test]
    fn what_a_command_sets_wins_over_the_environment() {
        let variables = vec![("PRECIS_LOG__KIND".to_owned(), "kafka".to_owned())];
        let layered = layered("", variables, Path::new("/s"), vec![("PRECIS_LOG__KIND", "embedded".to_owned())]);
        assert_eq!(value(&layered, "PRECIS_LOG__KIND"), ["embedded"]);
    }
}
