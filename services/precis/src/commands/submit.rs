//! `precis submit`: publishes documents for services that run elsewhere, as any Kafka client can.

use std::path::PathBuf;

use precis_flow::Position;
use precis_pipeline::now_ms;
use precis_schemas::Document;
use serde::Serialize;

use crate::documents::{self, RequestOptions};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::globals::Globals;
use crate::inputs::{self, Input, TextInput};
use crate::operations::publish::{BATCH_DOCUMENTS, Publisher};
use crate::operations::topics::check_tenant;
use crate::output::Output;
use crate::output::words::plural;

const EXAMPLES: &str = "\
Examples:
  precis submit letters/ --max-words 60
  precis submit contracts.jsonl --tenant legal --type contract --sensitivity confidential
  pdftotext report.pdf - | precis submit - --json

Ids: a line of JSON Lines may state its own `id`; otherwise the id is the file's name and a digest of text and options, so \
that submitting the same again is the same document, settled once.";

/// Publish documents for running services
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Files, folders, or `-` for stdin
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    input: TextInput,
    #[command(flatten)]
    request: RequestOptions,
    /// Whose documents these are
    #[arg(long, default_value = "local", value_name = "NAME")]
    tenant: String,
    /// Revision of documents that state their ids; a changed text needs a higher one
    #[arg(long, default_value_t = 0, value_name = "N")]
    revision: i64,
    /// Region that the texts must not leave, such as eu
    #[arg(long, value_name = "REGION")]
    residency: Option<String>,
    /// Higher is served first
    #[arg(long, default_value_t = 0, allow_hyphen_values = true, value_name = "N")]
    priority: i32,
    /// The summaries feed critical decisions: they are reviewed more often
    #[arg(long)]
    critical: bool,
}

#[derive(Serialize)]
struct Published<'a> {
    document: &'a str,
    document_id: &'a str,
    revision: i64,
    tenant: &'a str,
    position: String,
}

/// Runs the command.
///
/// # Errors
/// The log's and the store's.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    check_tenant(&args.tenant)?;
    let environment = Environment::load(globals)?;
    let inputs = inputs::collect(&args.paths, &mut std::io::stdin(), &args.input.options());
    inputs::tell(&inputs, out);
    let log = environment.log_for(std::slice::from_ref(&args.tenant)).await?;
    let mut publisher = Publisher::new(&environment, &*log, &args.tenant, None);
    for batch in inputs.documents.chunks(BATCH_DOCUMENTS) {
        let mut documents: Vec<Document> = batch.iter().map(|input| document(input, &args)).collect();
        let positions = publisher.publish(&mut documents).await?;
        for ((input, document), position) in batch.iter().zip(&documents).zip(&positions) {
            tell(input, document, &args.tenant, position, out)?;
        }
    }
    if !out.json() {
        out.note(format_args!("{} published to {}", plural(inputs.documents.len(), "document"), log.describe()));
    }
    Ok(if inputs.problems.is_empty() { Exit::Done } else { Exit::SomeFailed })
}

fn document(input: &Input, args: &Args) -> Document {
    let mut document = documents::document(input, &args.request, &[], now_ms());
    document.residency.clone_from(&args.residency);
    document.priority = args.priority;
    document.critical = args.critical;
    match &input.stated_id {
        Some(id) => {
            document.document_id.clone_from(id);
            document.revision = args.revision;
        }
        None => documents::derive_id(&mut document, &input.stem, &[]),
    }
    document
}

fn tell(input: &Input, document: &Document, tenant: &str, position: &Position, out: &Output) -> anyhow::Result<()> {
    if out.json() {
        out.value(&Published {
            document: &input.name,
            document_id: &document.document_id,
            revision: document.revision,
            tenant,
            position: position.to_string(),
        })?;
    } else {
        out.line(&document.document_id);
    }
    Ok(())
}
