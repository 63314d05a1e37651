//! One measurement: what it computes, and the engine it needs.

use precis_inference::bench::{self, Measurement};
use precis_inference::{End, Engine, EngineConfig, EngineError};

use super::{Args, Scenario};

/// Batches that decode is measured with where none are named.
const DECODE_BATCHES: [u32; 3] = [1, 8, 32];
/// Block size that the pool is sized by: a multiple of any backend's.
const BLOCK_TOKENS: usize = 64;

/// One measurement to take, with engine settings that have room for it.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) scenario: Scenario,
    /// Sequences computed together at most.
    pub(super) batch: usize,
    /// Tokens of context; 0 for documents, which have their own.
    pub(super) context: usize,
    pub(super) new_tokens: usize,
    pub(super) config: EngineConfig,
    pub(super) end: End,
    prompts: Vec<Vec<u32>>,
}

/// Everything that `args` want measured of a scenario.
pub(super) fn works(scenario: Scenario, args: &Args, prompts: &[Vec<u32>], config: &EngineConfig) -> Vec<Work> {
    let text: Vec<u32> = prompts.concat();
    let configured = u32::try_from(config.max_sequences).unwrap_or(u32::MAX);
    let batches: &[u32] = match scenario {
        _ if !args.batch.is_empty() => &args.batch,
        Scenario::Decode => &DECODE_BATCHES,
        _ => &[configured],
    };
    let contexts: &[u32] = if scenario == Scenario::Documents { &[0] } else { &args.context };
    let mut works = Vec::new();
    for context in contexts.iter().map(|context| *context as usize) {
        for batch in batches.iter().map(|batch| *batch as usize) {
            let (prompts, new_tokens) = match scenario {
                Scenario::Documents => (prompts.to_vec(), args.new_tokens as usize),
                Scenario::Prefill => (bench::slices(&text, &vec![context; args.prefills as usize]), 1),
                Scenario::Decode => (vec![text.clone()], args.new_tokens as usize),
            };
            let lengths: Vec<usize> = match scenario {
                Scenario::Documents => prompts.iter().map(Vec::len).collect(),
                _ => vec![context; batch],
            };
            let config = with_room(config, batch, &lengths, new_tokens);
            let end = match (args.natural, args.paragraph) {
                (_, true) => End::Paragraph,
                (true, false) => End::Natural,
                (false, false) => End::AtLimit,
            };
            works.push(Work { scenario, batch, context, new_tokens, config, end, prompts });
        }
    }
    works
}

/// Settings with which `batch` sequences run together: the pool has room for any `batch` of prompts
/// with these lengths and their answers, and not for more, so that the memory shown is the memory
/// needed.
fn with_room(config: &EngineConfig, batch: usize, lengths: &[usize], new_tokens: usize) -> EngineConfig {
    let mut sizes: Vec<usize> =
        lengths.iter().map(|length| (length + new_tokens).next_multiple_of(BLOCK_TOKENS)).collect();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    EngineConfig {
        max_sequences: batch,
        step_tokens: config.step_tokens.max(batch),
        kv_tokens: sizes.iter().take(batch).sum(),
        queue_tokens: config.queue_tokens.max(1 << 22),
        ..config.clone()
    }
}

impl Work {
    /// Measures it once.
    pub(super) async fn measure(&self, engine: &Engine) -> Result<Measurement, EngineError> {
        match self.scenario {
            Scenario::Documents => bench::documents(engine, &self.prompts, self.new_tokens, self.end).await,
            Scenario::Prefill => bench::documents(engine, &self.prompts, 1, End::AtLimit).await,
            Scenario::Decode => {
                let step_tokens = self.config.step_tokens;
                bench::decode(engine, &self.prompts[0], self.batch, self.context, self.new_tokens, step_tokens).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// And for no more.
    #[test]
    fn the_pool_has_room_for_the_longest_prompts_of_a_batch() {
        let config = with_room(&EngineConfig::default(), 2, &[100, 1000, 10, 500], 24);
        assert_eq!(config.kv_tokens, 1024 + 576);
        assert_eq!(config.max_sequences, 2);
        let wide = with_room(&EngineConfig::default(), 512, &[100; 512], 1);
        assert!(wide.problems().is_empty(), "{:?}", wide.problems());
    }
}
