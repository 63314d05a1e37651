#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use candle_core::quantized::GgmlDType::{self, F32, Q4_0, Q4K, Q6K, Q8_0};
use candle_core::quantized::gguf_file::Value;

use super::{DeviceSizes, MemoryPlan, StoredTensor, plan};
use crate::config::{EngineConfig, WeightsKind};
use crate::step::ModelConfig;
use crate::testing;

/// A card that is sold with 24 GB. What is free on one at start was not seen.
const CARD_BYTES: u64 = 24_000_000_000;
const GIB: f64 = (1_u64 << 30) as f64;

#[derive(Clone, Copy)]
struct Model {
    name: &'static str,
    layers: u64,
    width: u64,
    inner: u64,
    kv: u64,
    vocabulary: u64,
    context: u32,
}

const MISTRAL: Model = Model {
    name: "Mistral 7B v0.3",
    layers: 32,
    width: 4096,
    inner: 14336,
    kv: 1024,
    vocabulary: 32_768,
    context: 32_768,
};
const LLAMA: Model = Model { name: "Llama 3 8B", vocabulary: 128_256, context: 8192, ..MISTRAL };

impl Model {
    fn shape(self) -> ModelConfig {
        let mut content = testing::shaped();
        let mut set = |key: &str, value: u32| content.metadata.insert(format!("llama.{key}"), Value::U32(value));
        set("block_count", self.layers as u32);
        set("embedding_length", self.width as u32);
        set("feed_forward_length", self.inner as u32);
        set("attention.head_count", 32);
        set("attention.head_count_kv", 8);
        set("context_length", self.context);
        let tokens = (0..self.vocabulary).map(|id| Value::String(format!("token {id}"))).collect();
        content.metadata.insert("tokenizer.ggml.tokens".to_owned(), Value::Array(tokens));
        ModelConfig::from_gguf(&content).unwrap()
    }

    /// The tensors of a file, as llama.cpp's quantiser chooses their types.
    fn tensors(self, file: &str) -> Vec<StoredTensor> {
        let (base, head) = match file {
            "Q4_K_M" => (Q4K, Q6K),
            "Q4_0" => (Q4_0, Q6K),
            _ => (Q8_0, Q8_0),
        };
        let tensor = |rows: u64, columns: u64, dtype: GgmlDType| StoredTensor { rows, columns, dtype };
        let mut tensors = vec![
            tensor(self.vocabulary, self.width, base),
            tensor(self.vocabulary, self.width, head),
            tensor(1, self.width, F32),
        ];
        for layer in 0..self.layers {
            // The first and the last eighth, and every third in between.
            let eighth = self.layers / 8;
            let more = layer < eighth || layer >= 7 * eighth || (layer - eighth) % 3 == 2;
            let exact = if file == "Q4_K_M" && more { Q6K } else { base };
            tensors.extend([
                tensor(self.width, self.width, base),
                tensor(self.kv, self.width, base),
                tensor(self.kv, self.width, exact),
                tensor(self.width, self.width, base),
                tensor(self.inner, self.width, base),
                tensor(self.inner, self.width, base),
                tensor(self.width, self.inner, exact),
                tensor(1, self.width, F32),
                tensor(1, self.width, F32),
            ]);
        }
        tensors
    }

    fn plan(self, file: &str, memory: u64, sizes: DeviceSizes) -> MemoryPlan {
        plan(&self.shape(), &self.tensors(file), memory, sizes)
    }
}

fn sizes() -> DeviceSizes {
    let config = EngineConfig { max_sequences: 64, kv_tokens: 65_536, ..EngineConfig::default() };
    DeviceSizes::new(&config, 8192)
}

/// The published sizes of these files, which hold metadata beside the tensors, in GB.
#[test]
fn weights_take_what_the_published_files_take() {
    for (model, file, gigabytes) in [
        (MISTRAL, "Q4_K_M", 4.37),
        (MISTRAL, "Q4_0", 4.11),
        (MISTRAL, "Q8_0", 7.70),
        (LLAMA, "Q4_K_M", 4.92),
        (LLAMA, "Q4_0", 4.66),
        (LLAMA, "Q8_0", 8.54),
    ] {
        let found = model.plan(file, CARD_BYTES, sizes()).needs.weights as f64 / 1e9;
        assert!((found - gigabytes).abs() < 0.015, "{} {file}: {found} GB instead of {gigabytes}", model.name);
    }
}

