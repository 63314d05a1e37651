//! A tiny model of random weights in a Hugging Face folder, and the same forward pass written out
//! plainly in f64 as transformers computes it: the halves of a head turn with each other.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::Content;
use half::{bf16, f16};
use serde_json::{Value as Json, json};

use crate::testing;

pub(super) const WIDTH: usize = 256;
pub(super) const INNER: usize = 512;
pub(super) const HEADS: usize = 8;
pub(super) const KV_HEADS: usize = 2;
pub(super) const HEAD_DIM: usize = 32;
pub(super) const LAYERS: usize = 2;
const EPSILON: f64 = 1e-5;
const ROPE_BASE: f64 = 10_000.0;
const TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + \
                        '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// How the numbers are stored.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stored {
    F32,
    F16,
    Bf16,
}

/// A tensor by its Hugging Face name. All numbers can be told in bf16 and in f16.
#[derive(Debug, Clone)]
pub(super) struct Matrix {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

impl Matrix {
    fn random(name: &str, shape: &[usize]) -> Self {
        let mut state = name
            .bytes()
            .fold(0x9E37_79B9_7F4A_7C15_u64, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
            | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as i32 % 129 - 64
        };
        let is_gain = shape.len() == 1;
        let value = |number: i32| if is_gain { 1.0 + number as f32 / 128.0 } else { number as f32 / 512.0 };
        Self {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: (0..shape.iter().product()).map(|_| value(next())).collect(),
        }
    }

    fn times(&self, vector: &[f64]) -> Vec<f64> {
        let dot = |row: &[f32]| row.iter().zip(vector).map(|(weight, value)| f64::from(*weight) * value).sum();
        self.values.chunks(self.shape[1]).map(dot).collect()
    }
}

/// The vocabulary that tests of this crate share.
pub(super) fn vocabulary() -> Content {
    testing::vocabulary("gpt2", "smollm")
}

fn texts(key: &str) -> Vec<String> {
    crate::gguf::strings(&vocabulary(), &format!("tokenizer.ggml.{key}")).unwrap()
}

pub(super) fn tokenizer() -> Json {
    let tokens = texts("tokens");
    let (plain, added) = tokens.split_at(testing::START as usize);
    let vocab: serde_json::Map<String, Json> =
        plain.iter().enumerate().map(|(id, token)| (token.clone(), json!(id))).collect();
    let added: Vec<Json> = added
        .iter()
        .enumerate()
        .map(|(at, token)| json!({"id": plain.len() + at, "content": token, "special": true}))
        .collect();
    json!({
        "added_tokens": added,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]},
        "model": {"type": "BPE", "vocab": vocab, "merges": texts("merges")},
    })
}

/// A model and its folder.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) config: Json,
    pub(super) tensors: Vec<Matrix>,
}

impl Folder {
    /// A Llama whose embedding is also its head.
    pub(super) fn llama(path: &Path) -> Self {
        let vocabulary = texts("tokens").len();
        let config = json!({
            "architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "hidden_size": WIDTH,
            "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
            "num_key_value_heads": KV_HEADS, "vocab_size": vocabulary, "max_position_embeddings": 512,
            "rms_norm_eps": EPSILON, "rope_theta": ROPE_BASE, "tie_word_embeddings": true,
            "bos_token_id": testing::START, "eos_token_id": testing::END,
        });
        let mut tensors = vec![Matrix::random("model.embed_tokens.weight", &[vocabulary, WIDTH])];
        for layer in 0..LAYERS {
            for (name, shape) in [
                ("input_layernorm", vec![WIDTH]),
                ("self_attn.q_proj", vec![HEADS * HEAD_DIM, WIDTH]),
                ("self_attn.k_proj", vec![KV_HEADS * HEAD_DIM, WIDTH]),
                ("self_attn.v_proj", vec![KV_HEADS * HEAD_DIM, WIDTH]),
                ("self_attn.o_proj", vec![WIDTH, HEADS * HEAD_DIM]),
                ("post_attention_layernorm", vec![WIDTH]),
                ("mlp.gate_proj", vec![INNER, WIDTH]),
                ("mlp.up_proj", vec![INNER, WIDTH]),
                ("mlp.down_proj", vec![WIDTH, INNER]),
            ] {
                tensors.push(Matrix::random(&format!("model.layers.{layer}.{name}.weight"), &shape));
            }
        }
        tensors.push(Matrix::random("model.norm.weight", &[WIDTH]));
        Self { path: path.to_owned(), config, tensors }
    }

    pub(super) fn add(&mut self, name: &str, shape: &[usize]) {
        self.tensors.push(Matrix::random(name, shape));
    }

    pub(super) fn tensor(&self, name: &str) -> &Matrix {
        self.tensors.iter().find(|tensor| tensor.name == name).unwrap()
    }

    /// Writes the folder with all weights in one file.
    pub(super) fn write(&self, stored: Stored) {
        self.write_settings();
        fs::write(self.path.join("model.safetensors"), safetensors(&self.tensors, stored)).unwrap();
    }

