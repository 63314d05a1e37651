//! `precis policy`: the one file that decides where documents go.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use precis_policy::Policy;
use serde_json::json;

use crate::environment::Environment;
use crate::exit::Exit;
use crate::globals::Globals;
use crate::operations::operator::{Operator, Why};
use crate::operations::policy::{model_of, put_in_force};
use crate::output::{Output, Table};
use crate::report;

const EXAMPLES: &str = "\
Examples:
  precis policy check infra/policy/70-20-10.toml
  precis policy apply infra/policy/70-20-10.toml --reason \"contracts stay on our machines\"
  precis policy show
  precis policy show --toml > policy.toml

`check` says all that is wrong with a file, and how to fix it, without touching anything; it warns where every residency or every \
tenant may leave for a provider. `apply` refuses a file with \
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
        #[command(flatten)]
        why: Why,
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
        Action::Apply { file, why } => apply(&Environment::load(globals)?, &file, &why.operator(), out).await,
        Action::Show { toml } => show(&Environment::load(globals)?, toml, out).await,
    }
}

/// Tells all problems.
fn check(file: &Path, out: &Output) -> anyhow::Result<Exit> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let (errors, warnings, digest) = match Policy::parse(&text) {
        Ok(policy) => (Vec::new(), policy.warnings(), Some(policy.digest())),
        Err(errors) => (errors.lines().to_vec(), Vec::new(), None),
    };
    if out.json() {
        let ok = errors.is_empty();
        out.value(&json!({ "ok": ok, "digest": digest, "errors": errors, "warnings": warnings }))?;
    } else {
        warn(&warnings, out);
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

fn warn(warnings: &[String], out: &Output) {
    for warning in warnings {
        out.note(format_args!("warning: {warning}"));
    }
}

async fn apply(environment: &Environment, file: &Path, operator: &Operator, out: &Output) -> anyhow::Result<Exit> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let Ok(policy) = Policy::parse(&text) else {
        check(file, out)?;
        out.note("nothing was changed");
        return Ok(Exit::SomeFailed);
    };
    let (log, store) = (environment.log().await?, environment.store().await?);
    let topics = environment.common()?.topics;
    let digest = put_in_force(&*log, &*store, &topics, (&text, &policy), operator).await?;
    let warnings = policy.warnings();
    if out.json() {
        out.value(&json!({ "applied": true, "digest": digest, "warnings": warnings }))?;
    } else {
        warn(&warnings, out);
        out.line(format_args!("in force: {}", report::short(&digest)));
    }
    Ok(Exit::Done)
}

async fn show(environment: &Environment, as_toml: bool, out: &Output) -> anyhow::Result<Exit> {
    let log = environment.log().await?;
    let control = environment.control(&log).await?;
    let (effective, applied) = (control.effective(), control.applied());
    let text = applied.as_ref().map(|applied| applied.toml.as_str());
    if as_toml {
        // Where none was applied, the policy of the settings, or of this build, is in force.
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
            tier.kind.as_str().to_owned(),
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
