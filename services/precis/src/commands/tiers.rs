//! `precis tiers`: the switch that every service obeys.

use clap::Subcommand;
use precis_pipeline::control::switch_tier;
use precis_schemas::SwitchState;
use serde_json::json;

use crate::environment::Environment;
use crate::exit::Exit;
use crate::globals::Globals;
use crate::operations::operator::{RequiredWhy, Why};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  precis tiers off premium --reason \"provider incident\"
  precis tiers drain gpu --reason \"new driver\"
  precis tiers on premium

off: gets no work and refuses what it has; drain: gets no new work and finishes what it has. Every instance obeys within \
seconds. `precis status` shows the switches, `precis audit` who used them.";

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
    #[command(visible_alias = "enable")]
    On(On),
    /// Give it no work, and let it refuse what it has
    #[command(visible_alias = "disable")]
    Off(Stop),
    /// Give it no new work, and let it finish what it has
    Drain(Stop),
}

#[derive(Debug, clap::Args)]
struct On {
    /// Name of the tier in the policy
    tier: String,
    #[command(flatten)]
    why: Why,
}

/// Arguments that take work away from a tier. The reason is required: whoever is called at night
/// must find out why.
#[derive(Debug, clap::Args)]
struct Stop {
    /// Name of the tier in the policy
    tier: String,
    #[command(flatten)]
    why: RequiredWhy,
}

/// Runs the command.
///
/// # Errors
/// A tier that the policy in force does not have; the log's.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    let (state, tier, why) = match args.action {
        Action::On(On { tier, why }) => (SwitchState::On, tier, why),
        Action::Off(Stop { tier, why }) => (SwitchState::Off, tier, why.into()),
        Action::Drain(Stop { tier, why }) => (SwitchState::Drain, tier, why.into()),
    };
    let environment = Environment::load(globals)?;
    let log = environment.log().await?;
    let policy = environment.control(&log).await?.effective().policy;
    let known: Vec<&str> = policy.tier_names().collect();
    anyhow::ensure!(
        known.contains(&tier.as_str()),
        "the policy in force has no tier {tier:?}; it has {}",
        known.join(", ")
    );
    let operator = why.operator();
    switch_tier(&*log, &tier, state, &operator.reason, &operator.by).await?;
    if out.json() {
        out.value(&json!({ "tier": tier, "state": state.as_str() }))?;
    } else {
        out.line(format_args!("tier {tier} is {}", state.as_str()));
    }
    Ok(Exit::Done)
}
