#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

use super::describe;
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
