//! Summaries of documents that are longer than one request: each chunk is summarised for itself,
//! then the summaries together.
//!
//! Nothing is cut off: a document that does not fit whole is read in chunks that together are the
//! document. Each chunk and each reduction is an ordinary request, so that chunks of many documents
//! share batches. Reductions go before new chunks, since they finish documents. Summaries that
//! together are too long again are reduced in groups until one request holds them.
//!
//! All requests but the last are numbered, and the caller's [`Partials`], if there are any, keep
//! their answers. An interrupted summary that is requested again finds its partial answers there
//! and goes on where it was.

use std::sync::Arc;

use precis_base::digest::hex;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::{Engine, Shared};
use crate::error::EngineError;
use crate::models::adapters::AdapterEntry;
use crate::request::{
    Completion, FinishReason, Partial, Partials, Prompt, Request, RuleChanges, Summary, SummaryRequest,
};
use crate::text::chunk;

/// Separator of the summaries of chunks.
const SEPARATOR: &str = "\n\n";
/// Tokens kept free: texts put together can have a few more tokens than they have apart.
const MERGE_TOKENS_MARGIN: usize = 16;
/// Fewest tokens of a document that a request must have room for. With less, the chunks make no
/// sense.
const MIN_CHUNK_TOKENS: usize = 64;

impl Engine {
    /// Summarises a document of any length; see [`crate::prompt`] for prompts that work.
    ///
    /// `finish_reason` is that of the request that wrote the text. It is `length` when the model
    /// wrote nothing at all for a chunk, since then something of the document is missing.
    pub async fn summarise(&self, request: SummaryRequest) -> Result<Summary, EngineError> {
        let cancel = request.cancel.clone();
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(EngineError::Cancelled),
            result = self.map_reduce(request) => {
                self.shared.counters.document(result.is_ok());
                result
            }
        }
    }

    async fn map_reduce(&self, request: SummaryRequest) -> Result<Summary, EngineError> {
        let SummaryRequest {
            prompts,
            document,
            max_new_tokens,
            max_parts,
            one_paragraph,
            priority,
            adapter,
            rules,
            part_rules,
            text_of,
            partials,
            ..
        } = request;
        let common = CommonOptions {
            system: prompts.system.clone(),
            max_new_tokens,
            one_paragraph,
            priority,
            adapter,
            rules: part_rules,
            source: None,
            text_of,
            partials,
        };
        let rooms = prompts.clone();
        let (document, chunks) = self
            .off_thread(document.len(), move |shared| {
                let room = shared.room(&rooms.whole, rooms.system.as_deref(), max_new_tokens)?;
                if shared.tokens(&document)? <= room {
                    return Ok((document, Vec::new()));
                }
                let room = shared.room(&rooms.map, rooms.system.as_deref(), max_new_tokens)?;
                let chunks = chunk::split(&document, room, &|text: &str| shared.tokens(text))?;
                Ok((document, chunks))
            })
            .await?;
        if chunks.is_empty() {
            let completion = self.submit(common.last(&prompts.whole, document, rules)).await?;
            return Ok(Totals::default().summary(completion, 1));
        }

        let count = chunks.len();
        if let Some(max_parts) = max_parts.filter(|max_parts| count > *max_parts) {
            return Err(EngineError::TooManyParts { parts: count, max_parts });
        }
        let mut totals = Totals::default();
        let mut texts = self.each(&common, &prompts.map, chunks, &mut totals).await?;
        let source = Some(document.into());
        let common = CommonOptions { priority: priority.saturating_add(1), source, ..common };
        loop {
            let groups = self.groups(&prompts.reduce, &common, texts).await?;
            if let [last] = groups.as_slice() {
                let completion = self.submit(common.last(&prompts.reduce, last.clone(), rules)).await?;
                return Ok(totals.summary(completion, count));
            }
            texts = self.each(&common, &prompts.reduce, groups, &mut totals).await?;
        }
    }

    /// The answers to one prompt about several texts, in order. Dropping the future cancels all of
    /// them.
    async fn each(
        &self,
        common: &CommonOptions,
        prompt: &Prompt,
        texts: Vec<String>,
        totals: &mut Totals,
    ) -> Result<Vec<String>, EngineError> {
        let mut answers = vec![String::new(); texts.len()];
        let mut tasks = JoinSet::new();
        for (index, text) in texts.into_iter().enumerate() {
            let (engine, request, partials) = (self.clone(), common.about(prompt, text), common.partials.clone());
            let number = u32::try_from(totals.requests + index).unwrap_or(u32::MAX);
            tasks.spawn(async move { (index, engine.partial_answer(number, request, partials.as_deref()).await) });
        }
        totals.requests += answers.len();
        while let Some(done) = tasks.join_next().await {
            let (index, result) = done.map_err(|error| EngineError::Stopped {
                reason: format!("the request for a chunk was lost: {error}"),
            })?;
            let mut partial = result?;
            if let Some(text_of) = common.text_of {
                let text = text_of(&partial.text).to_owned();
                partial.text = text;
            }
            totals.add(&partial);
            answers[index] = partial.text;
        }
        Ok(answers)
    }

    /// The partial answer kept under this number, if it answers this request; else a new one, which
    /// is then kept.
    async fn partial_answer(
        &self,
        number: u32,
        request: Request,
        partials: Option<&dyn Partials>,
    ) -> Result<Partial, EngineError> {
        let asked = fingerprint(&request);
        if let Some(partials) = partials
            && let Some(partial) = partials.get(number).await
            && partial.asked == asked
        {
            return Ok(partial);
        }
        let Completion { text, finish_reason, input_tokens, output_tokens, .. } = self.submit(request).await?;
        let partial = Partial { asked, text, finish_reason, input_tokens, output_tokens };
        if let Some(partials) = partials {
            partials.put(number, &partial).await;
        }
        Ok(partial)
    }

    /// Puts summaries together into as few texts as requests can hold. It is an error if there are
    /// not fewer texts than before.
    async fn groups(
        &self,
        prompt: &Prompt,
        common: &CommonOptions,
        texts: Vec<String>,
    ) -> Result<Vec<String>, EngineError> {
        let (prompt, system, max_new_tokens) = (prompt.clone(), common.system.clone(), common.max_new_tokens);
        let bytes = texts.iter().map(String::len).sum();
        self.off_thread(bytes, move |shared| {
            let room = shared.room(&prompt, system.as_deref(), max_new_tokens)?;
            let before = texts.len();
            let mut groups: Vec<(String, usize)> = Vec::new();
            for text in texts {
                let size = shared.tokens(&text)? + shared.tokens(SEPARATOR)?;
                match groups.last_mut() {
                    Some((group, filled)) if *filled + size <= room => {
                        group.push_str(SEPARATOR);
                        group.push_str(&text);
                        *filled += size;
                    }
                    _ => groups.push((text, size)),
                }
            }
            if groups.len() > 1 && groups.len() >= before {
                return Err(EngineError::InvalidRequest {
                    reason: format!(
                        "summaries of {max_new_tokens} tokens cannot be put together in requests with room for {room}: common for shorter ones"
                    ),
                });
            }
            Ok(groups.into_iter().map(|(group, _)| group).collect())
        })
        .await
    }
}

