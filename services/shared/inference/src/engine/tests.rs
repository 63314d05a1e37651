#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{Engine, EngineStats};
use crate::config::{DeviceKind, EngineConfig};
use crate::engine::fake;
use crate::error::EngineError;
use crate::request::{FinishReason, Partial, Partials, Prompt, Prompts, Request, RuleChanges, Summary, SummaryRequest};
use crate::testing;
use crate::testing::quantised::{File, Types};
use crate::text::chunk;

mod adapters;

fn request(document: &str, max_new_tokens: usize) -> Request {
    Request { document: document.into(), max_new_tokens, ..Request::default() }
}

#[tokio::test]
async fn a_request_is_answered_and_counted() {
    let engine = fake::engine(256, 0);
    let completion = engine.submit(request("some text", 40)).await.unwrap();
    let prompt = engine.shared.template.prompt(&engine.shared.tokenizer, None, "some text").unwrap();
    let answer = fake::answer(&prompt, 40);
    assert_eq!(completion.input_tokens, prompt.len());
    assert_eq!(completion.output_tokens, answer.len());
    let text = answer.strip_suffix(&[fake::END]).unwrap_or(&answer);
    assert_eq!(completion.text, engine.shared.tokenizer.detokeniser().text(text));
    let stats = engine.stats();
    assert_eq!((stats.prefill_tokens, stats.decode_tokens), (prompt.len() as u64, answer.len() as u64 - 1));
    assert_eq!((stats.running, stats.waiting, stats.kv_blocks_used, stats.finished), (0, 0, 0, 1));
}

#[tokio::test]
async fn a_prompt_that_can_never_fit_is_refused_with_the_numbers() {
    let engine = fake::engine(256, 0);
    let prompt_tokens = engine.submit(request(&"x".repeat(100), 1)).await.unwrap().input_tokens + 100;
    let error = engine.submit(request(&"x".repeat(200), 60)).await.unwrap_err();
    assert!(
        matches!(error, EngineError::PromptTooLong { prompt_tokens: found, max_new_tokens: 60, limit_tokens: 256 } if found == prompt_tokens),
        "{error}"
    );
    assert_eq!(engine.submit(request("x", 0)).await.unwrap_err().code(), "invalid_request");
}

#[tokio::test]
async fn a_dropped_request_frees_everything() {
    let engine = fake::engine(4096, 0);
    let mut long = Box::pin(engine.submit(request(&"~".repeat(2000), 2000)));
    let mut served = 0;
    // Until the long one has arrived; it takes far more steps than a short one.
    while engine.stats().running == 0 {
        tokio::select! {
            biased;
            result = &mut long => panic!("it cannot be done yet: {result:?}"),
            result = engine.submit(request("x", 3)) => result.unwrap(),
        };
        served += 1;
    }
    drop(long);
    engine.submit(request("z", 3)).await.unwrap();
    let EngineStats { running, waiting, kv_blocks_used, finished, cancelled, .. } = engine.stats();
    assert_eq!((running, waiting, kv_blocks_used, finished, cancelled), (0, 0, 0, served + 1, 1));
    assert_eq!(engine.shared.queue.available_permits(), engine.shared.queue_tokens);
}

