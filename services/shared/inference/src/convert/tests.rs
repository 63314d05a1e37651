#![allow(clippy::unwrap_used)]

mod folder;
mod golden;

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::quantized::GgmlDType;
use candle_core::{DType, Device};
use precis_kernels::Isa;
use serde_json::json;

use super::{Quantisation, Quantised, Written, quantise, quantise_in_chunks};
use crate::backend::candle::CandleBackend;
use crate::backend::cpu::{CpuBackend, CpuLimits};
use crate::error::EngineError;
use crate::model::decoder::Decoder;
use crate::model::weights::{GgufFile, Weights};
use crate::models::Manifest;
use crate::step::{BLOCK_TOKENS, ModelConfig};
use crate::testing;
use crate::testing::golden::{feeding, logsumexp};
use crate::text::gguf_bpe::Tokenizer;
use folder::{Folder, INNER, Stored, WIDTH, write_json};

const CONTEXT: usize = 64;
const BLOCKS: usize = CONTEXT / BLOCK_TOKENS;

fn converted(source: &Path, to: Quantisation, target: &Path) -> Result<Quantised, EngineError> {
    quantise(source, to, target, &mut |_| {})
}

/// The converted model in a folder of its own, and the result.
fn quantised(folder: &Folder, to: Quantisation) -> Quantised {
    let target = folder.path.with_extension(to.name());
    converted(&folder.path, to, &target).unwrap()
}

fn opened(quantised: &Quantised) -> GgufFile {
    let manifest = Manifest::parse(&quantised.manifest("mine", "Apache-2.0").unwrap()).unwrap();
    GgufFile::open(manifest.find("mine").unwrap(), &quantised.path).unwrap()
}

fn tokens() -> Vec<u32> {
    (0..40).map(|at| (at * 7 + at * at) % 256).collect()
}

/// The logits of an engine after each of [`tokens`].
fn by_candle(quantised: &Quantised) -> Vec<Vec<f32>> {
    let mut file = opened(quantised);
    let config = ModelConfig::from_gguf(&file.content).unwrap();
    let backend = CandleBackend::new(&config, Device::Cpu, DType::F32, CONTEXT, BLOCKS).unwrap();
    let weights = Weights::load(&mut file, &config, &backend).unwrap();
    let rows: Vec<usize> = (0..tokens().len()).collect();
    feeding(Decoder::new(config, weights, backend, 1.0), BLOCKS)(0, &tokens(), &rows)
}

fn by_kernels(quantised: &Quantised) -> Vec<Vec<f32>> {
    let mut file = opened(quantised);
    let config = ModelConfig::from_gguf(&file.content).unwrap();
    let limits =
        CpuLimits { context: CONTEXT, blocks: BLOCKS, rows: CONTEXT, wanted: CONTEXT, threads: 1, isa: Isa::detect() };
    let backend = CpuBackend::new(&config, limits).unwrap();
    let weights = Weights::load(&mut file, &config, &backend).unwrap();
    let rows: Vec<usize> = (0..tokens().len()).collect();
    feeding(Decoder::new(config, weights, backend, 1.0), BLOCKS)(0, &tokens(), &rows)
}

/// Mean KL divergence of the second from the first, in nats.
fn divergence(left: &[Vec<f32>], right: &[Vec<f32>]) -> f64 {
    let of_row = |left: &[f32], right: &[f32]| {
        let (from, to) = (logsumexp(left), logsumexp(right));
        let terms = left.iter().zip(right).map(|(p, q)| {
            let (p, q) = (f64::from(*p) - from, f64::from(*q) - to);
            p.exp() * (p - q)
        });
        terms.sum::<f64>()
    };
    left.iter().zip(right).map(|(left, right)| of_row(left, right)).sum::<f64>() / left.len() as f64
}

fn names_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect()
}

