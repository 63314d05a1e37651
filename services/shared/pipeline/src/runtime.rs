//! What a process opens from its settings, the same for every service, for `precis up` and for the
//! command line.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use precis_config::Settings;
use precis_flow::{Log, StageConfig, Subscription};
use precis_objects::ObjectStore;
use precis_telemetry::{Health, Recorder, install_recorder};

mod arguments;
mod dead_letter_store;
mod service;
mod settings;

pub use service::{serve_telemetry, service_main};
pub use settings::{CommonSettings, PolicySettings, StageSettings, TopicSettings};

use crate::attempts::Attempts;
pub use crate::topics::group;
use crate::{Control, RoutingKeys, Settler, returns, topics};
use dead_letter_store::LargeDeadLetters;

/// What a process has opened.
pub struct Runtime {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The object store.
    pub store: Arc<dyn ObjectStore>,
    /// Policy and switches.
    pub control: Arc<Control>,
    /// Creates result objects.
    pub settler: Settler,
    /// Proves which records between router and workers are ours.
    pub routing_keys: Arc<RoutingKeys>,
    /// `[topics]`
    pub topics: TopicSettings,
    /// How the process's components are.
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
            let tiers: Vec<String> = start.worker_tiers().map(str::to_owned).collect();
            let wanted = topics::all(&topics.tenants, &tiers, topics.partitions, topics.replication);
            for change in log.ensure_topics(&wanted).await.context("topics cannot be created")? {
                if let precis_flow::Change::Differs(differences) = change.change {
                    tracing::warn!(topic = change.topic, ?differences, "topic is not as it should be; left alone");
                }
            }
        }
        let control = Control::follow(&log, start).await.context("`control` cannot be read")?;
        let routing_keys = RoutingKeys::open(&*store).await.context("the key of routed work cannot be had")?;
        let routing_keys = Arc::new(routing_keys.accepting_unproved(topics.accept_unproved_work));
        let settler = Settler::new(store.clone());
        Ok(Self { log, store, control, settler, routing_keys, topics, health: Health::new(), recorder })
    }

    /// A stage's configuration: group `precis.<stage>`, dead letters to their topic, large ones and
    /// attempt markers to the store, publishers' records that are tried again to `returns`.
    pub fn stage(&self, stage: &str, subscription: Subscription, settings: &StageSettings) -> StageConfig {
        let mut config = StageConfig::new(stage, group(stage), subscription)
            .with_dead_letters(topics::DEAD_LETTERS, Some(Arc::new(LargeDeadLetters(self.store.clone()))));
        // Only a stage that reads what publishers write has anything to return.
        config.returns = Some(returns::of_documents()).filter(|returns| config.subscription.matches(&returns.topic));
        // Only a tenant's own topic is of one sender: what a service writes is of all tenants.
        config.is_of_one_sender = |topic| topics::tenant_of(topic).is_some();
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
