//! `precis dead-letters`: records that no stage could use, with their raw bytes, and their replay.

mod list;
mod replay;
mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Subcommand;
use precis_flow::Log;
use precis_pipeline::topics;
use precis_schemas::{DeadLetter, DeadLetterAction, codec};

use crate::environment::Environment;
use crate::exit::Exit;
use crate::follow::read_to_end;
use crate::globals::Globals;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  precis dead-letters list
  precis dead-letters list --code unknown_schema --json
  precis dead-letters show router/documents.acme/0/17 --value-to record.avro
  precis dead-letters replay router/documents.acme/0/17 --reason \"schema v2 is deployed\"
  precis dead-letters replay --all --code unknown_schema

A dead letter is replayed at most once, whoever tries: its record goes back to the topic it came from, and that it was \
replayed is written in the same transaction.";

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

/// A dead letter, with the operator's action where there is one.
#[derive(Debug)]
struct Letter {
    letter: DeadLetter,
    action: Option<DeadLetterAction>,
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

/// All dead letters with their actions, oldest first. A failure that was delivered again is one
/// dead letter.
async fn letters(log: &Arc<dyn Log>) -> anyhow::Result<Vec<Letter>> {
    let mut letters: Vec<DeadLetter> = Vec::new();
    let mut known = std::collections::HashSet::new();
    read_to_end(log, topics::DEAD_LETTERS, |record| {
        let Some(value) = record.value.as_deref() else { return Ok(()) };
        let letter: DeadLetter = codec::decode(value).with_context(|| format!("dead letter {}", record.position()))?;
        if known.insert(letter.id.clone()) {
            letters.push(letter);
        }
        Ok(())
    })
    .await?;
    let mut actions = actions(log).await?;
    Ok(letters.into_iter().map(|letter| Letter { action: actions.remove(&letter.id), letter }).collect())
}

/// The actions of operators, by the id of their dead letter.
async fn actions(log: &Arc<dyn Log>) -> anyhow::Result<BTreeMap<String, DeadLetterAction>> {
    let mut actions = BTreeMap::new();
    read_to_end(log, topics::DEAD_LETTER_ACTIONS, |record| {
        if let Some(value) = record.value.as_deref() {
            let action: DeadLetterAction =
                codec::decode(value).with_context(|| format!("dead letter action {}", record.position()))?;
            actions.insert(action.id.clone(), action);
        }
        Ok(())
    })
    .await?;
    Ok(actions)
}
