//! The command line of Précis, and all services in one process for one machine.
//!
//! [`cli`] is the command line, and [`commands`] has a module for each command. Commands share
//! where they work ([`environment`]), what they read ([`inputs`], [`documents`], [`follow`]), how
//! they tell ([`output`], [`report`], [`progress`]) and what they do alike ([`operations`]); no
//! command imports another. [`compose`] runs services in this process, and [`workers`] starts those
//! that the policy in force needs. Only this crate composes services; none of them knows another.
//!
//! ```text
//! cli ─▶ commands ─▶ workers ─▶ operations ─▶ compose, documents, report
//!     ─▶ environment, follow, inputs, progress ─▶ output ─▶ exit, globals
//! ```
//!
//! A module imports those of its own place in this picture and of later ones.

pub mod cli;
pub mod commands;
pub mod compose;
pub mod documents;
pub mod environment;
pub mod exit;
pub mod follow;
pub mod globals;
pub mod inputs;
pub mod operations;
pub mod output;
pub mod progress;
pub mod report;
pub mod workers;

use cli::{Cli, Command};
use exit::Exit;
use output::Output;

/// Runs a command to its end and tells what went wrong, if anything did.
pub async fn run(cli: Cli) -> Exit {
    let Cli { globals, command } = cli;
    let out = Output::of_process(globals.json);
    let result = match command {
        Command::Summarize(args) => commands::summarize::run(&globals, args, &out).await,
        Command::Up(args) => commands::up::run(&globals, args, &out).await,
        Command::Submit(args) => commands::submit::run(&globals, args, &out).await,
        Command::Results(args) => commands::results::run(&globals, args, &out).await,
        Command::Spend(args) => commands::spend::run(&globals, args, &out).await,
        Command::Quality(args) => commands::quality::run(&globals, args, &out).await,
        Command::Status(args) => commands::status::run(&globals, args, &out).await,
        Command::DeadLetters(args) => commands::dead_letters::run(&globals, args, &out).await,
        Command::Audit(args) => commands::audit::run(&globals, args, &out).await,
        Command::Policy(args) => commands::policy::run(&globals, args, &out).await,
        Command::Tiers(args) => commands::tiers::run(&globals, args, &out).await,
        Command::Models(args) => commands::models::run(&globals, args, &out).await,
        Command::Bench(args) => commands::bench::run(&globals, args, &out).await,
        Command::Topics(args) => commands::topics::run(&globals, args, &out).await,
        Command::Doctor(args) => commands::doctor::run(&globals, args, &out).await,
        Command::Config(args) => commands::config::run(&globals, &args, &out),
    };
    let exit = result.unwrap_or_else(|error| {
        out.error(format_args!("{error:#}"));
        Exit::Environment
    });
    out.finish(exit)
}

/// Prints what clap says instead of running a command: help, the version, or what is wrong with the
/// arguments.
pub fn tell_usage(answer: &clap::Error) -> Exit {
    let out = Output::of_process(false);
    let text = answer.render();
    if answer.use_stderr() {
        // The arguments stand in it, so that it is printed as other untrusted text is, without
        // colours.
        let text = text.to_string();
        match text.trim_end().strip_prefix("error: ") {
            Some(problem) => out.error(problem),
            // No command at all: the help, line by line.
            None => text.trim_end().lines().for_each(|line| out.note(line)),
        }
        return Exit::Environment;
    }
    out.help(&text);
    out.finish(Exit::Done)
}
