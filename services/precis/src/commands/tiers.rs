//! `precis tiers`: the switch that every service obeys.

use clap::Subcommand;
use precis_pipeline::Control;
use precis_pipeline::control::switch_tier;
use precis_pipeline::runtime::CommonSettings;
use precis_schemas::SwitchState;
use serde_json::json;

use super::operator;
use crate::cli::Globals;
use crate::environment::Environment;
use crate::exit::Exit;
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
    /// Why: kept on the topic `audit`
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = super::reason)]
    reason: String,
    /// Who, for the record [default: $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// What takes work away from a tier: whoever is called at night must find out why.
#[derive(Debug, clap::Args)]
struct Stop {
    /// Name of the tier in the policy
    tier: String,
    /// Why: shown by `precis status`, kept on the topic `audit`
    #[arg(long, value_name = "TEXT", value_parser = super::given_reason)]
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
    let (state, tier, reason, by) = match args.action {
        Action::On(On { tier, reason, by }) => (SwitchState::On, tier, reason, by),
        Action::Off(Stop { tier, reason, by }) => (SwitchState::Off, tier, reason, by),
        Action::Drain(Stop { tier, reason, by }) => (SwitchState::Drain, tier, reason, by),
    };
    let environment = Environment::load(globals)?;
    let log = environment.log().await?;
    let start = CommonSettings::read(&environment.settings)?.policy.load()?;
    let policy = Control::follow(&log, start).await?.effective().policy;
    let known: Vec<&str> = policy.tier_names().collect();
    anyhow::ensure!(
        known.contains(&tier.as_str()),
        "the policy in force has no tier {tier:?}; it has {}",
        known.join(", ")
    );
    switch_tier(&*log, &tier, state, &reason, &operator(by.as_deref())).await?;
    if out.json() {
        out.value(&json!({ "tier": tier, "state": state.as_str() }))?;
    } else {
        out.line(format_args!("tier {tier} is {}", state.as_str()));
    }
    Ok(Exit::Done)
}
