//! `precis quality`: how good summaries are, beside a baseline, as `summaries` and `evaluations`
//! have them.

mod labels;
mod refit;
mod show;
mod weights;

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use clap::Subcommand;
use precis_controller::calendar::{Day, Days};
use precis_controller::report::{Report, Windows, report};
use precis_controller::view::{Axis, View};
use precis_flow::{Log, Record};
use precis_pipeline::settle::REPEAT_HEADER;
use precis_pipeline::topics;
use precis_schemas::{CodecError, Evaluation, Outcome, codec};

use crate::environment::Environment;
use crate::exit::Exit;
use crate::follow::{self, Skipped};
use crate::globals::Globals;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  precis quality
  precis quality --by tier --by type --since 2026-11-24
  precis quality --by model --baseline 2026-11-01..2026-11-14 --json | jq .groups
  precis quality weights labels.jsonl > quality.toml

The index is the quality index of automatic metrics, 0 to 1. Judge is the mean of an evaluator model's scores, 0 to 1, \
over all summaries: estimated from the sample that it judged and the index of all. Intervals are of chance among the \
documents; what people would say, neither knows. An alarm is of a sequential test, which has one false alarm in 2,160,000 documents of a group where nothing changed.";

/// Show how good summaries are, what changed, and why
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// One row for each of these; may be repeated [default: tier]
    #[arg(long, value_enum, value_name = "WHAT")]
    by: Vec<GroupBy>,
    /// Outcomes of this day and later, UTC [default: the last day that has any]
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Option<Day>,
    /// The days to compare with, both included [default: all days before]
    #[arg(long, value_name = "FROM..TO")]
    baseline: Option<Days>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Refit the weights of the quality index to labels
    #[command(after_help = weights::EXAMPLES)]
    Weights {
        /// The labels (JSON Lines)
        labels: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum GroupBy {
    Tier,
    Model,
    Prompt,
    Type,
    Language,
}

impl GroupBy {
    fn axis(self) -> Axis {
        match self {
            Self::Tier => Axis::Tier,
            Self::Model => Axis::Model,
            Self::Prompt => Axis::Prompt,
            Self::Type => Axis::Type,
            Self::Language => Axis::Language,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// The log's; a baseline that the shown days are part of; those of the labels.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    let environment = Environment::load(globals)?;
    if let Some(Action::Weights { labels }) = &args.action {
        return weights::run(&environment, labels, out).await;
    }
    let log = environment.log().await?;
    let Found { view, skipped, has_evaluations_topic } = read(&log).await?;
    skipped.tell(out);
    tell(&view, &args, out)?;
    if !has_evaluations_topic && !view.days().is_empty() {
        let topic = topics::EVALUATIONS;
        out.note(format_args!(
            "there is no topic {topic}, so no judge's scores are shown; precis topics apply makes it"
        ));
    }
    // Of what was left out nobody can tell how good it was.
    Ok(if skipped.count() == 0 { Exit::Done } else { Exit::SomeFailed })
}

/// What the topics hold.
#[derive(Default)]
struct Found {
    view: View,
    skipped: Skipped,
    /// False in a deployment that is older than the topic.
    has_evaluations_topic: bool,
}

async fn read(log: &Arc<dyn Log>) -> anyhow::Result<Found> {
    let Found { mut view, mut skipped, .. } = Found::default();
    follow::read_to_end(log, topics::SUMMARIES, |record| {
        match outcome(&record) {
            Ok(Some(outcome)) => view.add(&outcome),
            Ok(None) => {}
            Err(why) => skipped.add(&record, why),
        }
        Ok(())
    })
    .await?;
    // A request to judge that is tried again may publish the same record once more. Of millions of
    // evaluations the hashes fit into memory, the names would not.
    let (mut seen, hashes) = (HashSet::new(), RandomState::new());
    let has_evaluations_topic = follow::read_to_end(log, topics::EVALUATIONS, |record| {
        match codec::decode::<Evaluation>(record.value.as_deref().unwrap_or_default()) {
            Ok(evaluation) => {
                let Evaluation { tenant, document_id, revision, round, .. } = &evaluation;
                if seen.insert(hashes.hash_one((tenant, document_id, revision, round))) {
                    view.add_evaluation(&evaluation);
                }
            }
            Err(why) => skipped.add(&record, why),
        }
        Ok(())
    })
    .await?;
    Ok(Found { view, skipped, has_evaluations_topic })
}

fn tell(view: &View, args: &Args, out: &Output) -> anyhow::Result<()> {
    let Some(report) = compared(view, args)? else {
        match (out.json(), args.since) {
            (true, _) => out.value(&serde_json::json!({ "groups": [] }))?,
            (false, Some(since)) => out.line(format_args!("no outcomes since {since}")),
            (false, None) => out.line("no outcomes yet"),
        }
        return Ok(());
    };
    if out.json() {
        out.value(&report)?;
    } else {
        show::show(&report, &axes(args), out);
    }
    Ok(())
}

/// `None` without outcomes in the days that were asked for.
fn compared(view: &View, args: &Args) -> anyhow::Result<Option<Report>> {
    let Some(windows) = Windows::of(view, args.since, args.baseline) else { return Ok(None) };
    if let Some(baseline) = windows.baseline.filter(|baseline| baseline.overlaps(&windows.current)) {
        bail!("the baseline ({baseline}) and the days to show ({}) overlap; give --since a later day", windows.current);
    }
    Ok(Some(report(view, &axes(args), &windows)))
}

fn axes(args: &Args) -> Vec<Axis> {
    let asked: Vec<Axis> = args.by.iter().map(|by| by.axis()).collect();
    if asked.is_empty() {
        vec![Axis::Tier]
    } else {
        Axis::ALL.into_iter().filter(|axis| asked.contains(axis)).collect()
    }
}

/// The outcome of a record; none for a repeat, which an earlier record had.
fn outcome(record: &Record) -> Result<Option<Outcome>, CodecError> {
    if record.headers.get(REPEAT_HEADER).is_some() {
        return Ok(None);
    }
    codec::decode(record.value.as_deref().unwrap_or_default()).map(Some)
}

#[cfg(test)]
mod tests;
