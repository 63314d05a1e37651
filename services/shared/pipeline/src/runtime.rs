//! Opening a runtime from its settings: the same for every service, for `precis up` and for the
//! command line.
//!
//! | section | what it sets |
//! | --- | --- |
//! | `[log]` | embedded or Kafka |
//! | `[store]` | directory or S3 |
//! | `[telemetry]` | logs, address of metrics and health |
//! | `[topics]` | what is created at start |
//! | `[policy]` | the policy in force until one was applied |
//!
//! A service's own section is its own.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use precis_config::{Settings, Validate, Violations};
use precis_flow::{DeadLetterStore, Log, LogConfig, Record, StageConfig, StageError, Subscription};
use precis_objects::{ObjectStore, StoreConfig, keys};
use precis_policy::Policy;
use precis_schemas::BodyReference;
use precis_telemetry::{
    Health, Info, Recorder, Server, Shutdown, TelemetryConfig, init_logging, install_recorder, serve,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::attempts::Attempts;
use crate::{Control, PipelineError, Settler, identity, topics};

/// Consumer groups are `precis.<stage>`.
const GROUP_PREFIX: &str = "precis";

/// How long a process that is done waits for what still blocks.
const EXIT_DEADLINE: Duration = Duration::from_secs(5);

/// Everything a service stands on.
pub struct Runtime {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The object store.
    pub store: Arc<dyn ObjectStore>,
    /// Policy and switches.
    pub control: Arc<Control>,
    /// Creates results.
    pub settler: Settler,
    /// What the process reports of its components.
    pub health: Health,
    /// The process's metrics.
    pub recorder: Recorder,
}

impl Runtime {
    /// Opens log and store, creates topics where that is asked for, and reads `control` to its end.
    ///
    /// # Errors
    /// Every problem of the settings at once; a log or store that cannot be reached or is not fit
    /// for use.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let CommonSettings { log, store, topics, policy } = CommonSettings::read(settings)?;
        let start = policy.load()?;
        let recorder = install_recorder();
        let log = precis_flow::open(&log).await.context("the log cannot be opened")?;
        let store = precis_objects::open(&store).await.context("the object store cannot be opened")?;
        if topics.create {
            let tiers: Vec<String> = start.tier_names().map(str::to_owned).collect();
            let wanted = topics::all(&topics.tenants, &tiers, topics.partitions, topics.replication);
            for change in log.ensure_topics(&wanted).await.context("topics cannot be created")? {
                if let precis_flow::Change::Differs(differences) = change.change {
                    tracing::warn!(topic = change.topic, ?differences, "topic is not as it should be; left alone");
                }
            }
        }
        let control = Control::follow(&log, start).await.context("`control` cannot be read")?;
        let settler = Settler::new(store.clone());
        Ok(Self { log, store, control, settler, health: Health::new(), recorder })
    }

    /// A stage's configuration: group `precis.<stage>`, dead letters to their topic, large ones and
    /// attempt markers to the store.
    pub fn stage(&self, stage: &str, subscription: Subscription, settings: &StageSettings) -> StageConfig {
        let mut config = StageConfig::new(stage, group(stage), subscription)
            .with_dead_letters(topics::DEAD_LETTERS, Some(Arc::new(LargeDeadLetters(self.store.clone()))));
        config.attempt_markers = Some(Arc::new(Attempts::new(self.store.clone(), stage)));
        config.max_in_flight = settings.max_in_flight;
        config.max_held =
            settings.max_held.unwrap_or(settings.max_in_flight.saturating_mul(4)).max(settings.max_in_flight);
        config.max_in_flight_bytes = settings.max_in_flight_bytes;
        config.commit_interval = Duration::from_millis(settings.commit_interval_ms);
        config.drain_budget = Duration::from_millis(settings.drain_budget_ms);
        config.record_retries = settings.record_retries;
        config.max_attempts = settings.max_attempts;
        config
    }
}

/// The consumer group of a stage.
pub fn group(stage: &str) -> String {
    format!("{GROUP_PREFIX}.{stage}")
}

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
    /// created here or not.
    pub tenants: Vec<String>,
    /// Partitions of the topics that scale with workers.
    pub partitions: i32,
    /// Copies of each partition. Left out: the broker's default.
    pub replication: Option<i16>,
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self { create: true, tenants: vec!["local".into()], partitions: 4, replication: None }
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
    /// Longest wait of finished work for its transaction, milliseconds.
    pub commit_interval_ms: u64,
    /// How long a rebalance or a shutdown waits for documents in flight, milliseconds.
    pub drain_budget_ms: u64,
    /// Tries in place after a document's own failure, before it goes to the tail of its topic.
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
        at_least_one("max_attempts", self.max_attempts == 0);
    }
}

