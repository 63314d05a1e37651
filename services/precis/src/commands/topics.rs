//! `precis topics`: the topics that a deployment needs, created once.

use anyhow::Context as _;
use clap::Subcommand;
use precis_flow::{Change, Log, TopicChange};
use precis_pipeline::audit::{self, Actor, actions};
use precis_pipeline::runtime::CommonSettings;
use precis_pipeline::{Control, topics};
use serde_json::json;

use super::operator;
use crate::cli::Globals;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::output::{Output, Table};

const EXAMPLES: &str = "\
Examples:
  precis topics apply --config kafka.toml
  precis topics apply --tenant acme --tenant legal --partitions 24 --replication 3

Creates what is missing: documents.<tenant> for each tenant, work.<tier> for each tier of the policy in force, and the \
runtime's own. A topic that exists and differs is reported and left alone: changing one may lose or reorder records.";

/// Create topics
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create the topics that are missing, and say how others differ
    Apply {
        /// Tenant whose topic to create; may be repeated [default: those of the settings]
        #[arg(long, value_name = "NAME")]
        tenant: Vec<String>,
        /// Partitions of the topics that scale with workers [default: that of the settings]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=10_000))]
        partitions: Option<i32>,
        /// Copies of each partition [default: that of the settings, else the broker's]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
        replication: Option<i16>,
        /// Why: kept on the topic `audit`
        #[arg(long, value_name = "TEXT", default_value = "", value_parser = super::reason)]
        reason: String,
        /// Who, for the record [default: $USER]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
}

/// Runs the command.
///
/// # Errors
/// The log's.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    let Action::Apply { tenant, partitions, replication, reason, by } = args.action;
    let environment = Environment::load(globals)?;
    let settings = CommonSettings::read(&environment.settings)?;
    let tenants = if tenant.is_empty() { settings.topics.tenants.clone() } else { tenant };
    for name in &tenants {
        anyhow::ensure!(topics::is_valid_name(name), "{name:?} is no tenant name; use 1 to 64 of a-z, 0-9, - and _");
    }
    let partitions = partitions.unwrap_or(settings.topics.partitions);
    let replication = replication.or(settings.topics.replication);
    let log = precis_flow::open(&settings.log).await?;
    // The control topic first: it says which policy, and so which tiers, there are.
    let base = topics::all(&tenants, &[], partitions, replication);
    let mut changes = log.ensure_topics(&base).await?;
    let policy = Control::follow(&log, settings.policy.load()?).await?.effective().policy;
    let tiers: Vec<String> = policy.tier_names().map(str::to_owned).collect();
    let work: Vec<_> = topics::all(&[], &tiers, partitions, replication)
        .into_iter()
        .filter(|spec| base.iter().all(|known| known.name != spec.name))
        .collect();
    changes.extend(log.ensure_topics(&work).await?);
    record_created(&*log, &changes, Actor { by: &operator(by.as_deref()), reason: &reason }).await?;

    let mut table = Table::new(&["Topic", "State"]);
    let mut exit = Exit::Done;
    for change in &changes {
        let (state, differences) = match &change.change {
            Change::Created => ("created", Vec::new()),
            Change::Unchanged => ("as it should be", Vec::new()),
            Change::Differs(differences) => ("differs", differences.clone()),
        };
        if !differences.is_empty() {
            exit = Exit::SomeFailed;
        }
        if out.json() {
            out.value(&json!({ "topic": change.topic, "state": state, "differences": differences }))?;
        }
        let text =
            if differences.is_empty() { state.to_owned() } else { format!("{state}: {}", differences.join("; ")) };
        table.row([change.topic.clone(), text]);
    }
    if !out.json() {
        out.table(&table);
    }
    Ok(exit)
}

/// Puts on record which topics were made, if any were.
///
/// # Errors
/// The log's.
pub(super) async fn record_created(log: &dyn Log, changes: &[TopicChange], actor: Actor<'_>) -> anyhow::Result<()> {
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