#[tokio::test]
async fn a_token_cancels_a_request_and_a_summary() {
    let engine = fake::engine(256, 64);
    let request = request("some text", 10);
    request.cancel.cancel();
    assert_eq!(engine.submit(request).await.unwrap_err().code(), "cancelled");
    let summary = summary_request(1000, 10);
    summary.cancel.cancel();
    assert_eq!(engine.summarise(summary).await.unwrap_err().code(), "cancelled");
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait_and_all_are_served() {
    let engine = fake::engine_with(256, 0, 100);
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..20 {
        let engine = engine.clone();
        tasks.spawn(async move { engine.submit(request(&format!("text {index}"), 30)).await.is_ok() });
    }
    assert!(tasks.join_all().await.into_iter().all(|served| served));
    assert_eq!(engine.shared.queue.available_permits(), 100);
}

#[tokio::test]
async fn after_shutdown_requests_are_told_so() {
    let engine = fake::engine(256, 0);
    engine.shutdown().await;
    assert_eq!(engine.submit(request("x", 3)).await.unwrap_err().code(), "engine_stopped");
}

fn summary_request(words: usize, max_new_tokens: usize) -> SummaryRequest {
    let prompt = |name: &str| Prompt { before: format!("{name}: "), after: String::new() };
    SummaryRequest {
        prompts: Prompts { system: Some("brief".into()), whole: prompt("w"), map: prompt("m"), reduce: prompt("r") },
        document: (0..words).map(|word| format!("w{word}. ")).collect(),
        max_new_tokens,
        ..SummaryRequest::default()
    }
}

async fn summarise(engine: &Engine, words: usize, max_new_tokens: usize) -> Result<Summary, EngineError> {
    engine.summarise(summary_request(words, max_new_tokens)).await
}

#[tokio::test]
async fn a_document_that_fits_is_read_whole() {
    let summary = summarise(&fake::engine(256, 0), 20, 20).await.unwrap();
    assert_eq!(summary.chunks, 1);
}

#[tokio::test]
async fn a_longer_document_is_read_in_parts_and_to_the_end() {
    let engine = fake::engine(256, 0);
    let request = summary_request(1500, 20);
    let tokens = engine.count_tokens(&request.document).unwrap();
    let summary = engine.summarise(request).await.unwrap();
    assert!(summary.chunks >= tokens / 256, "{} chunks of {tokens} tokens", summary.chunks);
    assert!(summary.input_tokens > tokens, "every token of the document was read");
    let requests = engine.stats().finished as usize;
    assert!(requests > summary.chunks + 1, "{requests} requests: one a part, and more than one level of reduction");
    assert!(!summary.text.is_empty());
}

/// Refused before any part is read: a document must not keep the engine busy for hours.
#[tokio::test]
async fn a_document_of_more_parts_than_allowed_is_refused() {
    let engine = fake::engine(256, 0);
    let parts = engine.summarise(summary_request(1500, 20)).await.unwrap().chunks;
    let before = engine.stats().finished;
    let request = SummaryRequest { max_parts: Some(parts - 1), ..summary_request(1500, 20) };
    let error = engine.summarise(request).await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("text_too_many_parts", crate::ErrorClass::Reject));
    assert!(error.to_string().contains(&format!("{parts} parts, {} are allowed", parts - 1)), "{error}");
    assert_eq!(engine.stats().finished, before, "nothing was read");
    let request = SummaryRequest { max_parts: Some(parts), ..summary_request(1500, 20) };
    assert_eq!(engine.summarise(request).await.unwrap().chunks, parts);
}

#[tokio::test]
async fn the_last_request_reads_all_summaries_in_order() {
    let engine = fake::engine(256, 0);
    let request = summary_request(100, 20);
    let Prompts { system, map, reduce, .. } = request.prompts.clone();
    let shared = &engine.shared;
    let room = shared.room(&map, system.as_deref(), 20).unwrap();
    let chunks = chunk::split(&request.document, room, &|text: &str| shared.tokens(text)).unwrap();
    assert!(chunks.len() > 1);
    let ask = |prompt: &Prompt, document: String| Request {
        system: system.clone(),
        before: prompt.before.clone(),
        document,
        max_new_tokens: 20,
        ..Request::default()
    };
    let mut notes = Vec::new();
    for chunk in &chunks {
        notes.push(engine.submit(ask(&map, chunk.clone())).await.unwrap().text);
    }
    let expected = engine.submit(ask(&reduce, notes.join("\n\n"))).await.unwrap();
    let summary = engine.summarise(request).await.unwrap();
    assert_eq!(summary.text, expected.text);
    assert_eq!(summary.chunks, chunks.len());
}

/// Only the text of an answer goes into the next request, so that a model's reasoning about a chunk
/// is not summarised.
#[tokio::test]
async fn the_last_request_reads_the_text_of_answers_alone() {
    let text_of: fn(&str) -> &str = |answer| answer.split_whitespace().next().unwrap_or_default();
    let request = SummaryRequest { text_of: Some(text_of), ..summary_request(100, 20) };
    let (map, reduce) = (request.prompts.map.clone(), request.prompts.reduce.clone());
    let engine = fake::engine(256, 0);
    let shared = &engine.shared;
    let chunks = chunk::split(&request.document, shared.room(&map, Some("brief"), 20).unwrap(), &|text: &str| {
        shared.tokens(text)
    });
    let ask = |prompt: &Prompt, document: String| Request {
        system: Some("brief".into()),
        before: prompt.before.clone(),
        document,
        max_new_tokens: 20,
        ..Request::default()
    };
    let mut notes = Vec::new();
    for chunk in chunks.unwrap() {
        notes.push(text_of(&engine.submit(ask(&map, chunk)).await.unwrap().text).to_owned());
    }
    let expected = engine.submit(ask(&reduce, notes.join("\n\n"))).await.unwrap();
    assert_eq!(engine.summarise(request).await.unwrap().text, expected.text);
}

