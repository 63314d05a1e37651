//! Distance of an engine's logits from those of Hugging Face transformers on the same weights,
//! dequantised (`tests/golden/hf.py`).
//!
//! Each backend is measured through a closure and states its own bounds: one that computes in f32
//! differs by rounding alone, one that rounds activations to integers by more.

use candle_core::{DType, Device};
use precis_kernels::Isa;
use serde::Deserialize;

use super::real_file;
use crate::backend::Backend;
use crate::backend::candle::CandleBackend;
use crate::backend::cpu::{CpuBackend, CpuLimits};
use crate::model::decoder::Decoder;
use crate::model::weights::Weights;
use crate::step::{BLOCK_TOKENS, Batch, ModelConfig};

/// Tokens of a prompt that are computed at a time, so that some chunks begin inside a block.
const CHUNK_TOKENS: usize = 200;
pub(crate) const CONTEXT: usize = 4096;
pub(crate) const BLOCKS: usize = CONTEXT / BLOCK_TOKENS;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

/// One prompt, by transformers.
#[derive(Deserialize)]
struct Case {
    name: String,
    prompt: Vec<u32>,
    rows: Vec<Row>,
    /// The greedy answer, on past any end token.
    answer: Vec<u32>,
    /// For each id of the answer, how far its logit is above the next best.
    margins: Vec<f32>,
}

/// The distribution after one position of a prompt.
#[derive(Deserialize)]
struct Row {
    position: usize,
    /// The likeliest, descending.
    ids: Vec<u32>,
    logits: Vec<f32>,
    /// Log-sum-exp of all logits.
    logsumexp: f64,
}

/// Distance of an engine from transformers, over all prompts.
#[derive(Debug, Default)]
pub(crate) struct Distance {
    /// The largest difference of a logit among the 64 likeliest.
    pub(crate) logit: f32,
    /// The mean difference of these.
    pub(crate) mean: f32,
    /// The largest difference of a log-sum-exp.
    pub(crate) logsumexp: f64,
    /// Ids of the greedy answers.
    pub(crate) answers: usize,
    /// Number of these ids in whose place this engine, given the text of transformers so far, would
    /// write another.
    pub(crate) differing: usize,
    /// The largest margin by which transformers preferred an id that this engine does not.
    pub(crate) margin: f32,
}

/// Measures an engine. `feed(position, tokens, rows)` computes `tokens`, which stand at `position`
/// and after in the one sequence there is, and returns the logits of those of them that `rows`
/// names, counted from `position`; a sequence begins at position 0.
pub(crate) fn distance(feed: impl FnMut(usize, &[u32], &[usize]) -> Vec<Vec<f32>>) -> Distance {
    distance_to(include_str!("../../tests/golden/hf.json"), feed)
}

/// The same, to another file of that form.
pub(crate) fn distance_to(golden: &str, mut feed: impl FnMut(usize, &[u32], &[usize]) -> Vec<Vec<f32>>) -> Distance {
    let golden: Golden = serde_json::from_str(golden).unwrap();
    let (mut found, mut total, mut count) = (Distance::default(), 0.0, 0);
    for case in &golden.cases {
        let mut last = Vec::new();
        for (index, chunk) in case.prompt.chunks(CHUNK_TOKENS).enumerate() {
            let start = index * CHUNK_TOKENS;
            let wanted: Vec<&Row> =
                case.rows.iter().filter(|row| (start..start + chunk.len()).contains(&row.position)).collect();
            let rows: Vec<usize> = wanted.iter().map(|row| row.position - start).collect();
            let logits = feed(start, chunk, &rows);
            assert_eq!(logits.len(), rows.len());
            for (row, logits) in wanted.iter().zip(&logits) {
                for (id, expected) in row.ids.iter().zip(&row.logits) {
                    let difference = (logits[*id as usize] - expected).abs();
                    found.logit = found.logit.max(difference);
                    total += difference;
                    count += 1;
                }
                found.logsumexp = found.logsumexp.max((logsumexp(logits) - row.logsumexp).abs());
            }
            last = logits.into_iter().last().unwrap_or_default();
        }
        for (index, (id, margin)) in case.answer.iter().zip(&case.margins).enumerate() {
            found.answers += 1;
            if argmax(&last) != *id {
                found.differing += 1;
                found.margin = found.margin.max(*margin);
            }
            last = feed(case.prompt.len() + index, &[*id], &[0]).remove(0);
        }
        assert!(count > 0 && !case.answer.is_empty(), "{} holds nothing", case.name);
    }
    found.mean = total / count as f32;
    found
}

