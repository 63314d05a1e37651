//! A float model that can be converted: a Hugging Face folder, or a GGUF file.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use candle_core::quantized::gguf_file::Value;
use serde::Deserialize;
use serde_json::Value as Json;

use super::files::{FloatFiles, settings};
use super::shape::Shape;
use super::tensors::{self, RowOrder};
use super::vocabulary::{self, TokenFiles};
use super::{located, sentencepiece};
use crate::error::EngineError;
use crate::gguf::{self, broken};

/// Architectures whose GGUF files are quantised: their tensors are norms, biases and matrices.
const GGUF_ARCHITECTURES: [&str; 5] = ["llama", "qwen2", "qwen3", "phi3", "smollm3"];
/// Metadata that says how a file is stored and not what is in it.
const ABOUT_STORAGE: [&str; 3] = ["general.alignment", "general.file_type", "general.quantization_version"];
/// Largest dimension of a tensor; the same bound as for a model's shape.
const MAX_DIMENSION: usize = 1 << 20;

/// What is written, and where it comes from.
#[derive(Debug)]
pub(super) struct FloatModel {
    /// `family` of a manifest's entry.
    pub(super) family: String,
    pub(super) context: usize,
    pub(super) layers: usize,
    pub(super) metadata: Vec<(String, Value)>,
    pub(super) tensors: Vec<ToWrite>,
    pub(super) files: FloatFiles,
}

/// One tensor of the file that is written.
#[derive(Debug)]
pub(super) struct ToWrite {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Numbers,
}

/// Where a tensor's numbers come from.
#[derive(Debug)]
pub(super) enum Numbers {
    Given(Vec<f32>),
    Stored { from: String, order: RowOrder },
}

/// Opens the model, reads all that is small, and checks that its tensors are those of its family.
pub(super) fn open(path: &Path) -> Result<FloatModel, EngineError> {
    let model = if path.is_dir() { from_folder(path) } else { from_gguf(path) };
    model.map_err(|error| located(error, path))
}

fn from_folder(folder: &Path) -> Result<FloatModel, EngineError> {
    let config = settings(&folder.join("config.json"))?.ok_or_else(|| {
        broken("the folder has no config.json: give a folder as Hugging Face's save_pretrained writes it")
    })?;
    let shape = Shape::from_config(&config).map_err(|error| located(error, &folder.join("config.json")))?;
    let mut files = FloatFiles::default();
    for name in weight_files(folder)? {
        files.add_safetensors(&folder.join(name))?;
    }
    let has_head = files.shapes().any(|(name, _)| name == "lm_head.weight");
    let tied = shape.tied.unwrap_or(!has_head);
    let expected = tensors::expected(&shape, tied);
    for tensor in &expected {
        files.expect(&tensor.from, &tensor.shape)?;
    }
    let known: HashSet<&str> = expected.iter().map(|tensor| tensor.from.as_str()).collect();
    // A copy of the embedding in the place of the head is saved now and then.
    let is_spare = |name: &str| tensors::is_computed(name) || (tied && name == "lm_head.weight");
    if let Some((name, _)) = files.shapes().find(|(name, _)| !known.contains(name.as_str()) && !is_spare(name)) {
        return Err(EngineError::UnsupportedArchitecture {
            architecture: format!("{} with the tensor `{name}`", shape.family.name()),
        });
    }
    let mut metadata = shape.metadata();
    metadata.extend(vocabulary_of(folder, &config, shape.vocabulary)?);
    let factors = shape.rope_factors.iter().map(|factors| ToWrite {
        name: "rope_freqs.weight".to_owned(),
        shape: vec![factors.len()],
        numbers: Numbers::Given(factors.clone()),
    });
    let stored = expected.into_iter().map(|tensor| ToWrite {
        name: tensor.name,
        shape: tensor.shape,
        numbers: Numbers::Stored { from: tensor.from, order: tensor.order },
    });
    Ok(FloatModel {
        family: shape.family.name().to_owned(),
        context: shape.context,
        layers: shape.layers,
        metadata,
        tensors: factors.chain(stored).collect(),
        files,
    })
}