/// Bytes of rejected records that are too large for the dead letters' topic.
struct LargeDeadLetters(Arc<dyn ObjectStore>);

#[async_trait]
impl DeadLetterStore for LargeDeadLetters {
    async fn store(&self, record: &Record, value: &[u8]) -> Result<BodyReference, StageError> {
        let sha256 = identity::sha256_hex(value);
        let key = keys::dead_letter(topics::tenant_of(&record.topic), &sha256);
        self.0
            .put_if_absent(&key, value.to_vec())
            .await
            .map_err(|error| PipelineError::from(error).into_stage(None))?;
        Ok(BodyReference { key, sha256, size_bytes: i64::try_from(value.len()).unwrap_or(i64::MAX) })
    }
}

/// Serves metrics and health if the settings name an address.
///
/// # Errors
/// The address cannot be had.
pub async fn serve_telemetry(
    service: &str,
    runtime: &Runtime,
    telemetry: &TelemetryConfig,
) -> anyhow::Result<Option<Server>> {
    let Some(address) = telemetry.listen else { return Ok(None) };
    let info = Info::new(service).with("policy", runtime.control.effective().digest);
    Ok(Some(serve(address, runtime.recorder.clone(), runtime.health.clone(), info).await?))
}

/// The main of a service: `--config FILE`, `--check-config`, `--print-config`; SIGTERM and SIGINT
/// drain, then exit 0.
///
/// `read` takes the service's own sections, so that `--check-config` shows their problems too;
/// `run` runs it.
pub fn service_main<S, R>(
    service: &'static str,
    read: impl FnOnce(&Settings) -> anyhow::Result<S>,
    run: impl FnOnce(Arc<Runtime>, S, CancellationToken) -> R,
) -> ExitCode
where
    R: Future<Output = anyhow::Result<()>>,
{
    match service_body(service, read, run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            // Logging may not be up yet, and its level may hide errors: the reason for a failed
            // start must be seen.
            let _ = writeln!(std::io::stderr(), "precis-{service}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn service_body<S, R>(
    service: &'static str,
    read: impl FnOnce(&Settings) -> anyhow::Result<S>,
    run: impl FnOnce(Arc<Runtime>, S, CancellationToken) -> R,
) -> anyhow::Result<()>
where
    R: Future<Output = anyhow::Result<()>>,
{
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let settings = Settings::load(arguments.config.as_deref())?;
    CommonSettings::read(&settings)?;
    let telemetry: TelemetryConfig = settings.section("telemetry")?;
    let own = read(&settings)?;
    match arguments.mode {
        Mode::Run => {}
        Mode::Check => return Ok(()),
        Mode::Print => {
            use std::io::Write as _;
            return Ok(std::io::stdout().write_all(settings.render_redacted().as_bytes())?);
        }
    }
    init_logging(&telemetry)?;
    let _chaos = precis_chaos::start().map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let shutdown = Shutdown::from_signals()?;
        let runtime = Arc::new(Runtime::open(&settings).await?);
        let _server = serve_telemetry(service, &runtime, &telemetry).await?;
        tracing::info!(service, log = runtime.log.describe(), store = runtime.store.describe(), "started");
        run(runtime, own, shutdown).await?;
        tracing::info!(service, "drained and stopped");
        Ok(())
    });
    // A question to a log that does not answer is not waited for.
    runtime.shutdown_timeout(EXIT_DEADLINE);
    result
}

enum Mode {
    Run,
    Check,
    Print,
}

struct Arguments {
    config: Option<PathBuf>,
    mode: Mode,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut parsed = Self { config: std::env::var_os("PRECIS_CONFIG").map(PathBuf::from), mode: Mode::Run };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--config" => parsed.config = Some(arguments.next().context("--config needs a file")?.into()),
                "--check-config" => parsed.mode = Mode::Check,
                "--print-config" => parsed.mode = Mode::Print,
                other => {
                    anyhow::bail!("unknown argument {other}; known: --config FILE, --check-config, --print-config")
                }
            }
        }
        Ok(parsed)
    }
}
