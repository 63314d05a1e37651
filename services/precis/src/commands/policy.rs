//! `precis policy`: the one file that decides where documents go.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use precis_flow::Log;
use precis_pipeline::audit::Actor;
use precis_pipeline::control::apply_policy;
use precis_pipeline::runtime::{CommonSettings, TopicSettings};
use precis_pipeline::{Control, topics};
use precis_policy::{Policy, Tier, TierKind};
use serde_json::json;

use super::operator;
use super::topics::record_created;
use crate::cli::Globals;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::output::{Output, Table};
use crate::report;

const EXAMPLES: &str = "\
Examples:
  precis policy check infra/policy/70-20-10.toml
  precis policy apply infra/policy/70-20-10.toml --reason \"contracts stay on our machines\"
  precis policy show
  precis policy show --toml > policy.toml

`check` says all that is wrong with a file, and how to fix it, without touching anything. `apply` refuses a file with \
errors, keeps every applied version in the store by its digest, and makes it the one in force for all services at once.";

/// Check, apply and show the routing policy
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what is wrong with a policy file
    Check {
        /// The file (TOML)
        file: PathBuf,
    },
    /// Make a policy the one in force everywhere
    Apply {
        /// The file (TOML)
        file: PathBuf,
        /// Why: kept on the topic `audit`
        #[arg(long, value_name = "TEXT", default_value = "", value_parser = super::reason)]
        reason: String,
        /// Who, for the record [default: $USER]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Show the policy in force
    Show {
        /// Its text, as it was applied
        #[arg(long)]
        toml: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// A file that cannot be read; the log's and the store's.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    match args.action {
        Action::Check { file } => check(&file, out),
        Action::Apply { file, reason, by } => {
            apply(&Environment::load(globals)?, &file, &reason, &operator(by.as_deref()), out).await
        }
        Action::Show { toml } => show(&Environment::load(globals)?, toml, out).await,
    }
}

/// Tells all problems.
fn check(file: &Path, out: &Output) -> anyhow::Result<Exit> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let (errors, digest) = match Policy::parse(&text) {
        Ok(policy) => (Vec::new(), Some(policy.digest())),
        Err(errors) => (errors.lines().to_vec(), None),
    };
    if out.json() {
        out.value(&json!({ "ok": errors.is_empty(), "digest": digest, "errors": errors }))?;
    } else {
        for error in &errors {
            out.error(error);
        }
        match &digest {
            Some(digest) => {
                out.line(format_args!("{} is a valid policy, digest {}", file.display(), report::short(digest)));
            }
            None => out.note(format_args!("{} cannot be used", file.display())),
        }
    }
    Ok(if errors.is_empty() { Exit::Done } else { Exit::SomeFailed })
}

async fn apply(environment: &Environment, file: &Path, reason: &str, by: &str, out: &Output) -> anyhow::Result<Exit> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let Ok(policy) = Policy::parse(&text) else {
        check(file, out)?;
        out.note("nothing was changed");
        return Ok(Exit::SomeFailed);
    };
    let (log, store) = (environment.log().await?, environment.store().await?);
    let topics = CommonSettings::read(&environment.settings)?.topics;
    create_work_topics(&*log, &topics, &policy, Actor { by, reason }).await?;
    let digest = apply_policy(&*log, &*store, &text, reason, by).await?;
    if out.json() {
        out.value(&json!({ "applied": true, "digest": digest }))?;
    } else {
        out.line(format_args!("in force: {}", report::short(&digest)));
    }
    Ok(Exit::Done)
}

/// Whose model a tier asks.
pub(crate) fn model_of(tier: &Tier) -> String {
    match (&tier.provider, &tier.model) {
        (Some(provider), Some(model)) => format!("{provider}/{model}"),
        _ => "the built-in engine's".to_owned(),
    }
}

/// The topics of a policy's tiers, before it is in force: a router that has it writes to them at
/// once.
///
/// # Errors
/// The log's.
pub(crate) async fn create_work_topics(
    log: &dyn Log,
    settings: &TopicSettings,
    policy: &Policy,
    actor: Actor<'_>,
) -> anyhow::Result<()> {
    if settings.create {
        let tiers: Vec<String> = policy.tier_names().map(str::to_owned).collect();
        let wanted = topics::all(&settings.tenants, &tiers, settings.partitions, settings.replication);
        let changes = log.ensure_topics(&wanted).await.context("the topics of its tiers cannot be created")?;
        record_created(log, &changes, actor).await?;
    }
    Ok(())
}

async fn show(environment: &Environment, as_toml: bool, out: &Output) -> anyhow::Result<Exit> {
    let log = environment.log().await?;
    let start = CommonSettings::read(&environment.settings)?.policy.load()?;
    let control = Control::follow(&log, start).await?;
    let (effective, applied) = (control.effective(), control.applied());
    let text = applied.as_ref().map(|applied| applied.toml.as_str());
    if as_toml {
        // What was never applied is what the settings, or this build, start with.
        let text = match text {
            Some(text) => text.to_owned(),
            None => toml::to_string(&*effective.policy)?,
        };
        out.file(text.trim_end());
        return Ok(Exit::Done);
    }
    if out.json() {
        let applied =
            applied.as_ref().map(|applied| json!({ "by": applied.applied_by, "at": report::utc(applied.applied_at) }));
        out.value(&json!({ "digest": effective.digest, "applied": applied, "policy": &*effective.policy }))?;
        return Ok(Exit::Done);
    }
    out.line(format_args!("policy {}", report::short(&effective.digest)));
    match &applied {
        Some(applied) => {
            out.line(format_args!("applied by {} at {}", applied.applied_by, report::utc(applied.applied_at)));
        }
        None => out.line("none was applied: this is what the settings start with"),
    }
    let mut table = Table::new(&["Tier", "Kind", "Model", "Share", "Most sensitive", "Residency", "Enabled"]);
    for tier in &effective.policy.tiers {
        table.row([
            tier.name.clone(),
            match tier.kind {
                TierKind::Gpu => "gpu".to_owned(),
                TierKind::Api => "api".to_owned(),
            },
            model_of(tier),
            format!("{:.0} %", tier.share * 100.0),
            format!("{:?}", tier.max_sensitivity).to_lowercase(),
            tier.residency.join(", "),
            tier.enabled.to_string(),
        ]);
    }
    out.table(&table);
    Ok(Exit::Done)
}