/// Without quantisation the engine computes what transformers computes: names, order of rows and
/// shape came over.
#[test]
fn a_converted_folder_computes_as_transformers_does() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::llama(&dir.path().join("model"));
    folder.write(Stored::Bf16);
    let written = quantised(&folder, Quantisation::F16);
    assert!(written.not_run_here.is_none(), "{:?}", written.not_run_here);
    let found = by_candle(&written);
    for length in [1, 2, 17, 40] {
        let expected = folder.logits(&tokens()[..length]);
        assert_eq!(found[length - 1].len(), expected.len());
        for (found, expected) in found[length - 1].iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-3, "{found} instead of {expected} after {length}");
        }
    }
}

/// The distribution of a quantised model stays near that of the model it was made from, on both
/// backends.
#[test]
fn a_quantised_model_stays_near_its_source() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::llama(&dir.path().join("model"));
    folder.write(Stored::F32);
    let float = by_candle(&quantised(&folder, Quantisation::F16));
    let (eight, four) = (quantised(&folder, Quantisation::Q8_0), quantised(&folder, Quantisation::Q4K));
    let found = [by_candle(&eight), by_candle(&four), by_kernels(&eight), by_kernels(&four)];
    let found = found.map(|logits| divergence(&float, &logits));
    for (one, bound) in found.into_iter().zip([1e-3, 5e-2, 2e-3, 5e-2]) {
        assert!(one > 0.0 && one < bound, "{found:?} nats, {bound:e} allowed");
    }
    assert!(four.bytes < eight.bytes);
}

/// Whether in one file or two, as f32, f16 or bf16: the same numbers give the same file, and so
/// does a file of floats that was converted before.
#[test]
fn the_same_numbers_give_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| Folder::llama(&dir.path().join(name));
    let (one, two, three) = (folder("one"), folder("two"), folder("three"));
    one.write(Stored::F32);
    two.write(Stored::F16);
    three.write_in_parts(Stored::Bf16);
    let digests = [&one, &two, &three].map(|folder| quantised(folder, Quantisation::Q4K).sha256);
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
    let float = quantised(&one, Quantisation::F16);
    let again = converted(&float.path, Quantisation::Q4K, &dir.path().join("again.gguf")).unwrap();
    let tensor = |path: &Path, name: &str| {
        let mut reader = fs::File::open(path).unwrap();
        let content = crate::gguf::header(&mut reader).unwrap();
        content.tensor(&mut reader, name, &Device::Cpu).unwrap().data().unwrap().into_owned()
    };
    let first = one.path.with_extension(Quantisation::Q4K.name());
    for name in ["token_embd.weight", "blk.1.attn_q.weight", "blk.0.ffn_down.weight", "output_norm.weight"] {
        assert!(tensor(&again.path, name) == tensor(&first, name), "{name}");
    }
}

/// Matrices of a real model are read in several chunks. However small these are, a row or a head at
/// a time, the file is the same.
#[test]
fn chunks_of_any_size_give_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::llama(&dir.path().join("one"));
    folder.write(Stored::F32);
    let whole = quantised(&folder, Quantisation::Q4K).sha256;
    // Of WIDTH columns: a row, no whole number of rows, and some heads with a rest.
    for chunk_values in [1, 5 * WIDTH + 3, 40 * WIDTH] {
        let target = dir.path().join(format!("{chunk_values}.gguf"));
        let found = quantise_in_chunks(&folder.path, Quantisation::Q4K, &target, chunk_values, &mut |_| {}).unwrap();
        assert_eq!(found.sha256, whole, "{chunk_values}");
    }
}

