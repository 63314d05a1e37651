//! `precis status`: what waits where, and what is in force.

use std::sync::Arc;

use precis_flow::{Log, TopicStatus};
use precis_pipeline::{runtime, topics};
use precis_policy::{Policy, Tier};
use precis_schemas::{PolicyApplied, SwitchState, TierSwitch};
use serde::Serialize;

use crate::environment::Environment;
use crate::exit::Exit;
use crate::globals::Globals;
use crate::operations::policy::model_of;
use crate::output::{Output, Table};
use crate::report;

const EXAMPLES: &str = "\
Examples:
  precis status
  precis status --json | jq .groups

The lag of a group is what waits for it: offsets between what it has committed and the end of its topics. Offsets have \
gaps, so that a lag of 0 means that nothing waits, and another number is not a count of documents.";

/// Show topics, lag, tiers and the policy in force
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

#[derive(Serialize)]
struct StatusView {
    log: String,
    store: String,
    policy: PolicyView,
    tiers: Vec<TierView>,
    groups: Vec<GroupView>,
    topics: Vec<TopicView>,
}

#[derive(Serialize)]
struct PolicyView {
    digest: String,
    applied_by: Option<String>,
    applied_at: Option<String>,
}

#[derive(Serialize)]
struct TierView {
    #[serde(rename = "tier")]
    name: String,
    kind: &'static str,
    model: String,
    enabled: bool,
    switch: &'static str,
    reason: String,
    switched_by: Option<String>,
}

#[derive(Serialize)]
struct GroupView {
    #[serde(rename = "group")]
    name: String,
    lag: i64,
    partitions: usize,
}

#[derive(Serialize)]
struct TopicView {
    #[serde(rename = "topic")]
    name: String,
    partitions: usize,
    low: i64,
    end: i64,
}

/// Runs the command.
///
/// # Errors
/// The log's.
pub async fn run(globals: &Globals, _args: Args, out: &Output) -> anyhow::Result<Exit> {
    let environment = Environment::load(globals)?;
    let log = environment.log().await?;
    let control = environment.control(&log).await?;
    let (effective, applied) = (control.effective(), control.applied());
    let tiers = tiers(&effective.policy, &control.switches());
    let mut stages = vec![precis_router::STAGE.to_owned()];
    stages.extend(effective.policy.worker_tiers().map(topics::work));
    let status = StatusView {
        log: log.describe(),
        store: environment.store_place()?,
        policy: policy(effective.digest, applied),
        groups: groups(&log, &stages).await?,
        topics: log.topics().await?.iter().map(topic).collect(),
        tiers,
    };
    if out.json() {
        out.value(&status)?;
    } else {
        show(&status, out);
    }
    Ok(Exit::Done)
}

fn policy(digest: String, applied: Option<PolicyApplied>) -> PolicyView {
    let (applied_by, applied_at) = applied.map(|applied| (applied.applied_by, report::utc(applied.applied_at))).unzip();
    PolicyView { digest, applied_by, applied_at }
}

fn tiers(policy: &Policy, switches: &[TierSwitch]) -> Vec<TierView> {
    let tier = |tier: &Tier| {
        let name = tier.name.clone();
        let switch = switches.iter().find(|switch| switch.tier == name);
        TierView {
            kind: tier.kind.as_str(),
            model: model_of(tier),
            enabled: tier.enabled,
            switch: switch.map_or(SwitchState::On, |switch| switch.state).as_str(),
            reason: switch.map(|switch| switch.reason.clone()).unwrap_or_default(),
            switched_by: switch.map(|switch| switch.by.clone()),
            name,
        }
    };
    policy.tiers.iter().map(tier).collect()
}

async fn groups(log: &Arc<dyn Log>, stages: &[String]) -> anyhow::Result<Vec<GroupView>> {
    let mut groups = Vec::new();
    for stage in stages {
        let group = runtime::group(stage);
        let partitions = log.group_lag(&group).await?;
        let lag = partitions.iter().map(|partition| partition.lag).sum();
        groups.push(GroupView { name: group, lag, partitions: partitions.len() });
    }
    Ok(groups)
}

fn topic(topic: &TopicStatus) -> TopicView {
    TopicView {
        name: topic.name.clone(),
        partitions: topic.partitions.len(),
        low: topic.partitions.iter().map(|partition| partition.low).sum(),
        end: topic.partitions.iter().map(|partition| partition.high).sum(),
    }
}

fn show(status: &StatusView, out: &Output) {
    out.line(format_args!("log     {}", status.log));
    out.line(format_args!("store   {}", status.store));
    let by = match (&status.policy.applied_by, &status.policy.applied_at) {
        (Some(by), Some(at)) => format!("applied by {by} at {at}"),
        _ => "none was applied: what the settings start with".to_owned(),
    };
    out.line(format_args!("policy  {} ({by})", report::short(&status.policy.digest)));
    out.line("");
    let mut table = Table::new(&["Tier", "Kind", "Model", "Enabled", "Switch", "Reason", "By"]);
    for tier in &status.tiers {
        table.row([
            tier.name.clone(),
            tier.kind.to_owned(),
            tier.model.clone(),
            tier.enabled.to_string(),
            tier.switch.to_owned(),
            tier.reason.clone(),
            tier.switched_by.clone().unwrap_or_default(),
        ]);
    }
    out.table(&table);
    out.line("");
    let mut table = Table::new(&["Group", "Lag", "Partitions"]);
    for group in &status.groups {
        let lag = if group.partitions == 0 { "never ran".to_owned() } else { group.lag.to_string() };
        table.row([group.name.clone(), lag, group.partitions.to_string()]);
    }
    out.table(&table);
    out.line("");
    let mut table = Table::new(&["Topic", "Partitions", "Offsets"]);
    for topic in &status.topics {
        table.row([topic.name.clone(), topic.partitions.to_string(), (topic.end - topic.low).to_string()]);
    }
    out.table(&table);
}
