//! `precis dead-letters`: records that no stage could use, with their raw bytes, and their replay.

mod list;
mod read;
mod replay;
mod show;

use std::path::PathBuf;

use clap::Subcommand;
use precis_schemas::DeadLetter;

use crate::environment::Environment;
use crate::exit::Exit;
use crate::globals::Globals;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  precis dead-letters list
  precis dead-letters list --code unknown_schema --json
  precis dead-letters show router/documents.acme/0/17 --value-to record.avro
  precis dead-letters replay router/documents.acme/0/17 --reason \"schema v2 is deployed\"
  precis dead-letters replay --all --code unknown_schema

A dead letter is replayed at most once, whoever tries: its record goes back to where its stage reads it, and that it was \
replayed is written in the same transaction. What goes back is the record in its own topic, after it was compared with the \
dead letter; where it expired there, --from-letter takes the dead letter's word for it. A dead letter that names another topic \
than its stage reads is not replayed.";

/// Look at records that no stage could use, and replay them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List them, oldest first
    List(Filter),
    /// Show one with its headers
    Show {
        /// Its id, as `list` shows it
        id: String,
        /// Write the record's raw bytes to this file
        #[arg(long, value_name = "FILE")]
        value_to: Option<PathBuf>,
    },
    /// Put records back where they came from
    Replay(replay::ReplayArgs),
}

/// Which dead letters.
#[derive(Debug, Clone, Default, clap::Args)]
struct Filter {
    /// Only of this stage
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Only with this code
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Only of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

impl Filter {
    fn matches(&self, letter: &DeadLetter) -> bool {
        let same = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        same(&self.stage, Some(&letter.stage))
            && same(&self.code, Some(&letter.code))
            && same(&self.tenant, letter.tenant.as_deref())
    }
}

/// Runs the command.
///
/// # Errors
/// The log's and the store's; an id that no dead letter has.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    let environment = Environment::load(globals)?;
    match args.action {
        Action::List(filter) => list::run(&environment, &filter, out).await,
        Action::Show { id, value_to } => show::run(&environment, &id, value_to.as_deref(), out).await,
        Action::Replay(args) => replay::run(&environment, &args, out).await,
    }
}