/// The formats, the tokenizer and the manifest's entry of a file that was written.
#[test]
fn the_file_has_formats_tokens_and_an_entry() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::llama(&dir.path().join("model"));
    folder.write(Stored::Bf16);
    let mut last = Written { done: 0, total: 0 };
    let target = dir.path().join("model.gguf");
    let written = quantise(&folder.path, Quantisation::Q4K, &target, &mut |step| last = step).unwrap();
    assert_eq!(last, Written { done: written.bytes, total: written.bytes });
    assert_eq!(fs::metadata(&target).unwrap().len(), written.bytes);
    let file = opened(&written);
    let format = |name: &str| file.content.tensor_infos[name].ggml_dtype;
    assert_eq!(format("token_embd.weight"), GgmlDType::Q6K);
    assert_eq!(format("blk.0.attn_q.weight"), GgmlDType::Q4K);
    assert_eq!(format("blk.1.ffn_down.weight"), GgmlDType::Q6K);
    assert_eq!(format("blk.1.ffn_norm.weight"), GgmlDType::F32);
    let tokenizer = Tokenizer::from_gguf(&file.content).unwrap();
    let text = "the then 12 <|im_end|>\n";
    assert_eq!(tokenizer.encode_template(text).unwrap(), testing::tokenizer("smollm").encode_template(text).unwrap());
    assert_eq!(tokenizer.endings(), [testing::END, testing::END_OF_TEXT]);
    let manifest = Manifest::parse(&written.manifest("mine-1", "Apache-2.0").unwrap()).unwrap();
    let entry = manifest.find("mine-1").unwrap();
    assert_eq!((entry.family.as_str(), entry.context, entry.quantisation.as_str()), ("llama", 512, "Q4_K_M"));
    assert!(written.manifest("../mine", "MIT").is_err());
    assert_eq!(written.formats.values().sum::<usize>(), file.content.tensor_infos.len());
}

/// A file is registered by what it says of itself.
#[test]
fn a_written_file_names_its_own_quantisation() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::llama(&dir.path().join("model"));
    folder.write(Stored::F16);
    for to in [Quantisation::Q4K, Quantisation::Q8_0, Quantisation::F16] {
        let written = quantised(&folder, to);
        let described = crate::models::describe(&written.path, Some("mine")).unwrap();
        assert_eq!((described.quantisation.as_str(), described.sha256), (to.name(), written.sha256));
    }
}

