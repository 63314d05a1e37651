//! The prompts of a measurement: the user's documents or prompts, or a text that every build has.

use std::io;

use anyhow::Context as _;
use precis_gpu_worker::ModelSettings;
use precis_inference::{EngineConfig, Request, bench};
use precis_pipeline::prompt::Prompt;
use precis_schemas::Document;

use super::{Args, start};
use crate::inputs::{self, ReadOptions};
use crate::output::Output;

/// Real prose of some length that every build has: the licence.
const OWN_TEXT: &str = include_str!("../../../../../LICENSE");
/// Documents made of it, and their characters: about 1,200 tokens, as papers' abstract,
/// introduction and conclusion have.
const OWN_DOCUMENTS: usize = 8;
const OWN_CHARACTERS: usize = 5600;

/// The prompts that `args` name; `None` when an input could not be used, which was told.
pub(super) async fn read(
    args: &Args,
    model: &ModelSettings,
    config: &EngineConfig,
    out: &Output,
) -> anyhow::Result<Option<Vec<Vec<u32>>>> {
    if let Some(path) = &args.prompts {
        let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let prompts = bench::parse(&text).map_err(|problem| anyhow::anyhow!("{}: {problem}", path.display()))?;
        anyhow::ensure!(!prompts.is_empty(), "{} holds no prompt", path.display());
        return Ok(Some(prompts));
    }
    let texts = if args.documents.is_empty() {
        own_documents()
    } else {
        let found = inputs::collect(&args.documents, &mut io::stdin(), &ReadOptions::default());
        inputs::tell(&found, out);
        if !found.problems.is_empty() {
            return Ok(None);
        }
        found.documents.into_iter().map(|document| document.text).collect()
    };
    // The tokenizer comes with an engine; the smallest does.
    let small = EngineConfig { kv_tokens: 64, max_sequences: 1, step_tokens: 1, ..config.clone() };
    let engine = start(model, small, out).await?;
    let mut prompts = Vec::with_capacity(texts.len());
    for text in texts {
        prompts.push(engine.prompt_tokens(request(text)).await?);
    }
    engine.shutdown().await;
    Ok(Some(prompts))
}

/// The request that a worker makes of a document that it reads whole.
fn request(document: String) -> Request {
    let prompt = Prompt::for_document(&Document::default(), None);
    let after = format!("\n\n{}", prompt.whole);
    Request { system: Some(prompt.system), document, after, ..Request::default() }
}

fn own_documents() -> Vec<String> {
    let characters: Vec<char> = OWN_TEXT.chars().collect();
    let stride = characters.len() / OWN_DOCUMENTS;
    let stretch = |index: usize| characters.iter().cycle().skip(index * stride).take(OWN_CHARACTERS).collect();
    (0..OWN_DOCUMENTS).map(stretch).collect()
}
