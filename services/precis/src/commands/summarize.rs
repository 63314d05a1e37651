//! `precis summarize`: the whole pipeline in this process, for the documents that the user points
//! at.
//!
//! A settled document is answered from the store, and nothing is computed for it. The others are
//! published to the embedded log, then routed, computed, checked and settled as by services on many
//! machines; the run shows their outcomes on `summaries`. A run that was cut off therefore goes on
//! where it stopped, and a run over settled documents starts no service and loads no model.

mod left;
mod run;
mod standstill;
mod wait;

use std::path::PathBuf;

use precis_telemetry::{LogFormat, TelemetryConfig, Troubles, init_logging_and_collect};

use crate::compose::Sections;
use crate::documents::RequestOptions;
use crate::environment::{Environment, Overrides};
use crate::exit::Exit;
use crate::globals::Globals;
use crate::inputs::{self, Inputs, TextInput};
use crate::output::Output;
use crate::output::words::plural;
use crate::report::{self, Row, Totals};

const EXAMPLES: &str = "\
Examples:
  precis summarize report.txt
  precis summarize letters/ notes.html --out out/ --max-words 60
  precis summarize articles.jsonl --text-field body --language fr --json
  pdftotext report.pdf - | precis summarize -

Reads .txt, .md, .html, .htm and .jsonl, folders to their full depth, up to 2 MiB of text a document (the \
policy's max_text_bytes; 16 MiB at most); a .json file, if it is named itself, as an array of records. \
Text is UTF-8, or UTF-16 with a byte order mark. Documents longer \
than the model's context are read in parts, never cut. A document with the same text and the same options as before is \
settled from what is stored.

Exit codes: 0 every input has a summary, 1 wrong usage or environment, 2 some inputs have none. A reader of stdout that goes \
away changes neither the work nor the exit code; files of --out are written first.";

/// Summarise files here and now, with everything in this process
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Files, folders, or `-` for stdin
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Write a JSON file for each document and summaries.md to this folder
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    request: RequestOptions,
    /// Model to use; `precis models list` shows them
    #[arg(short, long, value_name = "NAME")]
    model: Option<String>,
    /// Policy to route and check by, from now on in this state folder
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    input: TextInput,
}

/// Runs the command.
///
/// # Errors
/// Whatever keeps the pipeline from running at all: settings, the model, the state folder, another
/// process in that folder.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    if let Some(folder) = &args.out {
        // An error here is told before the work, not after it.
        report::check_writable(folder)?;
    }
    let inputs = inputs::collect(&args.paths, &mut std::io::stdin(), &args.input.options());
    inputs::tell(&inputs, out);
    let environment = Environment::load_with(globals, overrides(&args))?;
    let sections = Sections::read(&environment.settings)?;
    let troubles = Troubles::default();
    init_logging_and_collect(&logging(globals.verbose), troubles.clone())?;
    let mut finished = if inputs.documents.is_empty() {
        run::Finished::default()
    } else {
        Box::pin(run::run(&environment, sections, &args, &inputs, &troubles, out)).await?
    };
    let failure = finished.failure.take();
    // Documents that ended before a failure are shown and written all the same.
    let concluded = conclude(&environment, &args, &inputs, finished, out);
    failure.map_or(concluded, Err)
}

/// One machine, whatever the settings say for the services of a larger deployment.
fn overrides(args: &Args) -> Overrides {
    let mut overrides =
        vec![("PRECIS_LOG__KIND", "embedded".to_owned()), ("PRECIS_STORE__KIND", "directory".to_owned())];
    overrides.extend(args.model.iter().map(|name| ("PRECIS_MODEL__NAME", name.clone())));
    overrides
}

/// Warnings only, so that progress stays readable.
fn logging(verbose: u8) -> TelemetryConfig {
    let log_level = match verbose {
        0 => "error",
        1 => "info",
        _ => "debug",
    };
    TelemetryConfig { log_level: log_level.to_owned(), log_format: LogFormat::Human, listen: None }
}

/// Shows and writes the results.
fn conclude(
    environment: &Environment,
    args: &Args,
    inputs: &Inputs,
    finished: run::Finished,
    out: &Output,
) -> anyhow::Result<Exit> {
    let run::Finished { mut rows, elapsed, interrupted, .. } = finished;
    rows.extend(inputs.problems.iter().map(Row::not_read));
    let totals = Totals::of(&rows, elapsed);
    // Files are written first, and an error there is told after printing: neither costs the other.
    let written = args.out.as_ref().map(|folder| report::write_files(folder, &rows, &totals));
    if out.json() {
        for row in &rows {
            out.value(row)?;
        }
    } else {
        if args.out.is_none() {
            for row in &rows {
                out.text(report::plain_text(row));
            }
        }
        if args.out.is_some() || rows.len() > 1 {
            out.table(&report::table_of(&rows, out.width()));
        }
        out.text(&totals);
    }
    if let Some(written) = written.transpose()? {
        if written.kept > 0 {
            let (kept, folder) =
                (plural(written.kept, "better result"), written.page.parent().unwrap_or(&written.page).display());
            out.note(format_args!("{kept} of an earlier run stay in {folder}"));
        }
        out.note(format_args!("to read: {}; a JSON file for each document beside it", written.page.display()));
    }
    out.note(format_args!("outcomes, answers and the log are kept in {}", environment.state.display()));
    if interrupted && totals.waiting > 0 {
        out.note(format_args!(
            "interrupted: {} not done; summarise again to go on",
            plural(totals.waiting, "document")
        ));
    }
    Ok(if totals.all_have_summaries() { Exit::Done } else { Exit::SomeFailed })
}
