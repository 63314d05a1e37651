//! Qwen2.5-Coder 0.5B, where its file is among the models: real weights of another family.
//!
//! It is never fetched by a test. `tests/golden/qwen.py` makes the file that this is held to.

use std::path::PathBuf;

use candle_core::{DType, Device};
use precis_kernels::Isa;
use serde::Deserialize;

use super::golden::{distance_to, feeding};
use crate::backend::Backend;
use crate::backend::candle::CandleBackend;
use crate::backend::cpu::{CpuBackend, CpuLimits};
use crate::config::EngineConfig;
use crate::engine::Engine;
use crate::model::decoder::Decoder;
use crate::model::weights::{GgufFile, Weights};
use crate::models::{self, ModelEntry};
use crate::request::{FinishReason, Request};
use crate::step::{BLOCK_TOKENS, ModelConfig};
use crate::text::gguf_bpe::Tokenizer;
use crate::text::template::Template;
use crate::{gguf, prompt};

const NAME: &str = "qwen2.5-coder-0.5b-instruct";
const SHA256: &str = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32";
const CONTEXT: usize = 1024;

#[derive(Deserialize)]
struct Golden {
    system: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    user: String,
    prompt: Vec<u32>,
}

/// Read when it is needed: only tests by hand do.
fn golden_text() -> String {
    std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/qwen.json")).unwrap()
}

fn golden() -> Golden {
    serde_json::from_str(&golden_text()).unwrap()
}

/// The model's entry and the path of its file, of whatever revision.
fn model() -> (ModelEntry, PathBuf) {
    let folder = models::default_dir().join(NAME);
    let path = std::fs::read_dir(&folder)
        .and_then(|revisions| revisions.map(|revision| Ok(revision?.path())).collect::<Result<Vec<_>, _>>())
        .unwrap_or_else(|error| panic!("{}: {error}; put the model there first", folder.display()))
        .into_iter()
        .map(|revision| revision.join(format!("{NAME}-q4_k_m.gguf")))
        .find(|path| path.exists())
        .unwrap();
    let entry = super::entry(&path, SHA256, 32_768);
    (entry, path)
}

fn file() -> (GgufFile, ModelConfig) {
    let (entry, path) = model();
    let file = GgufFile::open(&entry, &path).unwrap();
    let config = ModelConfig::from_gguf(&file.content).unwrap();
    (file, config)
}

fn loaded<B: Backend>((mut file, config): (GgufFile, ModelConfig), backend: B) -> Decoder<B> {
    let weights = Weights::load(&mut file, &config, &backend).unwrap();
    Decoder::new(config, weights, backend, 1.0)
}

pub(crate) fn cpu(threads: usize, isa: Isa) -> Decoder<CpuBackend> {
    let (file, config) = file();
    let blocks = CONTEXT / BLOCK_TOKENS;
    let limits = CpuLimits { context: CONTEXT, blocks, rows: CONTEXT, wanted: 400, threads, isa };
    let backend = CpuBackend::new(&config, limits).unwrap();
    loaded((file, config), backend)
}

#[test]
#[ignore = "needs Qwen2.5-Coder 0.5B, which is never fetched by a test"]
fn qwens_prompts_equal_those_of_transformers() {
    let (file, _) = file();
    let tokenizer = Tokenizer::from_gguf(&file.content).unwrap();
    let template = Template::new(gguf::string(&file.content, "tokenizer.chat_template").unwrap(), &tokenizer).unwrap();
    let Golden { system, cases } = golden();
    for case in cases {
        assert_eq!(template.prompt(&tokenizer, Some(&system), &case.user).unwrap(), case.prompt);
    }
}

#[test]
#[ignore = "needs Qwen2.5-Coder 0.5B, which is never fetched by a test"]
fn candle_computes_qwen_as_transformers_does() {
    let (file, config) = file();
    let blocks = CONTEXT / BLOCK_TOKENS;
    let backend = CandleBackend::new(&config, Device::Cpu, DType::F32, CONTEXT, blocks).unwrap();
    let distance = distance_to(&golden_text(), feeding(loaded((file, config), backend), blocks));
    assert!(distance.logit < 2e-3 && distance.mean < 4e-4 && distance.logsumexp < 1e-3, "{distance:?}");
    assert_eq!(distance.differing, 0, "{distance:?}");
}

#[test]
#[ignore = "needs Qwen2.5-Coder 0.5B, which is never fetched by a test"]
fn our_kernels_compute_qwen_nearly_as_transformers_does() {
    let distance = distance_to(&golden_text(), feeding(cpu(2, Isa::detect()), CONTEXT / BLOCK_TOKENS));
    assert!(distance.logit < 2.0 && distance.mean < 0.4 && distance.logsumexp < 1.0, "{distance:?}");
    assert!(distance.differing <= 8 && distance.margin < 0.5, "{distance:?}");
}

/// A summary is text of the document's kind; a person reads it on standard error.
#[tokio::test]
#[ignore = "needs Qwen2.5-Coder 0.5B, which is never fetched by a test"]
#[expect(clippy::print_stderr, reason = "a person reads the summary")]
async fn qwen_summarises_a_document() {
    let (entry, path) = model();
    let engine = Engine::start(&entry, &path, EngineConfig { kv_tokens: 4096, ..EngineConfig::default() }).unwrap();
    let prompts = prompt::recommended("en", 3);
    let documents = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../tests/documents");
    let document = std::fs::read_to_string(documents.join("developers-reference-duties.txt")).unwrap();
    let document: String = document.chars().take(3000).collect();
    let request = Request {
        system: prompts.system,
        before: prompts.whole.before,
        document: document.clone(),
        after: prompts.whole.after,
        max_new_tokens: 160,
        one_paragraph: true,
        ..Request::default()
    };
    let answer = engine.submit(request).await.unwrap();
    eprintln!("{:?}: {}", answer.finish_reason, answer.text);
    let words: Vec<&str> = answer.text.split_whitespace().collect();
    let known = words.iter().filter(|word| document.contains(word.trim_matches([',', '.', ';', ':']))).count();
    assert!(words.len() > 10 && 2 * known > words.len(), "{known} of {} words are the document's", words.len());
    assert_ne!(answer.finish_reason, FinishReason::Repetition);
}