/// The table of the models guide: what fits into 24 GB.
#[test]
fn int4_and_int8_on_24_gb_fit_as_the_guide_says() {
    let mut table = String::new();
    for model in [MISTRAL, LLAMA] {
        for file in ["Q4_K_M", "Q4_0", "Q8_0", "dense"] {
            let weights = if file == "dense" { WeightsKind::Dense } else { WeightsKind::Quantised };
            let MemoryPlan { needs, fits } = model.plan(file, CARD_BYTES, DeviceSizes { weights, ..sizes() });
            let gib = |bytes: u64| bytes as f64 / GIB;
            writeln!(
                table,
                "| {} | {file} | {:.1} GiB | {:.1} GiB | {} | {} | {} | {} |",
                model.name,
                gib(needs.weights),
                gib(needs.work),
                fits.kv_tokens,
                fits.kv_tokens / 1312,
                fits.sequences,
                fits.context
            )
            .unwrap();
        }
    }
    assert_eq!(table, include_str!("tests/fits-24-gb.md"), "\n{table}");
}

/// The guide has this very table, for the bound of the adapters that is set where nobody sets one.
#[test]
fn the_guide_shows_the_table_that_is_computed() {
    let guide = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/guide/models-and-gpu.md"));
    assert!(guide.contains(include_str!("tests/fits-24-gb.md")), "copy tests/fits-24-gb.md into the guide");
    let mib = EngineConfig::default().adapter_bytes >> 20;
    assert!(guide.contains(&format!("{mib} MiB for adapters")), "the guide names another bound");
}

/// The room of adapters is taken from the pool, and a bound beyond the device is refused.
#[test]
fn adapters_have_their_room_beside_the_pool() {
    let with = |adapter_bytes| MISTRAL.plan("Q4_K_M", CARD_BYTES, DeviceSizes { adapter_bytes, ..sizes() });
    let (none, some) = (with(0), with(1 << 30));
    assert_eq!(some.needs.adapters, 1 << 30);
    // 128 KiB a token.
    assert_eq!(none.fits.kv_tokens - some.fits.kv_tokens, 8192);
    for adapter_bytes in [CARD_BYTES, u64::MAX] {
        let plan = with(adapter_bytes);
        assert_eq!((plan.fits.kv_tokens, plan.fits.sequences, plan.fits.context), (0, 0, 0));
        let error = plan.needs.check(CARD_BYTES, sizes().kv_tokens).unwrap_err();
        assert!(error.to_string().contains("`adapter_bytes`"), "{error}");
    }
}

#[test]
fn the_pool_that_fits_fits_and_one_block_more_does_not() {
    for (model, file) in [(MISTRAL, "Q4_K_M"), (LLAMA, "Q8_0")] {
        let fits = model.plan(file, CARD_BYTES, sizes()).fits;
        let with = |kv_tokens| model.plan(file, CARD_BYTES, DeviceSizes { kv_tokens, ..sizes() }).needs;
        assert!(with(fits.kv_tokens).check(CARD_BYTES, fits.kv_tokens).is_ok());
        let more = fits.kv_tokens + 32;
        let error = with(more).check(CARD_BYTES, more).unwrap_err();
        let wanted = format!("lower `kv_tokens` to {} or", fits.kv_tokens);
        assert!(error.to_string().contains(&wanted), "{error}");
    }
}

/// The longest sequence grows with memory up to what the model was trained on, and its own pool
/// and work space fit.
#[test]
fn the_longest_sequence_grows_with_memory_to_the_trained() {
    let mut last = 0;
    for memory in [4_000_000_000, 5_500_000_000, 7_000_000_000, CARD_BYTES] {
        let fits = MISTRAL.plan("Q4_K_M", memory, sizes()).fits;
        assert!(fits.context >= last, "{fits:?}");
        last = fits.context;
        if fits.context > 0 {
            let alone = DeviceSizes { kv_tokens: fits.context, context: fits.context, ..sizes() };
            assert!(MISTRAL.plan("Q4_K_M", memory, alone).needs.check(memory, fits.context).is_ok());
        }
    }
    assert_eq!(last, 32_768);
    let nothing = MISTRAL.plan("Q4_K_M", 4_000_000_000, sizes()).fits;
    assert_eq!((nothing.kv_tokens, nothing.sequences, nothing.context), (0, 0, 0));
}

/// Larger steps need room for a matrix that is dequantised, and dense weights never do.
#[test]
fn large_steps_count_the_matrix_that_they_dequantise() {
    let work = |step_tokens, weights| {
        MISTRAL.plan("Q4_0", CARD_BYTES, DeviceSizes { weights, step_tokens, ..sizes() }).needs.work
    };
    let grown = work(512, WeightsKind::Quantised) - work(511, WeightsKind::Quantised);
    let matrix = 2 * 14336 * 4096 * 4;
    assert!((matrix..matrix + (1 << 20)).contains(&grown), "{grown}");
    assert!(work(512, WeightsKind::Dense) - work(511, WeightsKind::Dense) < 1 << 20);
}
