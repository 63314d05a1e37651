//! The command line: every command with its help and examples. Only the library and the program use
//! this module; what a command does is in its own module under [`crate::commands`].

use clap::{Parser, Subcommand};

use crate::commands::{
    audit, bench, config, dead_letters, doctor, models, policy, quality, results, spend, status, submit, summarize,
    tiers, topics, up,
};
use crate::globals::Globals;

const ABOUT: &str = "Summaries of documents at scale: routed by cost, checked, settled exactly once.";

const EXAMPLES: &str = "\
Examples:
  precis summarize report.txt              one summary on your terminal, computed here
  precis summarize letters/ --out out/     a folder: a JSON file each, and summaries.md to read
  precis up                                all services in one process; then, beside it:
  precis submit letters/ && precis results --follow

Exit codes:
  0  every document has a summary, or the command did what was asked
  1  wrong usage, or something in the environment is missing, down or full (also stdout)
  2  some inputs or documents have no summary, or some checks failed
A reader of stdout that goes away, as in `precis results | head`, changes neither the work nor the exit code.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "precis", version, about = ABOUT, after_help = EXAMPLES, max_term_width = 110)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Summarise files here and now, with everything in this process
    Summarize(summarize::Args),
    /// Run all services in this process
    Up(up::Args),
    /// Publish documents for running services
    Submit(submit::Args),
    /// Show how documents ended
    Results(results::Args),
    /// Show topics, lag, tiers and the policy in force
    Status(status::Args),
    /// Show what providers billed, by day, tier and tenant
    Spend(spend::Args),
    /// Show how good summaries are, what changed, and why
    Quality(quality::Args),
    /// Look at records that no stage could use, and replay them
    DeadLetters(dead_letters::Args),
    /// Show what operators did, by whom and why
    Audit(audit::Args),
    /// Check, apply and show the routing policy
    Policy(policy::Args),
    /// Switch tiers on, off, or let them drain
    #[command(visible_alias = "tier")]
    Tiers(tiers::Args),
    /// List, fetch and verify models
    Models(models::Args),
    /// Measure how fast this machine summarises: documents a minute, prefill, decode
    Bench(bench::Args),
    /// Create topics
    Topics(topics::Args),
    /// Check what the services need: log, store, model, disk
    Doctor(doctor::Args),
    /// Print the configuration reference, or check and show settings
    Config(config::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_help_with_an_example() {
        let mut cli = Cli::command();
        cli.build();
        for command in cli.get_subcommands().filter(|command| command.get_name() != "help") {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("precis {}", command.get_name())), "{} has no example", command.get_name());
        }
    }
}
