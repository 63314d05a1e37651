//! All services in one process: what runs, how it stops.
//!
//! Every service runs as its own task with its own consumer group, exactly as it does in a process
//! of its own. The first that fails stops the others; a stop drains all of them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use precis_api_worker::ApiWorkerSettings;
use precis_config::Settings;
use precis_controller::ControllerSettings;
use precis_gpu_worker::{GpuWorkerSettings, ModelSettings};
use precis_inference::Engine;
use precis_pipeline::Runtime;
use precis_policy::TierKind;
use precis_router::RouterSettings;
use precis_telemetry::TelemetryConfig;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often it is checked whether services are ready.
const READY_INTERVAL: Duration = Duration::from_millis(20);

/// The sections of every service.
#[derive(Debug, Clone)]
pub struct Sections {
    /// `[telemetry]`
    pub telemetry: TelemetryConfig,
    /// `[model]`
    pub model: ModelSettings,
    /// `[router]`
    pub router: RouterSettings,
    /// `[gpu_worker]`
    pub gpu_worker: GpuWorkerSettings,
    /// `[api_worker]`
    pub api_worker: ApiWorkerSettings,
    /// `[controller]`
    pub controller: ControllerSettings,
}

impl Sections {
    /// Reads all of them.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn read(settings: &Settings) -> Result<Self, precis_config::ConfigError> {
        let mut reader = settings.read();
        let sections = Self {
            telemetry: reader.section("telemetry"),
            model: reader.section("model"),
            router: reader.section("router"),
            gpu_worker: reader.section("gpu_worker"),
            api_worker: reader.section("api_worker"),
            controller: reader.section("controller"),
        };
        reader.finish()?;
        Ok(sections)
    }
}

/// Services that run in this process.
pub struct Services {
    tasks: JoinSet<(String, anyhow::Result<()>)>,
    stop: CancellationToken,
}

impl Services {
    /// No services yet; `stop` drains those that are started later.
    pub fn new(stop: CancellationToken) -> Self {
        Self { tasks: JoinSet::new(), stop }
    }

    /// Starts a service.
    pub fn spawn(
        &mut self,
        name: impl Into<String>,
        service: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let name = name.into();
        self.tasks.spawn(async move { (name, service.await) });
    }

    /// Starts the router.
    pub fn router(&mut self, runtime: &Arc<Runtime>, settings: RouterSettings) {
        let (runtime, stop) = (runtime.clone(), self.stop.clone());
        self.spawn("router", async move { precis_router::run(&runtime, settings, stop).await });
    }

    /// Starts the GPU worker with an engine that runs already, on a model of this folder.
    pub fn gpu_worker(
        &mut self,
        runtime: &Arc<Runtime>,
        settings: GpuWorkerSettings,
        engine: Engine,
        models_directory: PathBuf,
    ) {
        let (runtime, stop) = (runtime.clone(), self.stop.clone());
        self.spawn("gpu-worker", async move {
            precis_gpu_worker::run_with(&runtime, settings, engine, models_directory, stop).await
        });
    }

    /// Starts the API worker.
    pub fn api_worker(&mut self, runtime: &Arc<Runtime>, settings: ApiWorkerSettings) {
        let (runtime, stop) = (runtime.clone(), self.stop.clone());
        self.spawn("api-worker", async move { precis_api_worker::run(&runtime, settings, stop).await });
    }

    /// Starts the controller.
    pub fn controller(&mut self, runtime: &Arc<Runtime>, settings: ControllerSettings) {
        let (runtime, stop) = (runtime.clone(), self.stop.clone());
        self.spawn("controller", async move { precis_controller::run(&runtime, settings, stop).await });
    }

    /// Waits until a service ends. A service ends when it was told to stop, or when it fails; after
    /// a failure the other services are told to stop, too.
    ///
    /// # Errors
    /// The failed service's, with its name.
    pub async fn one_ended(&mut self) -> anyhow::Result<()> {
        match self.tasks.join_next().await {
            None | Some(Ok((_, Ok(())))) => Ok(()),
            Some(Ok((name, Err(error)))) => {
                self.stop.cancel();
                Err(error.context(format!("the {name} stopped")))
            }
            Some(Err(panic)) => {
                self.stop.cancel();
                Err(anyhow::Error::new(panic).context("a service ended without a word"))
            }
        }
    }

    /// Waits until every service started so far can do its work.
    ///
    /// # Errors
    /// The first failed service's, such as one that finds its group held by another process.
    pub async fn ready(&mut self, runtime: &Runtime) -> anyhow::Result<()> {
        let mut check = tokio::time::interval(READY_INTERVAL);
        while !runtime.health.report().ready && !self.all_ended() && !self.stop.is_cancelled() {
            tokio::select! {
                ended = self.one_ended() => ended?,
                _ = check.tick() => {}
            }
        }
        Ok(())
    }

    /// Whether all have ended.
    pub fn all_ended(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Tells all to stop and waits until they have drained.
    ///
    /// # Errors
    /// The first failed service's.
    pub async fn drain(&mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let mut first = Ok(());
        while !self.all_ended() {
            let ended = self.one_ended().await;
            if first.is_ok() {
                first = ended;
            }
        }
        first
    }

    /// Drains for at most `limit`. Services that still run then end at once, as after a kill -9:
    /// nothing settled is lost.
    ///
    /// # Errors
    /// The first failed service's.
    pub async fn drain_within(&mut self, limit: Duration) -> anyhow::Result<()> {
        if let Ok(drained) = tokio::time::timeout(limit, self.drain()).await {
            return drained;
        }
        self.tasks.shutdown().await;
        Ok(())
    }
}

/// Names of the tiers of a kind that the policy in force has and has not switched off.
pub fn tiers(runtime: &Runtime, kind: TierKind) -> BTreeSet<String> {
    let effective = runtime.control.effective();
    let tiers = effective.policy.tiers.iter().filter(|tier| tier.kind == kind && tier.enabled);
    tiers.map(|tier| tier.name.clone()).collect()
}
