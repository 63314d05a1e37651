//! `precis audit`: what operators did, read from `audit`.

use std::collections::{BTreeMap, VecDeque};

use precis_flow::{ReadStart, Record};
use precis_pipeline::topics;
use precis_schemas::{AuditRecord, CodecError, codec};
use serde::Serialize;

use crate::environment::Environment;
use crate::exit::Exit;
use crate::follow::{Skipped, read_to_end, watch};
use crate::globals::Globals;
use crate::output::{Output, Table};
use crate::report;

const EXAMPLES: &str = "\
Examples:
  precis audit
  precis audit --last 0 --json | jq 'select(.action == \"policy_applied\")'
  precis audit --follow

Each switch of a tier, each policy and each replay of dead letters is written in one transaction with its record here: \
neither is there without the other. Topics are recorded right after they were made.";

/// Characters of a whole digest.
const DIGEST_CHARACTERS: usize = 64;

/// Show what operators did, by whom and why
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The newest so many; 0 shows all
    #[arg(long, value_name = "N", default_value_t = 50, conflicts_with = "follow")]
    last: usize,
    /// All there are, then each as it comes
    #[arg(short, long)]
    follow: bool,
}

/// A record for programs.
#[derive(Serialize)]
struct AuditView<'a> {
    at: String,
    by: &'a str,
    action: &'a str,
    target: &'a str,
    before: &'a str,
    after: &'a str,
    reason: &'a str,
    details: &'a BTreeMap<String, String>,
    host: &'a str,
    program: &'a str,
}

/// Runs the command.
///
/// # Errors
/// The log's.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    let environment = Environment::load(globals)?;
    if args.follow { follow(&environment, out).await } else { list(&environment, args.last, out).await }
}

async fn list(environment: &Environment, last: usize, out: &Output) -> anyhow::Result<Exit> {
    let log = environment.log().await?;
    let (mut records, mut skipped) = (VecDeque::new(), Skipped::default());
    read_to_end(&log, topics::AUDIT, |record| {
        match decode(&record) {
            Ok(entry) => records.push_back(entry),
            Err(why) => skipped.add(&record, why),
        }
        if last > 0 && records.len() > last {
            records.pop_front();
        }
        Ok(())
    })
    .await?;
    skipped.tell(out);
    if out.json() {
        for record in &records {
            out.value(&view(record))?;
        }
    } else if records.is_empty() {
        out.line("nothing was done yet");
    } else {
        let mut table = Table::new(&["When", "Who", "Action", "Target", "Change", "Reason", "Details"]);
        for record in &records {
            table.row(cells(record));
        }
        out.table(&table);
    }
    Ok(Exit::Done)
}

async fn follow(environment: &Environment, out: &Output) -> anyhow::Result<Exit> {
    let log = environment.log().await?;
    watch(&log, topics::AUDIT, ReadStart::Beginning, out, |record| {
        let record = match decode(&record) {
            Ok(entry) => entry,
            Err(why) => {
                out.note(format_args!("{} is left out: {why}", record.position()));
                return Ok(());
            }
        };
        if out.json() {
            out.value(&view(&record))?;
        } else {
            out.line(cells(&record).iter().filter(|cell| !cell.is_empty()).cloned().collect::<Vec<_>>().join("  "));
        }
        out.flush();
        Ok(())
    })
    .await?;
    Ok(Exit::Done)
}

fn decode(record: &Record) -> Result<AuditRecord, CodecError> {
    codec::decode(record.value.as_deref().unwrap_or_default())
}

fn view(record: &AuditRecord) -> AuditView<'_> {
    let AuditRecord { at, by, action, target, before, after, reason, details, host, program } = record;
    AuditView { at: report::utc(*at), by, action, target, before, after, reason, details, host, program }
}

fn cells(record: &AuditRecord) -> Vec<String> {
    let change = match (record.before.as_str(), record.after.as_str()) {
        ("", "") => String::new(),
        ("", after) => format!("to {}", short(after)),
        (before, after) => format!("{} to {}", short(before), short(after)),
    };
    let details = record.details.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ");
    [&report::utc(record.at), &record.by, &record.action, &record.target, &change, &record.reason, &details]
        .map(String::clone)
        .into()
}

/// A digest's beginning; anything else whole.
fn short(text: &str) -> &str {
    if text.len() == DIGEST_CHARACTERS { report::short(text) } else { text }
}