pub(crate) fn logsumexp(logits: &[f32]) -> f64 {
    let highest = f64::from(logits.iter().copied().fold(f32::MIN, f32::max));
    highest + logits.iter().map(|logit| (f64::from(*logit) - highest).exp()).sum::<f64>().ln()
}

fn argmax(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|left, right| left.1.total_cmp(right.1));
    best.expect("there are logits").0 as u32
}

/// A decoder with so many blocks as a closure for [`distance`].
pub(crate) fn feeding<B: Backend>(
    mut decoder: Decoder<B>,
    blocks: usize,
) -> impl FnMut(usize, &[u32], &[usize]) -> Vec<Vec<f32>> {
    let blocks: Vec<u32> = (0..blocks as u32).collect();
    move |position, tokens, rows| {
        let mut batch = Batch::default();
        batch.push(tokens, position, &blocks, None);
        batch.logit_rows = rows.iter().map(|row| *row as u32).collect();
        batch.written = vec![Vec::new(); rows.len()];
        if rows.is_empty() {
            decoder.logits(&batch).unwrap();
            return Vec::new();
        }
        decoder.host_logits(&batch)
    }
}

/// The default model on Candle, dense in f32.
pub(crate) fn candle() -> Decoder<CandleBackend> {
    let mut file = real_file();
    let config = ModelConfig::from_gguf(&file.content).unwrap();
    let backend = CandleBackend::new(&config, Device::Cpu, DType::F32, CONTEXT, BLOCKS).unwrap();
    let weights = Weights::load(&mut file, &config, &backend).unwrap();
    Decoder::new(config, weights, backend, 1.0)
}

#[test]
#[ignore = "needs the model: make test fetches it"]
fn candle_computes_what_transformers_computes() {
    let distance = distance(feeding(candle(), BLOCKS));
    // Rounding in f32 on both sides, and to four digits in the file; found were 8e-5, 3e-5 and
    // 2e-5.
    assert!(distance.logit < 5e-4 && distance.mean < 1e-4 && distance.logsumexp < 2e-4, "{distance:?}");
    assert_eq!((distance.answers, distance.differing), (4 * 64, 0), "{distance:?}");
}

/// The default model on the processor's kernels.
pub(crate) fn cpu(threads: usize, isa: Isa) -> Decoder<CpuBackend> {
    let mut file = real_file();
    let config = ModelConfig::from_gguf(&file.content).unwrap();
    let limits = CpuLimits { context: CONTEXT, blocks: BLOCKS, rows: CONTEXT, wanted: CONTEXT, threads, isa };
    let backend = CpuBackend::new(&config, limits).unwrap();
    let weights = Weights::load(&mut file, &config, &backend).unwrap();
    Decoder::new(config, weights, backend, 1.0)
}

#[test]
#[ignore = "needs the model: make test fetches it"]
fn our_kernels_compute_nearly_what_transformers_computes() {
    let distance = distance(feeding(cpu(2, Isa::detect()), BLOCKS));
    // Activations are rounded to 8 bits for every product, as llama.cpp does it, keys and values to
    // bf16. Found were 0.94, 0.14, 0.53, and 7 of 256 ids differing where transformers itself
    // preferred its id by 0.13 at most.
    assert!(distance.logit < 1.5 && distance.mean < 0.2 && distance.logsumexp < 0.8, "{distance:?}");
    assert!(distance.differing <= 13 && distance.margin < 0.3, "{distance:?}");
}
