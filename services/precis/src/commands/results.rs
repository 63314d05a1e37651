//! `precis results`: how documents ended, read from `summaries`.

use std::collections::VecDeque;

use anyhow::bail;
use precis_flow::{ReadStart, Record};
use precis_objects::keys;
use precis_pipeline::settle::REPEAT_HEADER;
use precis_pipeline::topics;
use precis_schemas::{CodecError, Outcome, codec};

use crate::environment::Environment;
use crate::exit::Exit;
use crate::follow::{Skipped, read_to_end, watch};
use crate::globals::Globals;
use crate::output::Output;
use crate::report::{self, Row};

const EXAMPLES: &str = "\
Examples:
  precis results                                the newest outcomes
  precis results --id report-3fa94c0e1b2d7788   one document's summary, checks and decision
  precis results --follow                       all there are, then each as it comes
  precis results --follow --new --json          only what comes from now on, a JSON object a line";

/// Show how documents ended
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Go on and show each outcome as it comes
    #[arg(short, long)]
    follow: bool,
    /// With --follow: only what comes from now on
    #[arg(long, requires = "follow")]
    new: bool,
    /// Only this document, in full
    #[arg(long, value_name = "ID", conflicts_with = "follow")]
    id: Option<String>,
    /// Of this revision [default: the highest]
    #[arg(long, value_name = "N", requires = "id")]
    revision: Option<i64>,
    /// Only of this tenant [default: all; with --id: local]
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// The newest so many; 0 shows all
    #[arg(long, value_name = "N", default_value_t = 50, conflicts_with_all = ["follow", "id"])]
    last: usize,
}

/// Runs the command.
///
/// # Errors
/// The log's and the store's; a document without outcome.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    let environment = Environment::load(globals)?;
    match &args.id {
        Some(id) => one(&environment, id, &args, out).await,
        None if args.follow => follow(&environment, &args, out).await,
        None => list(&environment, &args, out).await,
    }
}

async fn list(environment: &Environment, args: &Args, out: &Output) -> anyhow::Result<Exit> {
    let log = environment.log().await?;
    let (mut rows, mut skipped) = (VecDeque::new(), Skipped::default());
    read_to_end(&log, topics::SUMMARIES, |record| {
        match row(&record, args.tenant.as_deref()) {
            Ok(row) => rows.extend(row),
            Err(why) => skipped.add(&record, why),
        }
        if args.last > 0 && rows.len() > args.last {
            rows.pop_front();
        }
        Ok(())
    })
    .await?;
    skipped.tell(out);
    if out.json() {
        for row in &rows {
            out.value(row)?;
        }
    } else if rows.is_empty() {
        out.line("no outcomes yet");
    } else {
        out.table(&report::table_of(rows.make_contiguous(), out.width()));
    }
    Ok(Exit::Done)
}

async fn follow(environment: &Environment, args: &Args, out: &Output) -> anyhow::Result<Exit> {
    let log = environment.log().await?;
    let start = if args.new { ReadStart::End } else { ReadStart::Beginning };
    watch(&log, topics::SUMMARIES, start, out, |record| {
        let row = match row(&record, args.tenant.as_deref()) {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(()),
            Err(why) => {
                out.note(format_args!("{} is left out: {why}", record.position()));
                return Ok(());
            }
        };
        if out.json() {
            out.value(&row)?;
        } else {
            out.text(report::plain_text(&row));
        }
        out.flush();
        Ok(())
    })
    .await?;
    Ok(Exit::Done)
}

async fn one(environment: &Environment, id: &str, args: &Args, out: &Output) -> anyhow::Result<Exit> {
    let tenant = args.tenant.as_deref().unwrap_or("local");
    let outcome = match args.revision {
        Some(revision) => stored(environment, tenant, id, revision).await?,
        None => match newest(environment, tenant, id).await? {
            // Topics forget earlier than the store does.
            None => stored(environment, tenant, id, 0).await?,
            found => found,
        },
    };
    let Some(outcome) = outcome else {
        bail!(
            "document {id} of tenant {tenant} has no outcome; `precis results` shows those there are, `precis status` what waits"
        );
    };
    let row = Row::of(id, &outcome, false);
    if out.json() {
        out.value(&serde_json::json!({ "result": row, "decision": outcome.decision, "trail": outcome.trail, "origin": outcome.origin }))?;
        return Ok(Exit::Done);
    }
    out.text(report::plain_text(&row));
    for check in &outcome.checks {
        let verdict = if check.passed { "passed" } else { "failed" };
        let value = check.value.map_or_else(String::new, |value| format!("{value:.2} "));
        out.line(format_args!("   {:20} {verdict:7} {value}{}", check.name, check.detail));
    }
    if let Some(decision) = &outcome.decision {
        out.line(format_args!(
            "   decision: {} ({}), policy {}",
            decision.chosen,
            decision.reason,
            report::short(&decision.policy_digest)
        ));
    }
    for trial in &outcome.trail {
        out.line(format_args!("   tried: {} ({})", trial.tier, trial.code));
    }
    out.line(format_args!("   settled: {}, cost {}", report::utc(outcome.settled_at), outcome.cost));
    Ok(Exit::Done)
}

async fn newest(environment: &Environment, tenant: &str, id: &str) -> anyhow::Result<Option<Outcome>> {
    let log = environment.log().await?;
    let mut newest: Option<Outcome> = None;
    read_to_end(&log, topics::SUMMARIES, |record| {
        // One that cannot be read is none of this document's that could be shown.
        let Ok(outcome) = outcome(&record) else { return Ok(()) };
        let higher = newest.as_ref().is_none_or(|known| known.revision < outcome.revision);
        if outcome.tenant == tenant && outcome.document_id == id && higher {
            newest = Some(outcome);
        }
        Ok(())
    })
    .await?;
    Ok(newest)
}

async fn stored(environment: &Environment, tenant: &str, id: &str, revision: i64) -> anyhow::Result<Option<Outcome>> {
    let bytes = environment.store().await?.get(&keys::result(tenant, id, revision)).await?;
    Ok(bytes.as_deref().map(codec::decode).transpose()?)
}

/// The row of a record; none for a repeat, which an earlier record showed, and for another
/// tenant's.
fn row(record: &Record, tenant: Option<&str>) -> Result<Option<Row>, CodecError> {
    if record.headers.get(REPEAT_HEADER).is_some() {
        return Ok(None);
    }
    let outcome = outcome(record)?;
    let wanted = tenant.is_none_or(|tenant| tenant == outcome.tenant);
    Ok(wanted.then(|| Row::of(&outcome.document_id, &outcome, false)))
}

fn outcome(record: &Record) -> Result<Outcome, CodecError> {
    codec::decode(record.value.as_deref().unwrap_or_default())
}
