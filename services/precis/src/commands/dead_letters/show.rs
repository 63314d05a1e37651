//! `precis dead-letters show`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use precis_schemas::{Document, RoutedDocument, codec};
use serde::Serialize;
use serde_json::{Value, json};

use super::read::{Letter, letters};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::operations::dead_letters::record_value;
use crate::output::Output;
use crate::report;

#[derive(Serialize)]
struct HeaderView {
    name: String,
    value: String,
}

pub(super) async fn run(
    environment: &Environment,
    id: &str,
    value_to: Option<&Path>,
    out: &Output,
) -> anyhow::Result<Exit> {
    let log = environment.log().await?;
    let letters = letters(&log).await?;
    letters.skipped.tell(out);
    let found: Vec<&Letter> = letters.of_id(id).collect();
    if found.is_empty() {
        bail!("no dead letter has the id {id}; `precis dead-letters list` shows them");
    }
    if found.len() > 1 {
        out.note(format_args!("{} dead letters have this id and say different things of one record", found.len()));
        if value_to.is_some() {
            bail!("which of their bytes to write cannot be told; leave --value-to out");
        }
    }
    for letter in found {
        show(environment, letter, value_to, out).await?;
    }
    if let Some(path) = value_to {
        out.note(format_args!("its bytes are in {}", path.display()));
    }
    Ok(Exit::Done)
}

async fn show(environment: &Environment, found: &Letter, value_to: Option<&Path>, out: &Output) -> anyhow::Result<()> {
    let letter = &found.letter;
    let value = match value_to {
        Some(path) => {
            let store = environment.store().await?;
            let value = record_value(letter, &*store).await?.unwrap_or_default();
            fs::write(path, &value).with_context(|| format!("{} cannot be written", path.display()))?;
            Some(value)
        }
        None => letter.value.clone(),
    };
    let headers: Vec<HeaderView> = letter
        .headers
        .iter()
        .map(|header| HeaderView {
            name: header.name.clone(),
            value: String::from_utf8_lossy(&header.value).into_owned(),
        })
        .collect();
    let size = value.as_ref().map(Vec::len).or(letter.value_ref.as_ref().map(|body| body.size_bytes as usize));
    let view = json!({
        "id": letter.id,
        "stage": letter.stage,
        "code": letter.code,
        "message": letter.message,
        "tenant": letter.tenant,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "attempts": letter.attempts,
        "failed_at": report::utc(letter.failed_at),
        "key": letter.key.as_deref().map(String::from_utf8_lossy),
        "value_bytes": size,
        "value_key": letter.value_ref.as_ref().map(|body| &body.key),
        "record": value.as_deref().map_or_else(|| "none".to_owned(), what_it_is),
        "headers": headers,
        "replayed_at": found.action.as_ref().map(|action| report::utc(action.at)),
        "replayed_by": found.action.as_ref().map(|action| &action.by),
        "replay_reason": found.action.as_ref().map(|action| &action.reason),
    });
    if out.json() {
        out.value(&view)?;
        return Ok(());
    }
    for (name, value) in view.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::String(text) => out.line(format_args!("{name:14} {text}")),
            Value::Array(_) => {
                for header in &headers {
                    out.line(format_args!("{:14} {}: {}", "header", header.name, header.value));
                }
            }
            other => out.line(format_args!("{name:14} {other}")),
        }
    }
    Ok(())
}

/// What the bytes decode to, without showing a document's text.
fn what_it_is(value: &[u8]) -> String {
    if let Ok(document) = codec::decode::<Document>(value) {
        return format!("document {} revision {}", document.document_id, document.revision);
    }
    match codec::decode::<RoutedDocument>(value) {
        Ok(routed) => format!("routed document {} revision {}", routed.document_id, routed.revision),
        Err(error) => format!("undecodable: {error}"),
    }
}
