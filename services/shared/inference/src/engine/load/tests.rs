#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

use super::{LoadPlan, describe};
use crate::config::{DeviceKind, EngineConfig, WeightsKind};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::step::{Batch, ModelConfig, StepModel};
use crate::testing::quantised::{self, File, Types};
use crate::{gguf, testing};

/// A file with the metadata of a small model and two of its tensors.
fn file(changes: &[(&str, Value)]) -> Vec<u8> {
    let mut metadata = testing::shaped().metadata;
    let template = "{% for message in messages %}<|im_start|>{{ message.content }}<|im_end|>{% endfor %}";
    metadata.insert("tokenizer.chat_template".to_owned(), Value::String(template.to_owned()));
    for (key, value) in changes {
        metadata.insert((*key).to_owned(), value.clone());
    }
    let mut metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    // The same file in every run.
    metadata.sort_by_key(|(key, _)| *key);
    let tensor = |rows: usize, dtype| {
        let values: Vec<f32> = (0..rows * 32).map(|value| value as f32).collect();
        QTensor::quantize(&Tensor::from_vec(values, (rows, 32), &Device::Cpu).unwrap(), dtype).unwrap()
    };
    let tensors =
        [("token_embd.weight", tensor(4, GgmlDType::Q4_1)), ("output_norm.weight", tensor(1, GgmlDType::F32))];
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let mut bytes = Cursor::new(Vec::new());
    gguf_file::write(&mut bytes, &metadata, &tensors).unwrap();
    bytes.into_inner()
}

fn reason(bytes: &[u8]) -> String {
    gguf::header(&mut Cursor::new(bytes)).err().unwrap().to_string()
}

#[test]
fn broken_headers_are_survived() {
    let whole = file(&[]);
    describe(&gguf::header(&mut Cursor::new(&whole)).unwrap()).unwrap();
    let flat = file(&[("general.alignment", Value::U32(32)), ("tokenizer.ggml.add_bos_token", Value::Bool(true))]);
    precis_fuzz::survives("gguf", &[whole, flat], |bytes| {
        if let Ok(content) = gguf::header(&mut Cursor::new(bytes)) {
            let _ = describe(&content);
        }
    });
}

#[test]
fn a_header_that_the_parser_panics_at_is_a_bad_model() {
    assert!(reason(&file(&[("general.alignment", Value::U32(0))])).contains("makes no sense"));
}

#[test]
fn merges_that_make_no_token_are_a_bad_model() {
    let pair = Value::Array(vec![Value::String("<|endoftext|> <|endoftext|>".to_owned())]);
    let bytes = file(&[("tokenizer.ggml.merges", pair)]);
    let error = describe(&gguf::header(&mut Cursor::new(bytes)).unwrap()).err().unwrap();
    assert!(error.to_string().contains("make no token"), "{error}");
}

#[test]
fn a_file_that_was_cut_off_says_so_before_anything_is_loaded() {
    let whole = file(&[]);
    let reason = reason(&whole[..whole.len() - 64]);
    assert!(reason.contains("cut off"), "{reason}");
}

/// Loads a small model as for a device, though the processor computes it.
fn on_device(config: &EngineConfig) -> Result<(Box<dyn StepModel + Send>, u64), EngineError> {
    let mut file = File::new(Types::q4_k_m()).open();
    let shape = ModelConfig::from_gguf(&file.content).unwrap();
    let blocks = quantised::BLOCKS;
    let plan = LoadPlan { shape, config, context: quantised::CONTEXT, blocks };
    let (model, _, needs) = plan.on_device(&mut file, Device::Cpu)?;
    Ok((model, needs.weights))
}

#[test]
fn a_device_keeps_weights_quantised_unless_told_otherwise() {
    let bytes = |weights| {
        let config = EngineConfig { weights, kv_tokens: quantised::CONTEXT, ..EngineConfig::default() };
        let (mut model, bytes) = on_device(&config).unwrap();
        let mut batch = Batch::default();
        batch.push(&[1, 2, 3], 0, &[0], Some(&[]));
        let choices = model.step(&batch).unwrap();
        assert!(choices.len() == 1 && choices[0].logprob.is_finite());
        // A step that wants no logits.
        batch.logit_rows.clear();
        batch.written.clear();
        assert!(model.step(&batch).unwrap().is_empty());
        bytes
    };
    let (kept, dense) = (bytes(EngineConfig::default().weights), bytes(WeightsKind::Dense));
    assert!(kept * 2 < dense, "{kept} and {dense} bytes");
}

#[test]
fn a_device_without_the_memory_is_refused_with_the_numbers() {
    let config =
        |device_memory_mib, kv_tokens| EngineConfig { device_memory_mib, kv_tokens, ..EngineConfig::default() };
    let error = on_device(&config(1, 512)).err().unwrap();
    assert!(matches!(error, EngineError::NotEnoughMemory { available_mib: 1, fitting_kv_tokens: 0, .. }), "{error}");
    assert!(on_device(&config(2048, 512)).is_ok());
    let error = on_device(&config(2048, 8 << 20)).err().unwrap();
    // 2 layers of keys and values of 128 bf16: 1 KiB a token.
    assert!(matches!(error, EngineError::NotEnoughMemory { pool_mib: 8192, .. }), "{error}");
    assert!(error.to_string().contains("lower `kv_tokens` to 1"), "{error}");
    let adapters = EngineConfig { adapter_bytes: 2 << 30, ..config(2048, 512) };
    let error = on_device(&adapters).err().unwrap();
    assert!(matches!(error, EngineError::NotEnoughMemory { adapters_mib: 2048, .. }), "{error}");
}

/// The processor's memory is planned with the room of adapters, too.
#[test]
fn a_processor_without_room_for_adapters_is_refused() {
    let model = File::new(Types::q4_k_m());
    let start = |adapter_bytes| {
        let config = EngineConfig { device: DeviceKind::Cpu, kv_tokens: 512, adapter_bytes, ..EngineConfig::default() };
        Engine::start(&model.entry, model.file.path(), config)
    };
    assert!(start(1 << 20).is_ok());
    // 16 EiB.
    let error = start(u64::MAX).err().unwrap();
    assert_eq!(error.code(), "not_enough_memory");
    assert!(error.to_string().contains("or `adapter_bytes`, or use a smaller model"), "{error}");
}
