#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use candle_core::{DType, Device};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::Decoder;
use crate::backend::candle::CandleBackend;
use crate::decode::stop::{AnswerLimits, StopRules};
use crate::engine::core::Core;
use crate::engine::metrics::Counters;
use crate::engine::scheduler::StepLimits;
use crate::engine::sequence::{Generated, Job};
use crate::model::weights::Weights;
use crate::request::End;
use crate::step::{Batch, ModelConfig};
use crate::testing;
use crate::text::gguf_bpe::Tokenizer;
use crate::text::template::Template;

const BLOCKS: usize = 64;

/// Logits and answers by the implementation in `tests/golden/reference.py`: numpy in f64, sharing
/// no code with this crate.
#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    system: String,
    user: String,
    prompt_tokens: usize,
    first: First,
    answer: Vec<u32>,
}

#[derive(Deserialize)]
struct First {
    ids: Vec<u32>,
    logits: Vec<f32>,
    logprob: f32,
}

fn golden() -> Vec<Case> {
    serde_json::from_str::<Golden>(include_str!("../../../tests/golden/logits.json")).unwrap().cases
}

fn decoder() -> Decoder<CandleBackend> {
    let mut file = testing::real_file();
    let config = ModelConfig::from_gguf(&file.content).unwrap();
    let backend = CandleBackend::new(&config, Device::Cpu, DType::F32, 2048, BLOCKS).unwrap();
    let weights = Weights::load(&mut file, &config, &backend).unwrap();
    Decoder::new(config, weights, backend, 1.0)
}

#[test]
#[ignore = "needs the model: make test fetches it"]
fn logits_equal_those_of_an_independent_implementation() {
    let (tokenizer, template) = testing::real_text();
    let mut decoder = decoder();
    for case in golden() {
        let prompt = template.prompt(&tokenizer, Some(&case.system), &case.user).unwrap();
        assert_eq!(prompt.len(), case.prompt_tokens);
        let mut batch = Batch::default();
        batch.push(&prompt, 0, &(0..BLOCKS as u32).collect::<Vec<_>>(), Some(&[]));
        let logits = decoder.host_logits(&batch).remove(0);
        for (id, expected) in case.first.ids.iter().zip(&case.first.logits) {
            let found = logits[*id as usize];
            assert!((found - expected).abs() < 2e-3, "token {id} of {:?}: {found} instead of {expected}", case.user);
        }
    }
}

/// Has an engine compute these prompts, all waiting before its first step, so that batches are the
/// same at every run.
fn generate(core: &mut Core<Decoder<CandleBackend>>, prompts: &[Vec<u32>], max_new_tokens: usize) -> Vec<Generated> {
    let answers: Vec<_> = prompts
        .iter()
        .map(|prompt| {
            let (reply, answer) = oneshot::channel();
            let limits = AnswerLimits { max_new_tokens, end: End::Natural };
            core.accept(Job {
                prompt: prompt.clone(),
                common_tokens: 0,
                limits,
                steering: None,
                priority: 0,
                adapter: None,
                reply,
                place: None,
            });
            answer
        })
        .collect();
    while !core.is_idle() {
        core.run_step().unwrap();
    }
    answers.into_iter().map(|mut answer| answer.try_recv().unwrap().unwrap()).collect()
}

fn core(step_tokens: usize, tokenizer: &Tokenizer) -> Core<Decoder<CandleBackend>> {
    let rules = StopRules {
        endings: tokenizer.endings().to_vec(),
        detokeniser: Arc::clone(tokenizer.detokeniser()),
        begins_in_reasoning: false,
    };
    let limits = StepLimits { step_tokens, max_sequences: 8 };
    Core::new(decoder(), limits, rules, BLOCKS, Arc::new(Counters::default()))
}

#[test]
#[ignore = "needs the model: make test fetches it"]
fn greedy_answers_equal_those_of_an_independent_implementation() {
    let (tokenizer, template) = testing::real_text();
    let cases = golden();
    let prompts: Vec<Vec<u32>> =
        cases.iter().map(|case| template.prompt(&tokenizer, Some(&case.system), &case.user).unwrap()).collect();
    for (case, generated) in cases.iter().zip(generate(&mut core(64, &tokenizer), &prompts, 24)) {
        let text = case.answer.strip_suffix(&[2]).unwrap_or(&case.answer);
        assert_eq!(generated.ids, text, "{:?}", case.user);
        assert!((generated.logprobs[0] - case.first.logprob).abs() < 1e-3);
    }
}

#[test]
#[ignore = "needs the model: make test fetches it"]
fn prompts_in_a_batch_get_the_answers_they_get_alone() {
    let (tokenizer, template) = testing::real_text();
    let news = include_str!("../../../tests/golden/news.txt");
    let ask = |template: &Template, text: &str| {
        template.prompt(&tokenizer, None, &format!("{text}\n\nSummarise this in one sentence.")).unwrap()
    };
    // Ragged, with duplicates, and in two orders; more of them than run at once, so that blocks are
    // used again.
    let mut prompts: Vec<Vec<u32>> = news.split("\n\n").map(|paragraph| ask(&template, paragraph)).collect();
    prompts.push(prompts[0].clone());
    prompts.extend((1..4).map(|words| ask(&template, &news[..words * 13])));
    let mut core = core(48, &tokenizer);
    let alone: Vec<Generated> =
        prompts.iter().map(|prompt| generate(&mut core, std::slice::from_ref(prompt), 16).remove(0)).collect();
    let batched = generate(&mut core, &prompts, 16);
    prompts.reverse();
    let mut reversed = generate(&mut core, &prompts, 16);
    reversed.reverse();
    for ((alone, batched), reversed) in alone.iter().zip(&batched).zip(&reversed) {
        assert_eq!(alone.ids, batched.ids);
        assert_eq!(alone.ids, reversed.ids);
        for (left, right) in alone.logprobs.iter().zip(&batched.logprobs) {
            assert!((left - right).abs() < 1e-3, "{left} and {right}");
        }
    }
}
