//! The API worker: takes `work.<tier>` of every tier at a provider through the provider's model.
//!
//! Answers are checked as the GPU worker's are; a document is settled, or sent back to the router.
//! This is the only crate that holds providers' keys. The protocol of a document is
//! [`precis_pipeline::worker`]; this crate adds the way to providers:
//!
//! | module | what it does |
//! | --- | --- |
//! | [`provider`] | one request, one answer or one failure, sorted by its meaning |
//! | [`pacer`] | how fast, and whether at all, requests may go to a provider |
//! | [`bucket`] | requests and tokens a minute |
//! | [`breaker`] | keeps requests away from a model that fails |
//! | [`backoff`] | how long to wait before the next attempt |
//! | [`budget`] | room for a request in every budget, before it leaves |
//! | [`ledger`] | attempt before a request leaves, settlement after it is over |
//! | [`ledger::spend`] | what the ledger says was spent |
//! | [`caller`] | one paid call, made of all these |
//! | [`summariser`] | a tier at a provider, as the pipeline sees it |
//! | [`tiers`] | which tiers, and whether they can be served |
//!
//! **Invariants.** No request leaves without a ledger record and a known price, or in clear text to
//! another machine. A tier that cannot be served (no key, no price) is switched off in `control`,
//! and its documents go back to the router: nothing waits for a key.

pub mod backoff;
pub mod breaker;
pub mod bucket;
pub mod budget;
pub mod caller;
pub mod ledger;
pub mod pacer;
pub mod provider;
mod providers;
mod settings;
pub mod summariser;
pub mod tiers;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use precis_flow::{FlowError, Subscription, run_stage};
use precis_pipeline::{Runtime, TextBudget, TierWorker, topics};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use providers::Providers;
pub use settings::{ApiWorkerSettings, BreakerSettings, ProviderSettings};
use tiers::{ApiTier, announce, api_tiers};

/// How often the effective policy is checked for other tiers or models.
const POLICY_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Runs one stage for each tier until `shutdown`, then drains: requests in flight may finish within
/// the drain budget. When a policy changes the tiers or their models, the stages are drained and
/// started anew.
///
/// # Errors
/// The stages' fatal errors; settings that name a file that cannot be read.
pub async fn run(runtime: &Runtime, settings: ApiWorkerSettings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let providers = Providers::new(runtime, &settings)?;
    let texts = TextBudget::new(settings.stage.max_text_bytes_in_process);
    let _shown = texts.show("api-worker");
    while !shutdown.is_cancelled() {
        let tiers = current(runtime, &settings);
        let stop = shutdown.child_token();
        let stages = start(runtime, &settings, &providers, &texts, &tiers, &stop).await?;
        drive(stages, &stop, policy_changes(runtime, &settings, &tiers)).await?;
    }
    Ok(())
}

fn current(runtime: &Runtime, settings: &ApiWorkerSettings) -> Vec<ApiTier> {
    api_tiers(&runtime.control.effective().policy, &settings.tiers)
}

/// Ends when the effective policy changes the tiers or their models.
async fn policy_changes(runtime: &Runtime, settings: &ApiWorkerSettings, tiers: &[ApiTier]) {
    let mut poll = tokio::time::interval(POLICY_POLL_INTERVAL);
    while current(runtime, settings) == tiers {
        poll.tick().await;
    }
    tracing::info!("the policy changed the tiers or their models: the stages start anew");
}

type Stages = JoinSet<Result<(), FlowError>>;

async fn start(
    runtime: &Runtime,
    settings: &ApiWorkerSettings,
    providers: &Providers,
    texts: &TextBudget,
    tiers: &[ApiTier],
    stop: &CancellationToken,
) -> anyhow::Result<Stages> {
    providers.show_premium(&api_tiers(&runtime.control.effective().policy, &[]));
    let mut stages = JoinSet::new();
    for tier in tiers {
        let summariser = providers.summariser(tier, settings, stop);
        announce(&*runtime.log, &runtime.control, &tier.name, summariser.fitness())
            .await
            .with_context(|| format!("the tier {} could not be switched", tier.name))?;
        let worker = TierWorker::new(
            tier.name.clone(),
            summariser,
            runtime.store.clone(),
            runtime.control.clone(),
            runtime.routing_keys.clone(),
        )
        .with_text_budget(texts.clone());
        let topic = topics::work(&tier.name);
        let stage = runtime.stage(&topic, Subscription::topics([&topic]), &settings.stage);
        stages.spawn(run_stage(runtime.log.clone(), stage, Arc::new(worker), runtime.health.clone(), stop.clone()));
    }
    Ok(stages)
}

/// Waits for the stages. When one ends, by an error or as it was told, or when `change` ends, all
/// stages are stopped.
async fn drive(mut stages: Stages, stop: &CancellationToken, change: impl Future<Output = ()>) -> anyhow::Result<()> {
    tokio::select! {
        // Without a stage there is nothing to wait for but a change.
        () = stop.cancelled() => {}
        () = change => {}
        Some(ended) = stages.join_next() => {
            stop.cancel();
            while stages.join_next().await.is_some() {}
            return finished(ended);
        }
    }
    stop.cancel();
    while let Some(ended) = stages.join_next().await {
        finished(ended)?;
    }
    Ok(())
}

fn finished(ended: Result<Result<(), FlowError>, tokio::task::JoinError>) -> anyhow::Result<()> {
    ended.context("an api-worker stage ended early")?.context("an api-worker stage stopped")
}
