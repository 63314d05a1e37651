//! `precis topics`: the topics that a deployment needs, created once, and who may use them.

mod acls;

use clap::Subcommand;
use precis_flow::Change;
use precis_pipeline::topics;
use serde_json::json;

use crate::environment::Environment;
use crate::exit::Exit;
use crate::globals::Globals;
use crate::operations::operator::Why;
use crate::operations::topics::{check_tenant, record_created};
use crate::output::{Output, Table};

const EXAMPLES: &str = "\
Examples:
  precis topics apply --config kafka.toml
  precis topics apply --tenant acme --tenant legal --partitions 24 --replication 3
  precis topics acls --config kafka.toml > acls.sh
  precis topics acls --tenant acme --principal router=User:CN=router --json

`apply` creates what is missing: documents.<tenant> for each tenant, work.<tier> for each tier of the policy in force, and the \
runtime's own. A topic that exists and differs is reported and left alone: changing one may lose or reorder records.

`acls` prints, and changes nothing: a script for kafka-acls.sh that allows each role what it does and denies everything else, \
and which prefixes of the store each role needs.";

/// Create topics, and print who may use them
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
        #[command(flatten)]
        why: Why,
    },
    /// Print the access control lists of Kafka and the rights on the store, by role
    Acls(acls::AclArgs),
}

/// Runs the command.
///
/// # Errors
/// The log's.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    let environment = Environment::load(globals)?;
    let (tenant, partitions, replication, why) = match args.action {
        Action::Apply { tenant, partitions, replication, why } => (tenant, partitions, replication, why),
        Action::Acls(args) => return acls::run(&environment, args, out).await,
    };
    let settings = environment.common()?;
    let tenants = if tenant.is_empty() { settings.topics.tenants.clone() } else { tenant };
    tenants.iter().try_for_each(|name| check_tenant(name))?;
    let partitions = partitions.unwrap_or(settings.topics.partitions);
    let replication = replication.or(settings.topics.replication);
    let log = precis_flow::open(&settings.log).await?;
    // The control topic first: it says which policy, and so which tiers, there are.
    let base = topics::all(&tenants, &[], partitions, replication);
    let mut changes = log.ensure_topics(&base).await?;
    let policy = environment.control(&log).await?.effective().policy;
    let tiers: Vec<String> = policy.worker_tiers().map(str::to_owned).collect();
    let work: Vec<_> = topics::all(&[], &tiers, partitions, replication)
        .into_iter()
        .filter(|spec| base.iter().all(|known| known.name != spec.name))
        .collect();
    changes.extend(log.ensure_topics(&work).await?);
    record_created(&*log, &changes, why.operator().actor()).await?;

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
