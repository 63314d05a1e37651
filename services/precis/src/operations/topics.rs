//! The topics that a command creates, and the audit record that says so.

use anyhow::Context as _;
use precis_flow::{Change, Log, TopicChange};
use precis_pipeline::audit::{self, Actor, actions};
use precis_pipeline::runtime::TopicSettings;
use precis_pipeline::topics;
use precis_policy::Policy;

/// Refuses a name that no tenant may have.
///
/// # Errors
/// The name cannot be part of a topic's name.
pub fn check_tenant(name: &str) -> anyhow::Result<()> {
    anyhow::ensure!(topics::is_valid_name(name), "{name:?} is no tenant name; use 1 to 64 of a-z, 0-9, - and _");
    Ok(())
}

/// Creates the topics of a policy's tiers. This comes before the policy is in force, because a
/// router that has read it writes to them at once.
///
/// # Errors
/// The log's.
pub async fn create_work_topics(
    log: &dyn Log,
    settings: &TopicSettings,
    policy: &Policy,
    actor: Actor<'_>,
) -> anyhow::Result<()> {
    if settings.create {
        let tiers: Vec<String> = policy.worker_tiers().map(str::to_owned).collect();
        let wanted = topics::all(&settings.tenants, &tiers, settings.partitions, settings.replication);
        let changes = log.ensure_topics(&wanted).await.context("the topics of its tiers cannot be created")?;
        record_created(log, &changes, actor).await?;
    }
    Ok(())
}

/// Writes an audit record of the topics that were created; none where all were there.
///
/// # Errors
/// The log's.
pub async fn record_created(log: &dyn Log, changes: &[TopicChange], actor: Actor<'_>) -> anyhow::Result<()> {
    let created: Vec<&str> =
        changes.iter().filter(|change| change.change == Change::Created).map(|change| change.topic.as_str()).collect();
    if created.is_empty() {
        return Ok(());
    }
    let mut record = actor.did(actions::TOPICS_CREATED, "topics");
    record.details.insert("topics".to_owned(), created.join(" "));
    let publish = log.publish(vec![audit::entry(&record)?]).await;
    publish.context("the topics were made, but that could not be put on record")?;
    Ok(())
}