/// The options that all requests of a summary have in common, but for the rules of the last one.
struct CommonOptions {
    system: Option<String>,
    max_new_tokens: usize,
    one_paragraph: bool,
    priority: i32,
    adapter: Option<Arc<AdapterEntry>>,
    rules: RuleChanges,
    source: Option<Arc<str>>,
    text_of: Option<fn(&str) -> &str>,
    partials: Option<Arc<dyn Partials>>,
}

impl CommonOptions {
    fn about(&self, prompt: &Prompt, document: String) -> Request {
        Request {
            system: self.system.clone(),
            before: prompt.before.clone(),
            document,
            after: prompt.after.clone(),
            max_new_tokens: self.max_new_tokens,
            one_paragraph: self.one_paragraph,
            priority: self.priority,
            adapter: self.adapter.clone(),
            rules: self.rules,
            source: self.source.clone(),
            ..Request::default()
        }
    }

    /// The request that writes the summary.
    fn last(&self, prompt: &Prompt, document: String, rules: RuleChanges) -> Request {
        Request { rules, ..self.about(prompt, document) }
    }
}

/// SHA-256 (hex) over everything that a request asks. Each text goes in with its length, so no two
/// requests read the same.
pub(super) fn fingerprint(request: &Request) -> String {
    let Request { system, before, document, after, max_new_tokens, one_paragraph, .. } = request;
    let mut hash = Sha256::new();
    hash.update(format!("{} {max_new_tokens} {one_paragraph}", system.is_some()));
    for text in [system.as_deref().unwrap_or_default(), before, document, after] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    if let Some(adapter) = &request.adapter {
        hash.update(&adapter.sha256);
    }
    if request.rules != RuleChanges::default() {
        hash.update(format!("{:?}", request.rules));
    }
    hex(&hash.finalize())
}

/// Totals of the requests before the last one.
#[derive(Debug, Default)]
struct Totals {
    /// The number of requests.
    requests: usize,
    input_tokens: usize,
    output_tokens: usize,
    cut_chunks: usize,
    chunk_missing: bool,
}

impl Totals {
    fn add(&mut self, partial: &Partial) {
        self.input_tokens += partial.input_tokens;
        self.output_tokens += partial.output_tokens;
        self.chunk_missing |= partial.text.is_empty();
        self.cut_chunks += usize::from(partial.finish_reason != FinishReason::Stop || partial.text.is_empty());
    }

    fn summary(self, last: Completion, chunks: usize) -> Summary {
        Summary {
            text: last.text,
            finish_reason: if self.chunk_missing { FinishReason::Length } else { last.finish_reason },
            input_tokens: self.input_tokens + last.input_tokens,
            output_tokens: self.output_tokens + last.output_tokens,
            chunks,
            cut_chunks: self.cut_chunks,
            logprob_quantiles: last.logprob_quantiles,
            logprob_mean: last.logprob_mean,
        }
    }
}

impl Shared {
    /// Tokens of a text of any length; of a very long one, of its parts.
    pub(super) fn tokens(&self, text: &str) -> Result<usize, EngineError> {
        chunk::measured(text, &|part: &str| self.tokenizer.encode_text(part).map(|ids| ids.len()))
    }

    /// Tokens of a document that fit into one request with this prompt.
    pub(super) fn room(
        &self,
        prompt: &Prompt,
        system: Option<&str>,
        max_new_tokens: usize,
    ) -> Result<usize, EngineError> {
        let around = self.template.prompt(&self.tokenizer, system, &format!("{}{}", prompt.before, prompt.after))?;
        let taken = around.len() + max_new_tokens + MERGE_TOKENS_MARGIN;
        let limit_tokens = self.info.limit_tokens;
        if taken + MIN_CHUNK_TOKENS > limit_tokens {
            let prompt_tokens = around.len() + MIN_CHUNK_TOKENS;
            return Err(EngineError::PromptTooLong { prompt_tokens, max_new_tokens, limit_tokens });
        }
        let room = limit_tokens - taken;
        Ok(if self.window_tokens == 0 { room } else { room.min(self.window_tokens) })
    }
}