    /// Writes the folder with the weights in two files and an index.
    pub(super) fn write_in_parts(&self, stored: Stored) {
        self.write_settings();
        let (left, right) = self.tensors.split_at(7);
        let mut map = serde_json::Map::new();
        for (name, part) in [("model-00001-of-00002.safetensors", left), ("model-00002-of-00002.safetensors", right)] {
            fs::write(self.path.join(name), safetensors(part, stored)).unwrap();
            map.extend(part.iter().map(|tensor| (tensor.name.clone(), json!(name))));
        }
        write_json(&self.path, "model.safetensors.index.json", &json!({ "weight_map": map }));
    }

    fn write_settings(&self) {
        fs::create_dir_all(&self.path).unwrap();
        write_json(&self.path, "config.json", &self.config);
        write_json(&self.path, "tokenizer.json", &tokenizer());
        write_json(
            &self.path,
            "generation_config.json",
            &json!({"eos_token_id": [testing::END, testing::END_OF_TEXT]}),
        );
        let settings = json!({"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "chat_template": TEMPLATE});
        write_json(&self.path, "tokenizer_config.json", &settings);
    }

    /// The logits after the last of these tokens.
    pub(super) fn logits(&self, tokens: &[u32]) -> Vec<f64> {
        let embedding = self.tensor("model.embed_tokens.weight");
        let mut seen: Vec<Vec<(Vec<f64>, Vec<f64>)>> = vec![Vec::new(); LAYERS];
        let mut x = Vec::new();
        for (position, token) in tokens.iter().enumerate() {
            x = embedding.values[*token as usize * WIDTH..][..WIDTH].iter().map(|value| f64::from(*value)).collect();
            for (layer, seen) in seen.iter_mut().enumerate() {
                let of = |name: &str| self.tensor(&format!("model.layers.{layer}.{name}.weight"));
                let h = norm(&x, of("input_layernorm"));
                let query = rotate(of("self_attn.q_proj").times(&h), position);
                seen.push((rotate(of("self_attn.k_proj").times(&h), position), of("self_attn.v_proj").times(&h)));
                add(&mut x, &of("self_attn.o_proj").times(&attend(&query, seen)));
                let h = norm(&x, of("post_attention_layernorm"));
                let gate = of("mlp.gate_proj").times(&h).into_iter().map(|gate| gate / (1.0 + (-gate).exp()));
                let inner: Vec<f64> = gate.zip(of("mlp.up_proj").times(&h)).map(|(gate, up)| gate * up).collect();
                add(&mut x, &of("mlp.down_proj").times(&inner));
            }
        }
        embedding.times(&norm(&x, self.tensor("model.norm.weight")))
    }
}

pub(super) fn write_json(folder: &Path, name: &str, json: &Json) {
    fs::write(folder.join(name), serde_json::to_vec(json).unwrap()).unwrap();
}

/// A safetensors file of these tensors.
pub(super) fn safetensors(tensors: &[Matrix], stored: Stored) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for tensor in tensors {
        let from = data.len();
        for value in &tensor.values {
            match stored {
                Stored::F32 => data.extend_from_slice(&value.to_le_bytes()),
                Stored::F16 => data.extend_from_slice(&f16::from_f32(*value).to_le_bytes()),
                Stored::Bf16 => data.extend_from_slice(&bf16::from_f32(*value).to_le_bytes()),
            }
        }
        let dtype = match stored {
            Stored::F32 => "F32",
            Stored::F16 => "F16",
            Stored::Bf16 => "BF16",
        };
        header.insert(
            tensor.name.clone(),
            json!({"dtype": dtype, "shape": tensor.shape, "data_offsets": [from, data.len()]}),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

fn norm(x: &[f64], gain: &Matrix) -> Vec<f64> {
    let mean = x.iter().map(|value| value * value).sum::<f64>() / x.len() as f64;
    x.iter().zip(&gain.values).map(|(value, gain)| value / (mean + EPSILON).sqrt() * f64::from(*gain)).collect()
}

fn rotate(mut heads: Vec<f64>, position: usize) -> Vec<f64> {
    for head in heads.chunks_mut(HEAD_DIM) {
        let (first, second) = head.split_at_mut(HEAD_DIM / 2);
        for (pair, (first, second)) in first.iter_mut().zip(second).enumerate() {
            let angle = position as f64 * ROPE_BASE.powf(-2.0 * pair as f64 / HEAD_DIM as f64);
            let (sin, cos) = angle.sin_cos();
            (*first, *second) = (*first * cos - *second * sin, *second * cos + *first * sin);
        }
    }
    heads
}

fn attend(query: &[f64], seen: &[(Vec<f64>, Vec<f64>)]) -> Vec<f64> {
    let mut result = Vec::new();
    for (head, query) in query.chunks(HEAD_DIM).enumerate() {
        let at = head / (HEADS / KV_HEADS) * HEAD_DIM;
        let dot = |key: &[f64]| query.iter().zip(&key[at..]).map(|(query, key)| query * key).sum::<f64>();
        let weights: Vec<f64> = seen.iter().map(|(key, _)| (dot(key) / (HEAD_DIM as f64).sqrt()).exp()).collect();
        let sum: f64 = weights.iter().sum();
        for value in at..at + HEAD_DIM {
            let weighted = seen.iter().zip(&weights).map(|((_, values), weight)| values[value] * weight);
            result.push(weighted.sum::<f64>() / sum);
        }
    }
    result
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}
