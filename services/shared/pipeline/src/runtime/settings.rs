//! The settings that all services share.
//!
//! | section | what it sets |
//! | --- | --- |
//! | `[log]` | embedded or Kafka |
//! | `[store]` | directory or S3 |
//! | `[topics]` | what is created at start |
//! | `[policy]` | the policy in force until one was applied |
//!
//! `[telemetry]` is the telemetry crate's. A service's own section is in its own crate.

use std::path::PathBuf;

use anyhow::Context as _;
use precis_config::{Settings, Validate, Violations};
use precis_flow::LogConfig;
use precis_objects::StoreConfig;
use precis_policy::Policy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text_budget::DEFAULT_MAX_BYTES;
use crate::topics;

/// The sections that every service reads.
#[derive(Debug, Clone, Default)]
pub struct CommonSettings {
    /// `[log]`
    pub log: LogConfig,
    /// `[store]`
    pub store: StoreConfig,
    /// `[topics]`
    pub topics: TopicSettings,
    /// `[policy]`
    pub policy: PolicySettings,
}

impl CommonSettings {
    /// Reads the sections.
    ///
    /// # Errors
    /// All problems of all of them.
    pub fn read(settings: &Settings) -> Result<Self, precis_config::ConfigError> {
        let mut reader = settings.read();
        let read = Self {
            log: reader.section("log"),
            store: reader.section("store"),
            topics: reader.section("topics"),
            policy: reader.section("policy"),
        };
        reader.finish()?;
        Ok(read)
    }
}

/// `[topics]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TopicSettings {
    /// Create missing topics at start. Where topics are made by hand or by `precis topics apply`,
    /// set it to false.
    pub create: bool,
    /// Tenants whose `documents.<tenant>` topics are created. The router reads every such topic,
    /// created here or not, unless `only_listed_tenants` is set.
    pub tenants: Vec<String>,
    /// Partitions of the topics that scale with workers.
    pub partitions: i32,
    /// Copies of each partition. Left out: the broker's default.
    pub replication: Option<i16>,
    /// Whether the router reads the `documents.<tenant>` topics of `tenants` alone. Others are
    /// named in the router's log and by `precis doctor`, and wait. Where topics of that name may be
    /// made by anybody, set it to true.
    pub only_listed_tenants: bool,
    /// Whether records on `work.<tier>` and `escalations` are processed that carry no proof that
    /// Précis wrote them. Whoever may write these topics then chooses a document's tenant and
    /// label. Set it to true only while an upgrade from a version without proofs drains.
    pub accept_unproved_work: bool,
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self {
            create: true,
            tenants: vec!["local".into()],
            partitions: 4,
            replication: None,
            only_listed_tenants: false,
            accept_unproved_work: false,
        }
    }
}

impl Validate for TopicSettings {
    fn validate(&self, at: &str, out: &mut Violations) {
        for tenant in self.tenants.iter().filter(|tenant| !topics::is_valid_name(tenant)) {
            out.push(
                format!("{at}.tenants"),
                format!("{tenant:?} is no tenant name; use 1 to 64 of a-z, 0-9, - and _"),
            );
        }
        if !(1..=10_000).contains(&self.partitions) {
            out.push(format!("{at}.partitions"), "must be 1 to 10000");
        }
        if self.replication.is_some_and(|copies| copies < 1) {
            out.push(format!("{at}.replication"), "must be at least 1");
        }
    }
}

/// `[policy]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySettings {
    /// The policy in force until one was applied with `precis policy apply`. Left out: one GPU tier
    /// that may see everything.
    pub file: Option<PathBuf>,
}

impl PolicySettings {
    /// The start value.
    ///
    /// # Errors
    /// A file that cannot be read, or every problem of what it says.
    pub fn load(&self) -> anyhow::Result<Policy> {
        let Some(path) = &self.file else { return Ok(Policy::local()) };
        let text =
            std::fs::read_to_string(path).with_context(|| format!("the policy {} cannot be read", path.display()))?;
        Policy::parse(&text).with_context(|| format!("the policy {} cannot be used", path.display()))
    }
}

impl Validate for PolicySettings {
    fn validate(&self, _at: &str, _out: &mut Violations) {}
}

/// How much a stage has in flight and how it commits; part of every service's section.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StageSettings {
    /// Documents processed at once.
    pub max_in_flight: usize,
    /// Documents held at once: waiting, in process, or done and waiting for their transaction. Left
    /// out: four times `max_in_flight`.
    pub max_held: Option<usize>,
    /// Bytes of documents held at once.
    pub max_in_flight_bytes: usize,
    /// Bytes of text that the process holds at once: inline texts as they are decoded, and bodies
    /// by the size that their records declare. Documents beyond it wait, tenants in turns; a larger
    /// document takes all of it alone.
    pub max_text_bytes_in_process: u64,
    /// Longest wait of finished work for its transaction, milliseconds.
    pub commit_interval_ms: u64,
    /// How long a rebalance or a shutdown waits for documents in flight, milliseconds.
    pub drain_budget_ms: u64,
    /// Tries in place after a document's own failure, before it goes to the tail of its topic, or
    /// of `returns`.
    pub record_retries: u32,
    /// Deliveries of a document in all before it fails.
    pub max_attempts: u32,
}

impl Default for StageSettings {
    fn default() -> Self {
        Self {
            max_in_flight: 64,
            max_held: None,
            max_in_flight_bytes: 64 * 1024 * 1024,
            max_text_bytes_in_process: DEFAULT_MAX_BYTES,
            commit_interval_ms: 200,
            drain_budget_ms: 30_000,
            record_retries: 2,
            max_attempts: 3,
        }
    }
}

impl Validate for StageSettings {
    fn validate(&self, at: &str, out: &mut Violations) {
        let mut at_least_one = |name: &str, zero: bool| {
            if zero {
                out.push(format!("{at}.{name}"), "must be at least 1");
            }
        };
        at_least_one("max_in_flight", self.max_in_flight == 0);
        at_least_one("max_in_flight_bytes", self.max_in_flight_bytes == 0);
        at_least_one("max_text_bytes_in_process", self.max_text_bytes_in_process == 0);
        at_least_one("max_attempts", self.max_attempts == 0);
    }
}
