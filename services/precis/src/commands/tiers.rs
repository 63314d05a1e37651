//! `precis tiers`: the switch that every service obeys.

use clap::Subcommand;
use precis_pipeline::{Control, control::switch_tier, house::HouseSettings};
use precis_schemas::SwitchState;
use serde_json::json;

use super::operator;
use crate::{cli::Globals, environment::Environment, exit::Exit, output::Output};

const EXAMPLES: &str = "\
Examples:
  precis tiers off premium --reason \"provider incident\"
  precis tiers drain gpu --reason \"new driver\"
  precis tiers on premium

off: gets no work and refuses what it has; drain: gets no new work and finishes what it has. `precis status` shows them.";

/// Switch tiers on, off, or let them drain
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Give it work
    #[command(alias = "enable")]
    On(Switch),
    /// Give it no work, and let it refuse what it has
    #[command(alias = "disable")]
    Off(Switch),
    /// Give it no new work, and let it finish what it has
    Drain(Switch),
}

#[derive(Debug, clap::Args)]
struct Switch {
    /// Name of the tier in the policy
    tier: String,
    /// Why, for whoever looks
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Who, for the record [default: $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// A tier that the policy in force does not have; the log's.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    let (switch, state, name) = match args.action {
        Action::On(switch) => (switch, SwitchState::On, "on"),
        Action::Off(switch) => (switch, SwitchState::Off, "off"),
        Action::Drain(switch) => (switch, SwitchState::Drain, "drain"),
    };
    let environment = Environment::load(globals)?;
    let log = environment.log().await?;
    let start = HouseSettings::read(&environment.settings)?.policy.load()?;
    let policy = Control::follow(&log, start).await?.governing().policy;
    let known: Vec<&str> = policy.tier_names().collect();
    anyhow::ensure!(
        known.contains(&switch.tier.as_str()),
        "the policy in force has no tier {:?}; it has {}",
        switch.tier,
        known.join(", ")
    );
    switch_tier(&*log, &switch.tier, state, &switch.reason, &operator(switch.by.as_deref())).await?;
    if out.json() {
        out.value(&json!({ "tier": switch.tier, "state": name }))?;
    } else {
        out.line(format_args!("tier {} is {name}", switch.tier))?;
    }
    Ok(Exit::Done)
}