/// Qwen's matrices keep their order of rows, its biases and norms of heads come over, and Llama 3.1
/// has its divisors.
#[test]
fn each_family_has_its_own_tensors() {
    let dir = tempfile::tempdir().unwrap();
    let mut qwen2 = Folder::llama(&dir.path().join("qwen2"));
    qwen2.config["architectures"] = json!(["Qwen2ForCausalLM"]);
    qwen2.config["tie_word_embeddings"] = json!(false);
    qwen2.add("lm_head.weight", &[263, WIDTH]);
    let mut qwen3 = Folder::llama(&dir.path().join("qwen3"));
    qwen3.config["architectures"] = json!(["Qwen3ForCausalLM"]);
    for layer in 0..folder::LAYERS {
        for (name, width) in [("q", folder::HEADS * folder::HEAD_DIM), ("k", 64), ("v", 64)] {
            qwen2.add(&format!("model.layers.{layer}.self_attn.{name}_proj.bias"), &[width]);
        }
        qwen3.add(&format!("model.layers.{layer}.self_attn.q_norm.weight"), &[folder::HEAD_DIM]);
        qwen3.add(&format!("model.layers.{layer}.self_attn.k_norm.weight"), &[folder::HEAD_DIM]);
    }
    let mut llama3 = Folder::llama(&dir.path().join("llama3"));
    llama3.config["rope_scaling"] =
        json!({"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 64});
    for (folder, tensors) in [
        (&qwen2, &["output.weight", "blk.1.attn_k.bias"][..]),
        (&qwen3, &["blk.1.attn_q_norm.weight", "blk.0.attn_k_norm.weight"]),
        (&llama3, &["rope_freqs.weight"]),
    ] {
        folder.write(Stored::Bf16);
        let written = quantised(folder, Quantisation::F16);
        let mut reader = fs::File::open(&written.path).unwrap();
        let content = crate::gguf::header(&mut reader).unwrap();
        for name in tensors {
            assert!(content.tensor_infos.contains_key(*name), "{name}");
        }
        let query = content.tensor(&mut reader, "blk.0.attn_q.weight", &Device::Cpu).unwrap();
        let query: Vec<f32> = query.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let stored = &folder.tensor("model.layers.0.self_attn.q_proj.weight").values;
        assert_eq!(query == *stored, folder.path != llama3.path);
        assert_eq!(query[..WIDTH], stored[..WIDTH], "the first row stays the first");
        let second = if folder.path == llama3.path { folder::HEAD_DIM / 2 } else { 1 };
        assert_eq!(query[WIDTH..2 * WIDTH], stored[second * WIDTH..][..WIDTH]);
    }
}

/// Whatever is wrong with a folder, the error says what, and nothing is left of the file.
#[test]
fn folders_that_are_not_sound_are_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out/model.gguf");
    fs::create_dir(dir.path().join("out")).unwrap();
    let source = dir.path().join("model");
    let refused = |change: &dyn Fn(&mut Folder), after: &dyn Fn(&Path), expected: &str| {
        let _ = fs::remove_dir_all(&source);
        let mut folder = Folder::llama(&source);
        change(&mut folder);
        folder.write(Stored::F32);
        after(&source);
        let error = converted(&source, Quantisation::Q8_0, &target).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        assert_eq!(names_in(target.parent().unwrap()), Vec::<PathBuf>::new());
    };
    let kept = |_: &mut Folder| {};
    let nothing = |_: &Path| {};
    refused(&|folder| drop(folder.tensors.pop()), &nothing, "the tensor `model.norm.weight` is missing");
    refused(&|folder| folder.add("model.layers.0.self_attn.q_proj.bias", &[256]), &nothing, "q_proj.bias`");
    refused(
        &|folder| folder.config["intermediate_size"] = json!(INNER / 2),
        &nothing,
        "has shape [512, 256] instead of [256, 256]",
    );
    refused(&|folder| folder.config["tie_word_embeddings"] = json!(false), &nothing, "`lm_head.weight` is missing");
    refused(
        &|folder| folder.tensors.last_mut().unwrap().values[3] = f32::NAN,
        &nothing,
        "`output_norm.weight`: it holds the number NaN",
    );
    refused(&kept, &|path| fs::remove_file(path.join("config.json")).unwrap(), "no config.json");
    refused(&kept, &|path| fs::remove_file(path.join("tokenizer.json")).unwrap(), "no tokenizer.json");
    refused(
        &kept,
        &|path| fs::rename(path.join("model.safetensors"), path.join("pytorch_model.bin")).unwrap(),
        "can run code",
    );
    refused(&kept, &|path| fs::write(path.join("tokenizer.json"), "{").unwrap(), "tokenizer.json cannot be used");
    for name in ["../x.safetensors", "/etc/x.safetensors", ".safetensors", "a/b.safetensors", "pytorch_model.bin"] {
        let index = json!({"weight_map": {"model.norm.weight": name}});
        refused(
            &kept,
            &|path| write_json(path, "model.safetensors.index.json", &index),
            "is no name of a file beside it",
        );
    }
    refused(
        &kept,
        &|path| {
            let bytes = fs::read(path.join("model.safetensors")).unwrap();
            fs::write(path.join("model.safetensors"), &bytes[..bytes.len() - 1]).unwrap();
        },
        "cut off",
    );
}

#[test]
fn a_copy_of_the_tied_embedding_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::llama(&dir.path().join("model"));
    folder.write(Stored::F16);
    let plain = quantised(&folder, Quantisation::Q8_0).sha256;
    folder.add("lm_head.weight", &[263, WIDTH]);
    folder.add("model.layers.0.self_attn.rotary_emb.inv_freq", &[16]);
    folder.write(Stored::F16);
    let copied = converted(&folder.path, Quantisation::Q8_0, &dir.path().join("copied.gguf")).unwrap();
    assert_eq!(copied.sha256, plain);
}

/// Quantising twice loses twice, and a file that exists is not replaced.
#[test]
fn quantised_files_and_files_that_exist_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::llama(&dir.path().join("model"));
    folder.write(Stored::F16);
    let eight = quantised(&folder, Quantisation::Q8_0);
    let error = converted(&eight.path, Quantisation::Q4K, &dir.path().join("four.gguf")).unwrap_err();
    assert!(error.to_string().contains("is stored as Q8_0, not as f32, f16 or bf16"), "{error}");
    let error = converted(&folder.path, Quantisation::Q8_0, &eight.path).unwrap_err();
    assert!(error.to_string().contains("it exists"), "{error}");
    let error = converted(&dir.path().join("none"), Quantisation::Q8_0, &dir.path().join("x.gguf")).unwrap_err();
    assert_eq!(error.code(), "model_io");
}
