//! `precis submit`: publishes documents for services that run elsewhere, as any Kafka client may.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use precis_flow::{Output as Record, Position};
use precis_objects::{ObjectStore, claim_check};
use precis_pipeline::{now_ms, topics};
use precis_schemas::Document;
use serde::Serialize;

use crate::cli::Globals;
use crate::documents::{self, RequestOptions};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::inputs::{self, Input, Kind, ReadOptions};
use crate::output::Output;
use crate::report;

const EXAMPLES: &str = "\
Examples:
  precis submit letters/ --max-words 60
  precis submit contracts.jsonl --tenant legal --type contract --sensitivity confidential
  pdftotext report.pdf - | precis submit - --json

Ids: a line of JSON Lines may state its own `id`; otherwise the id is the file's name and a digest of text and options, so \
that submitting the same again is the same document, settled once.";

/// Bytes of text up to which it travels inside the message; a larger one goes to the store first. A
/// record may have 1 MiB, ids and headers included.
const INLINE_BYTES: usize = 768 * 1024;
/// Records published at once.
const BATCH: usize = 64;

/// Publish documents for running services
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Files, folders, or `-` for stdin
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What `-` holds
    #[arg(long, value_enum, default_value_t = Kind::Text, value_name = "KIND")]
    stdin: Kind,
    /// Field with the text in JSON Lines
    #[arg(long, default_value = "text", value_name = "NAME")]
    text_field: String,
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
    ensure!(
        topics::is_valid_name(&args.tenant),
        "{:?} is no tenant name; use 1 to 64 of a-z, 0-9, - and _",
        args.tenant
    );
    let environment = Environment::load(globals)?;
    let options = ReadOptions { text_field: args.text_field.clone(), stdin: args.stdin, ..ReadOptions::default() };
    let inputs = inputs::collect(&args.paths, &mut std::io::stdin(), &options);
    inputs::tell(&inputs, out);
    let log = environment.log_for(std::slice::from_ref(&args.tenant)).await?;
    let mut store = None;
    for batch in inputs.documents.chunks(BATCH) {
        let mut records = Vec::with_capacity(batch.len());
        let mut documents = Vec::with_capacity(batch.len());
        for input in batch {
            let mut document = document(input, &args);
            if document.text.as_ref().is_some_and(|text| text.len() > INLINE_BYTES) {
                let store = match &store {
                    Some(store) => store,
                    None => store.insert(environment.store().await?),
                };
                check_in(&mut document, &args.tenant, &**store).await?;
            }
            records.push(record(&args.tenant, &document)?);
            documents.push((input, document));
        }
        let positions = log.publish(records).await.context("the documents were not published")?;
        for ((input, document), position) in documents.iter().zip(&positions) {
            tell(input, document, &args.tenant, position, out)?;
        }
    }
    if !out.json() {
        out.note(format_args!(
            "{} published to {}",
            report::plural(inputs.documents.len(), "document"),
            log.describe()
        ));
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

/// The record that any Kafka client would write.
///
/// # Errors
/// The codec's.
pub(crate) fn record(tenant: &str, document: &Document) -> anyhow::Result<Record> {
    Ok(Record::to(topics::documents(tenant)).key(document.document_id.as_bytes()).record(document)?)
}

/// Moves the text of a document into the store, if it is too long for a message.
///
/// # Errors
/// The store's.
pub(crate) async fn check_in(document: &mut Document, tenant: &str, store: &dyn ObjectStore) -> anyhow::Result<()> {
    if let Some(text) = document.text.take_if(|text| text.len() > INLINE_BYTES) {
        let body =
            claim_check::put_body(store, tenant, &document.document_id, document.revision, text.into_bytes()).await;
        document.body = Some(body.context("a large text could not be stored")?);
    }
    Ok(())
}
