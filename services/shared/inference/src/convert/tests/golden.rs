//! Folders of each family, converted as llama.cpp's own converter does
//! (`tests/golden/converted.py`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use candle_core::Device;
use candle_core::quantized::gguf_file::Value;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::super::{Quantisation, quantise};
use super::folder::{Matrix, Stored, safetensors};

/// Keys that llama.cpp writes and we do not: names made of the folder's, and what text is given
/// besides its first token.
const THEIRS: [&str; 4] =
    ["general.name", "general.size_label", "tokenizer.ggml.add_sep_token", "tokenizer.ggml.add_eos_token"];
/// Keys that we write always, or where llama.cpp has no place for them, and it only sometimes.
const OURS: [&str; 7] = [
    "attention.key_length",
    "attention.value_length",
    "attention.sliding_window",
    "rope.dimension_count",
    "vocab_size",
    "add_bos_token",
    "unknown_token_id",
];

#[derive(Deserialize)]
struct Golden {
    families: Vec<Family>,
}

#[derive(Deserialize)]
struct Family {
    name: String,
    files: BTreeMap<String, String>,
    shapes: BTreeMap<String, Vec<usize>>,
    /// Types and value by key.
    metadata: BTreeMap<String, (Vec<String>, Json)>,
    tensors: BTreeMap<String, Tensor>,
}

#[derive(Deserialize)]
struct Tensor {
    format: String,
    shape: Vec<usize>,
    numbers: Vec<f32>,
    sha256: String,
}

/// The weights of that name, as the script makes them.
fn matrix(name: &str, shape: &[usize]) -> Matrix {
    let seed = name.bytes().fold(0x811C_9DC5_u32, |seed, byte| (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let number = |at: usize| {
        let code = (at as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 24;
        (code as f32 - 128.0) / 512.0
    };
    let values = (0..shape.iter().product()).map(number).collect();
    Matrix { name: name.to_owned(), shape: shape.to_vec(), values }
}

fn write(family: &Family, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (name, text) in &family.files {
        let bytes = if Path::new(name).extension().is_some_and(|kind| kind == "model") {
            base64(text)
        } else {
            text.as_bytes().to_vec()
        };
        fs::write(folder.join(name), bytes).unwrap();
    }
    // The head of a tied model is not saved.
    let tensors: Vec<Matrix> = family.shapes.iter().map(|(name, shape)| matrix(name, shape)).collect();
    fs::write(folder.join("model.safetensors"), safetensors(&tensors, Stored::Bf16)).unwrap();
}

fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let letters = text.bytes().filter(|byte| *byte != b'=').map(value);
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for six in letters {
        (bits, held) = (bits << 6 | u32::from(six), held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}

/// A value with its types, as the script tells both.
fn told(value: &Value) -> (Vec<String>, Json) {
    let kind = |value: &Value| match value {
        Value::U32(_) => "UINT32",
        Value::I32(_) => "INT32",
        Value::F32(_) => "FLOAT32",
        Value::Bool(_) => "BOOL",
        Value::String(_) => "STRING",
        Value::Array(_) => "ARRAY",
        other => panic!("no file has {other:?}"),
    };
    match value {
        Value::U32(number) => (vec![kind(value).into()], json!(number)),
        Value::I32(number) => (vec![kind(value).into()], json!(number)),
        Value::F32(number) => (vec![kind(value).into()], json!(f64::from(*number))),
        Value::Bool(truth) => (vec![kind(value).into()], json!(truth)),
        Value::String(text) => (vec![kind(value).into()], json!(text)),
        Value::Array(items) => {
            let inner: Vec<Json> = items.iter().map(|item| told(item).1).collect();
            (vec![kind(value).into(), kind(&items[0]).into()], Json::Array(inner))
        }
        other => panic!("no file has {other:?}"),
    }
}

#[test]
fn folders_are_converted_as_llama_cpp_converts_them() {
    let golden: Golden = serde_json::from_str(include_str!("../../../tests/golden/converted.json")).unwrap();
    assert_eq!(golden.families.len(), 6);
    let dir = tempfile::tempdir().unwrap();
    for family in golden.families {
        let (folder, target) = (dir.path().join(&family.name), dir.path().join(format!("{}.gguf", family.name)));
        write(&family, &folder);
        quantise(&folder, Quantisation::F16, &target, &mut |_| {})
            .unwrap_or_else(|error| panic!("{}: {error}", family.name));
        let mut reader = fs::File::open(&target).unwrap();
        let content = crate::gguf::header(&mut reader).unwrap();
        for (key, expected) in family.metadata.iter().filter(|(key, _)| !THEIRS.contains(&key.as_str())) {
            let found = content.metadata.get(key).unwrap_or_else(|| panic!("{}: no {key}", family.name));
            assert_eq!(&told(found), expected, "{}: {key}", family.name);
        }
        for key in content.metadata.keys().filter(|key| !family.metadata.contains_key(*key)) {
            assert!(OURS.iter().any(|ours| key.ends_with(ours)), "{}: {key}", family.name);
        }
        assert_eq!(content.tensor_infos.len(), family.tensors.len(), "{}", family.name);
        for (name, expected) in &family.tensors {
            let found = content.tensor(&mut reader, name, &Device::Cpu).unwrap();
            assert_eq!(
                (format!("{:?}", found.dtype()), found.shape().dims()),
                (expected.format.clone(), &expected.shape[..])
            );
            if expected.numbers.is_empty() {
                let digest: String =
                    Sha256::digest(found.data().unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(digest, expected.sha256, "{}: {name}", family.name);
                continue;
            }
            let numbers: Vec<f32> = found.dequantize(&Device::Cpu).unwrap().to_vec1().unwrap();
            for (found, expected) in numbers.iter().zip(&expected.numbers) {
                assert!((found - expected).abs() < 1e-5 * expected, "{}: {found} for {expected}", family.name);
            }
        }
    }
}
