//! `precis quality weights`: the weights of the quality index, refitted to labels.

use std::path::Path;

use anyhow::{Context as _, bail};
use precis_pipeline::topics;
use precis_statistics::weights::MIN_LABELS;

use super::labels::Labels;
use super::refit::{refit, toml};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::follow::{self, Skipped};
use crate::output::Output;
use crate::output::words::plural;

pub(super) const EXAMPLES: &str = "\
Examples:
  precis quality weights labels.jsonl > quality.toml

A line of labels.jsonl names a document of the topic, or carries what was measured on its summary:
  {\"tenant\": \"acme\", \"document_id\": \"c-17\", \"revision\": 0, \"label\": \"good\"}
  {\"document_type\": \"contract\", \"checks\": […], \"scores\": {…}, \"label\": 0.75}

What is printed takes the place of all [quality] tables of a policy file; `precis policy check` reads it. A document type \
gets a table of its own from 100 labels on; the labels of all other types refit the default. Weights stay as they are \
where new ones are no better on labels that were held out.";

/// Runs the command.
///
/// # Errors
/// Those of the labels' file, too few labels among them, and the log's.
pub(super) async fn run(environment: &Environment, file: &Path, out: &Output) -> anyhow::Result<Exit> {
    let mut labels = Labels::read(file)?;
    let log = environment.log().await?;
    let mut skipped = Skipped::default();
    if labels.names_documents() {
        follow::read_to_end(&log, topics::SUMMARIES, |record| {
            match super::outcome(&record) {
                Ok(Some(outcome)) => labels.look_at(&outcome),
                Ok(None) => {}
                Err(why) => skipped.add(&record, why),
            }
            Ok(())
        })
        .await?;
    }
    skipped.tell(out);
    let (examples, lost) = labels.examples();
    let void = examples.iter().filter(|(measured, _)| measured.parts.is_none()).count();
    if lost > 0 {
        out.note(format_args!("{} of no summary on {} are left out", plural(lost, "label"), topics::SUMMARIES));
    }
    if void > 0 {
        out.note(format_args!(
            "{} of empty summaries and refusals are left out: no weight changes their index",
            plural(void, "label")
        ));
    }
    let policy = environment.control(&log).await?.effective().policy;
    let tables = refit(&examples, &policy.quality).context("no weights can be fitted")?;
    if tables.iter().all(|table| table.error_after.is_none()) {
        let most = tables.iter().map(|table| table.labels).max().unwrap_or(0);
        bail!("{} for one table of weights, but a fit needs {MIN_LABELS}; label more documents", plural(most, "label"));
    }
    if out.json() {
        out.value(&serde_json::json!({ "tables": tables }))?;
    } else {
        out.file(&toml(&tables));
    }
    Ok(Exit::Done)
}
