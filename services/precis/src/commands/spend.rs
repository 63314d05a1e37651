//! `precis spend`: what providers billed, as the ledger has it.

use std::collections::BTreeMap;

use precis_api_worker::ledger::spend::{Group, Spend, Totals};
use precis_pipeline::topics;
use precis_schemas::Usd;
use serde::Serialize;

use crate::environment::Environment;
use crate::exit::Exit;
use crate::follow::{self, Skipped};
use crate::globals::Globals;
use crate::output::{Output, Table};

const EXAMPLES: &str = "\
Examples:
  precis spend
  precis spend --since 2026-11-01 --by tier
  precis spend --by purpose
  precis spend --by tenant --json | jq .groups

Billed is what providers reported. Possibly billed is what may stand on their bill beyond that: answers that were lost, \
and open requests (in flight now, or of a process that was killed), each for up to what it reserved. The provider's own \
count lies between billed, and billed and possibly billed together.";

/// Show what providers billed, by day, tier, tenant and purpose
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// One row for each of these; may be repeated [default: day and tier]
    #[arg(long, value_enum, value_name = "WHAT")]
    by: Vec<GroupBy>,
    /// Only requests that left on this day or later, UTC
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum GroupBy {
    Day,
    Tier,
    Tenant,
    Purpose,
}

#[derive(Serialize)]
struct SpendReport {
    groups: Vec<SpendRow>,
    total: SpendRow,
}

#[derive(Default, Serialize)]
struct SpendRow {
    #[serde(skip_serializing_if = "String::is_empty")]
    day: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    tier: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    tenant: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    purpose: String,
    requests: u64,
    open: u64,
    billed: Usd,
    possibly_billed: Usd,
    input_tokens: u64,
    output_tokens: u64,
}

/// Runs the command.
///
/// # Errors
/// The log's.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    let environment = Environment::load(globals)?;
    let log = environment.log().await?;
    let (mut spend, mut skipped) = (Spend::default(), Skipped::default());
    follow::read_to_end(&log, topics::LEDGER, |record| {
        if let Err(why) = spend.read(&record) {
            skipped.add(&record, why);
        }
        Ok(())
    })
    .await?;
    skipped.tell(out);
    let by = if args.by.is_empty() { vec![GroupBy::Day, GroupBy::Tier] } else { args.by };
    let report = report(spend.groups(), &by, args.since.as_deref().unwrap_or_default());
    if out.json() {
        out.value(&report)?;
    } else {
        show(&report, &by, out);
    }
    // Of what was left out nobody can tell what it cost.
    Ok(if skipped.count() == 0 { Exit::Done } else { Exit::SomeFailed })
}

fn report(groups: BTreeMap<Group, Totals>, by: &[GroupBy], since: &str) -> SpendReport {
    let (mut rows, mut total) = (BTreeMap::<Group, Totals>::new(), Totals::default());
    for (group, totals) in groups.into_iter().filter(|(group, _)| group.day.as_str() >= since) {
        let keep = |what, value: String| if by.contains(&what) { value } else { String::new() };
        let shown = Group {
            day: keep(GroupBy::Day, group.day),
            tier: keep(GroupBy::Tier, group.tier),
            tenant: keep(GroupBy::Tenant, group.tenant),
            purpose: keep(GroupBy::Purpose, group.purpose),
        };
        rows.entry(shown).or_default().add(totals);
        total.add(totals);
    }
    SpendReport {
        groups: rows.into_iter().map(|(group, totals)| row(group, totals)).collect(),
        total: row(Group::default(), total),
    }
}

fn row(group: Group, totals: Totals) -> SpendRow {
    let Group { day, tier, tenant, purpose } = group;
    let Totals { requests, open, billed, possibly_billed, input_tokens, output_tokens } = totals;
    SpendRow { day, tier, tenant, purpose, requests, open, billed, possibly_billed, input_tokens, output_tokens }
}

fn show(report: &SpendReport, by: &[GroupBy], out: &Output) {
    let columns =
        [(GroupBy::Day, "Day"), (GroupBy::Tier, "Tier"), (GroupBy::Tenant, "Tenant"), (GroupBy::Purpose, "Purpose")];
    let mut header: Vec<_> = columns.iter().filter(|(what, _)| by.contains(what)).map(|(_, name)| *name).collect();
    header.extend(["Requests", "Open", "Billed", "Possibly billed", "Tokens in", "Tokens out"]);
    let mut table = Table::new(&header);
    let mut rows: Vec<&SpendRow> = report.groups.iter().collect();
    rows.push(&report.total);
    for (number, row) in rows.into_iter().enumerate() {
        let names = [
            (GroupBy::Day, &row.day),
            (GroupBy::Tier, &row.tier),
            (GroupBy::Tenant, &row.tenant),
            (GroupBy::Purpose, &row.purpose),
        ];
        let mut cells: Vec<_> =
            names.iter().filter(|(what, _)| by.contains(what)).map(|(_, name)| (*name).clone()).collect();
        if number == report.groups.len()
            && let Some(first) = cells.first_mut()
        {
            "together".clone_into(first);
        }
        cells.extend([row.requests.to_string(), row.open.to_string()]);
        cells.extend([row.billed.to_string(), row.possibly_billed.to_string()]);
        cells.extend([row.input_tokens.to_string(), row.output_tokens.to_string()]);
        table.row(cells);
    }
    out.table(&table);
}

#[cfg(test)]
mod tests;