/// Names of the files that hold the weights.
fn weight_files(folder: &Path) -> Result<BTreeSet<String>, EngineError> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index = folder.join("model.safetensors.index.json");
    if let Some(text) = settings(&index)? {
        let bad = |reason: String| located(broken(&reason), &index);
        let map = serde_json::from_slice::<Index>(&text).map_err(|error| bad(error.to_string()))?.weight_map;
        let names: BTreeSet<String> = map.into_values().collect();
        return match names.iter().find(|name| !is_plain_name(name)) {
            Some(name) => Err(bad(format!("`{name}` is no name of a file beside it"))),
            None => Ok(names),
        };
    }
    let single = "model.safetensors";
    if folder.join(single).is_file() {
        return Ok(BTreeSet::from([single.to_owned()]));
    }
    Err(broken(
        "the folder has no model.safetensors and no model.safetensors.index.json; other files of weights, such as \
         pytorch_model.bin, can run code when they are read and are not read here: save the model as safetensors",
    ))
}

fn is_plain_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    name.ends_with(".safetensors") && !name.starts_with('.') && name.chars().all(is_plain)
}

fn vocabulary_of(folder: &Path, config: &[u8], count: usize) -> Result<Vec<(String, Value)>, EngineError> {
    let json = |name: &str| {
        let path = folder.join(name);
        let parse = |text: Vec<u8>| {
            serde_json::from_slice::<Json>(&text).map_err(|error| located(broken(&error.to_string()), &path))
        };
        settings(&path)?.map(parse).transpose()
    };
    let template = settings(&folder.join("chat_template.jinja"))?;
    let template = template.map(String::from_utf8).transpose();
    let files = TokenFiles {
        tokenizer: json("tokenizer.json")?,
        tokenizer_config: json("tokenizer_config.json")?,
        config: serde_json::from_slice(config).map_err(|error| broken(&error.to_string()))?,
        generation_config: json("generation_config.json")?,
        special_tokens_map: json("special_tokens_map.json")?,
        chat_template: template.map_err(|_| broken("chat_template.jinja is no UTF-8"))?,
    };
    // Llama's and Mistral's older folders have both; the pieces' scores are in this one alone.
    match settings(&folder.join("tokenizer.model"))? {
        Some(bytes) => vocabulary::sentencepiece(sentencepiece::pieces(&bytes)?, &files, count),
        None => vocabulary::bpe(&files, count),
    }
}

fn from_gguf(path: &Path) -> Result<FloatModel, EngineError> {
    let mut files = FloatFiles::default();
    let content = files.add_gguf(path)?;
    let architecture = gguf::string(&content, "general.architecture")?.to_owned();
    if !GGUF_ARCHITECTURES.contains(&architecture.as_str()) {
        return Err(EngineError::UnsupportedArchitecture { architecture });
    }
    if gguf::number(&content, "split.count").is_ok_and(|count| count > 1) {
        return Err(broken("it is one of several parts: join them first"));
    }
    let number = |key: &str| gguf::number(&content, &format!("{architecture}.{key}")).map(|number| number as usize);
    let (layers, context) = (number("block_count")?, number("context_length")?);
    let mut tensors = Vec::new();
    for (name, shape) in files.shapes() {
        let is_sound = shape.iter().all(|size| (1..=MAX_DIMENSION).contains(size));
        if !is_sound || !(1..=2).contains(&shape.len()) {
            return Err(broken(&format!("`{name}` has shape {shape:?}: neither a vector nor a matrix")));
        }
        files.expect(name, shape)?;
        let numbers = Numbers::Stored { from: name.clone(), order: RowOrder::AsStored };
        tensors.push(ToWrite { name: name.clone(), shape: shape.to_vec(), numbers });
    }
    let metadata: BTreeMap<String, Value> =
        content.metadata.into_iter().filter(|(key, _)| !ABOUT_STORAGE.contains(&key.as_str())).collect();
    Ok(FloatModel { family: architecture, context, layers, metadata: metadata.into_iter().collect(), tensors, files })
}