/// Keeps partial answers in memory, and cancels the request when a given number is kept.
#[derive(Debug, Default)]
struct Kept {
    chunks: Mutex<BTreeMap<u32, Partial>>,
    interrupt: Option<(usize, CancellationToken)>,
}

#[async_trait]
impl Partials for Kept {
    async fn get(&self, number: u32) -> Option<Partial> {
        self.chunks.lock().unwrap().get(&number).cloned()
    }

    async fn put(&self, number: u32, partial: &Partial) {
        let mut chunks = self.chunks.lock().unwrap();
        assert!(chunks.insert(number, partial.clone()).is_none_or(|former| former.asked != partial.asked));
        if let Some((count, cancel)) = &self.interrupt
            && chunks.len() == *count
        {
            cancel.cancel();
        }
    }
}

#[tokio::test]
async fn an_interrupted_summary_goes_on_where_it_was() {
    let engine = fake::engine(256, 0);
    let whole = summarise(&engine, 1500, 20).await.unwrap();
    let requests = engine.stats().finished;
    assert!(whole.chunks > 3 && requests as usize > whole.chunks + 1, "several levels: {requests} requests");
    for count in [1, 2, whole.chunks, requests as usize - 1] {
        let request = summary_request(1500, 20);
        let kept = Kept { interrupt: Some((count, request.cancel.clone())), ..Kept::default() };
        let kept = Arc::new(kept);
        let request = SummaryRequest { partials: Some(kept.clone()), ..request };
        assert_eq!(fake::engine(256, 0).summarise(request).await.unwrap_err().code(), "cancelled");
        let found = kept.chunks.lock().unwrap().len() as u64;
        assert!(found >= count as u64);

        let engine = fake::engine(256, 0);
        let request = SummaryRequest { partials: Some(kept.clone()), ..summary_request(1500, 20) };
        assert_eq!(engine.summarise(request).await.unwrap(), whole);
        assert_eq!(engine.stats().finished, requests - found, "only the rest was generated");
        assert_eq!(kept.chunks.lock().unwrap().len() as u64, requests - 1, "all but the last are kept");
    }
}

#[tokio::test]
async fn parts_that_were_asked_for_otherwise_are_not_taken() {
    let kept = Arc::new(Kept::default());
    let about =
        |max_new_tokens: usize| SummaryRequest { partials: Some(kept.clone()), ..summary_request(400, max_new_tokens) };
    fake::engine(256, 0).summarise(about(20)).await.unwrap();
    let engine = fake::engine(256, 0);
    let summary = engine.summarise(about(15)).await.unwrap();
    let (fresh, used) = (fake::engine(256, 0), engine.stats().finished);
    assert_eq!(summary, summarise(&fresh, 400, 15).await.unwrap());
    assert_eq!(used, fresh.stats().finished);
}

/// A second try reads no chunk again: only what writes the summary has other rules.
#[tokio::test]
async fn a_summary_by_other_rules_takes_the_same_parts() {
    let kept = Arc::new(Kept::default());
    let request = || SummaryRequest { partials: Some(kept.clone()), ..summary_request(1500, 20) };
    let first = fake::engine(256, 0).summarise(request()).await.unwrap();
    let engine = fake::engine(256, 0);
    let rules = RuleChanges { names_from_source: Some(true), ..RuleChanges::default() };
    let second = engine.summarise(SummaryRequest { rules, ..request() }).await.unwrap();
    assert_eq!((engine.stats().finished, second.chunks), (1, first.chunks));
    // Rules for the parts are rules for other parts.
    let engine = fake::engine(256, 0);
    engine.summarise(SummaryRequest { part_rules: rules, ..request() }).await.unwrap();
    assert!(engine.stats().finished > 1);
}

/// On a model of random weights, which repeats itself where it may.
#[tokio::test]
async fn the_rules_of_a_request_reach_the_answer() {
    let model = File::new(Types::q4_k_m());
    let config = EngineConfig { device: DeviceKind::Cpu, kv_tokens: 2048, ..EngineConfig::default() };
    let engine = Engine::start(&model.entry, model.file.path(), config).unwrap();
    let rules = RuleChanges { no_repeat_tokens: Some(3), ..RuleChanges::default() };
    let free = RuleChanges { no_repeat_tokens: Some(0), ..RuleChanges::default() };
    for (words, chunks) in [(20, false), (400, true)] {
        let about =
            |rules, part_rules| engine.summarise(SummaryRequest { rules, part_rules, ..summary_request(words, 60) });
        let (plain, last) = (about(free, free).await.unwrap(), about(rules, free).await.unwrap());
        assert_eq!(plain.chunks > 1, chunks);
        assert_ne!(plain.text, last.text, "{words} words");
    }
}

#[tokio::test]
async fn parts_of_a_document_share_what_stands_before_them() {
    let engine = fake::engine(256, 0);
    let request = summary_request(400, 20);
    let (prompt, common) = engine
        .shared
        .prompt(&Request {
            system: request.prompts.system.clone(),
            before: request.prompts.map.before.clone(),
            document: request.document[..100].to_owned(),
            ..Request::default()
        })
        .unwrap();
    assert_eq!(engine.shared.tokenizer.detokeniser().text(&prompt[..common]), "[brief][m: ");
    let summary = engine.summarise(request).await.unwrap();
    let stats = engine.stats();
    assert!(stats.prefix_hits >= summary.chunks as u64 / 2, "{stats:?} of {} chunks", summary.chunks);
    assert_eq!(stats.prefill_tokens + stats.shared_tokens, summary.input_tokens as u64);
    assert_eq!(stats.documents, 1);
}

#[tokio::test]
async fn the_window_cuts_earlier_than_the_context() {
    let engine = fake::engine(4096, 128);
    assert!(summarise(&engine, 100, 20).await.unwrap().chunks > 1);
}

/// Summaries that are too long to be reduced are an error, not an endless loop.
#[tokio::test]
async fn summaries_that_never_fit_together_are_an_error() {
    let error = summarise(&fake::engine(256, 64), 300, 60).await.unwrap_err();
    assert_eq!(error.code(), "invalid_request", "{error}");
    let error = summarise(&fake::engine(256, 0), 300, 250).await.unwrap_err();
    assert_eq!(error.code(), "prompt_too_long", "{error}");
}

#[test]
fn a_file_that_is_no_model_is_refused_by_name() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"GGUF, but not really").unwrap();
    let mut entry = crate::models::Manifest::builtin().models.remove(0);
    let unknown = Engine::start(&entry, file.path(), EngineConfig::default()).unwrap_err();
    assert_eq!(unknown.code(), "digest_mismatch", "{unknown}");
    entry.sha256 = precis_base::digest::sha256_hex(b"GGUF, but not really");
    let error = Engine::start(&entry, file.path(), EngineConfig::default()).unwrap_err();
    assert_eq!(error.code(), "bad_model");
    assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
}

#[test]
fn settings_that_contradict_each_other_are_refused_all_at_once() {
    let config = EngineConfig { max_sequences: 0, kv_tokens: 1, repetition_penalty: 0.5, ..EngineConfig::default() };
    assert_eq!(config.problems().len(), 3);
    let entry = crate::models::Manifest::builtin().models.remove(0);
    let error = Engine::start(&entry, std::path::Path::new("/nowhere"), config).unwrap_err();
    assert_eq!(error.code(), "invalid_engine_config");
}

/// A key-value pool that does not fit into memory is refused, and the error has the numbers.
#[test]
#[ignore = "needs the model: make test fetches it"]
fn a_pool_beyond_memory_is_refused_with_the_numbers() {
    let (entry, path) = testing::real_model();
    let config = EngineConfig { kv_tokens: 1 << 30, ..EngineConfig::default() };
    let error = Engine::start(&entry, &path, config).unwrap_err();
    // 2^30 tokens of 23,040 bytes.
    assert!(matches!(error, EngineError::NotEnoughMemory { pool_mib: 23_592_960, .. }), "{error}");
}

const NEWS: &str = include_str!("../../tests/golden/news.txt");

#[tokio::test]
#[ignore = "needs the model: make test fetches it"]
async fn a_page_is_summarised_fluently() {
    let (entry, path) = testing::real_model();
    let engine = Engine::start(&entry, &path, EngineConfig { kv_tokens: 2048, ..EngineConfig::default() }).unwrap();
    let request = Request {
        system: Some("You summarise documents. You only state what the document says.".into()),
        before: "Document:\n\n".into(),
        document: NEWS.into(),
        after: "\n\nSummarise the document above in three sentences.".into(),
        max_new_tokens: 48,
        ..Request::default()
    };
    let completion = engine.submit(request).await.unwrap();
    assert_eq!(completion.finish_reason, FinishReason::Sentence, "{}", completion.text);
    for word in ["Harwick", "Council", "estuary"] {
        assert!(completion.text.contains(word), "{}", completion.text);
    }
    let [low, _, middle] = completion.logprob_quantiles.unwrap();
    assert!(low < middle && middle > -1.5, "a fluent answer is mostly sure of itself: {low} and {middle}");
    engine.shutdown().await;
}
