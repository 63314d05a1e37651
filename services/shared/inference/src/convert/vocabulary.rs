//! The vocabulary of a model, from Hugging Face's files, as the metadata of a GGUF file.
//!
//! A folder has a `tokenizer.json` (byte-level BPE) or a `tokenizer.model` (`SentencePiece`). What
//! the latter's pieces are is told by [`super::sentencepiece`]; the rest is the same for both.

use std::collections::BTreeMap;

use candle_core::quantized::gguf_file::Value;
use serde::Deserialize;
use serde_json::Value as Json;

use super::sentencepiece::Piece;
use super::words;
use crate::error::EngineError;
use crate::gguf::broken;

/// Values of `tokenizer.ggml.token_type`; those of `SentencePiece` are the same.
pub(super) mod kinds {
    pub(in super::super) const NORMAL: u32 = 1;
    pub(super) const CONTROL: u32 = 3;
    pub(super) const ADDED: u32 = 4;
    pub(super) const UNUSED: u32 = 5;
}

/// Scores of tokens that no merge makes, as llama.cpp's converter writes them.
const SCORE_OF_ADDED: f32 = -1000.0;
const SCORE_OF_UNUSED: f32 = -10_000.0;

/// The files of a folder that tell of tokens; only the first two must be there in some form.
#[derive(Debug, Default)]
pub(super) struct TokenFiles {
    pub(super) tokenizer: Option<Json>,
    pub(super) tokenizer_config: Option<Json>,
    pub(super) config: Json,
    pub(super) generation_config: Option<Json>,
    pub(super) special_tokens_map: Option<Json>,
    /// `chat_template.jinja`, which newer folders have.
    pub(super) chat_template: Option<String>,
}

/// `tokenizer.json`, as far as it is read here.
#[derive(Debug, Deserialize)]
struct TokenizerJson {
    normalizer: Option<Json>,
    pre_tokenizer: Option<Json>,
    model: Bpe,
}

#[derive(Debug, Deserialize)]
struct Bpe {
    vocab: BTreeMap<String, u32>,
    merges: Vec<Merge>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: Option<bool>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Merge {
    Line(String),
    Pair(String, String),
}

#[derive(Debug, Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

/// A token of `added_tokens_decoder`, which has its id for a key.
#[derive(Debug, Deserialize)]
struct Decoded {
    content: String,
    #[serde(default)]
    special: bool,
}

/// Tokens by id.
struct Tokens {
    texts: Vec<String>,
    kinds: Vec<u32>,
    scores: Vec<f32>,
}

impl Tokens {
    /// As many as the embedding has rows; those that nobody names stay unused.
    fn new(count: usize) -> Self {
        Self {
            texts: (0..count).map(|id| format!("[PAD{id}]")).collect(),
            kinds: vec![kinds::UNUSED; count],
            scores: vec![SCORE_OF_UNUSED; count],
        }
    }

    fn set(&mut self, id: u32, text: String, kind: u32, score: f32) -> Result<(), EngineError> {
        let at = id as usize;
        if at >= self.texts.len() {
            return Err(broken(&format!("token {id} is beyond the {} of the vocabulary", self.texts.len())));
        }
        (self.texts[at], self.kinds[at], self.scores[at]) = (text, kind, score);
        Ok(())
    }

    fn add(&mut self, added: Vec<AddedToken>) -> Result<(), EngineError> {
        for token in added {
            let is_control = token.special || looks_special(&token.content);
            let kind = if is_control { kinds::CONTROL } else { kinds::ADDED };
            self.set(token.id, token.content, kind, SCORE_OF_ADDED)?;
        }
        Ok(())
    }
}

/// Whether a token that its makers did not mark is a control token all the same, by llama.cpp's
/// rule.
fn looks_special(text: &str) -> bool {
    let framed = |start: &str, end: &str| text.starts_with(start) && text.ends_with(end);
    matches!(text, "<pad>" | "<mask>" | "<2mass>" | "[@BOS@]") || framed("<|", "|>") || framed("<｜", "｜>")
}

/// Metadata of a byte-level BPE vocabulary with so many tokens.
pub(super) fn bpe(files: &TokenFiles, count: usize) -> Result<Vec<(String, Value)>, EngineError> {
    let json = files.tokenizer.as_ref().ok_or_else(|| broken("the folder has no tokenizer.json"))?;
    let unsupported = |what: &str| EngineError::UnsupportedTokenizer {
        tokenizer: what.to_owned(),
        known: "byte-level BPE (tokenizer.json) and SentencePiece BPE (tokenizer.model)",
    };
    let kind = json["model"]["type"].as_str().unwrap_or("BPE");
    if kind != "BPE" {
        return Err(unsupported(kind));
    }
    let parsed = TokenizerJson::deserialize(json).map_err(|error| broken(&format!("tokenizer.json: {error}")))?;
    let model = parsed.model;
    if model.byte_fallback {
        return Err(unsupported("BPE with byte_fallback and without its tokenizer.model"));
    }
    if [&model.continuing_subword_prefix, &model.end_of_word_suffix]
        .iter()
        .any(|fix| fix.as_deref().is_some_and(|fix| !fix.is_empty()))
    {
        return Err(unsupported("BPE with prefixes or suffixes of words"));
    }
    let rule =
        words::rule(parsed.normalizer.as_ref(), parsed.pre_tokenizer.as_ref(), model.ignore_merges.unwrap_or(false))?;
    let mut tokens = Tokens::new(count);
    let size = model.vocab.len();
    for (text, id) in model.vocab {
        if tokens.kinds.get(id as usize) == Some(&kinds::NORMAL) {
            return Err(broken(&format!("tokenizer.json gives token {id} twice")));
        }
        tokens.set(id, text, kinds::NORMAL, 0.0)?;
    }
    tokens.add(added_tokens(files)?)?;
    let merges: Result<Vec<Value>, EngineError> = model.merges.into_iter().map(merge).collect();
    let merges = merges?;
    if merges.is_empty() || size == 0 {
        return Err(broken("tokenizer.json has no vocabulary or no merges"));
    }
    let mut metadata = vec![text("model", "gpt2"), text("pre", rule)];
    metadata.extend([of("tokens", strings(&tokens.texts)), of("token_type", types(&tokens.kinds))]);
    metadata.push(of("merges", Value::Array(merges)));
    metadata.extend(special(files, &tokens.texts)?);
    Ok(metadata)
}

/// Metadata of a `SentencePiece` vocabulary with so many tokens.
pub(super) fn sentencepiece(
    pieces: Vec<Piece>,
    files: &TokenFiles,
    count: usize,
) -> Result<Vec<(String, Value)>, EngineError> {
    let mut tokens = Tokens::new(count);
    for (id, piece) in pieces.into_iter().enumerate() {
        tokens.set(id as u32, piece.text, piece.kind, piece.score)?;
    }
    let added = added_tokens(files)?.into_iter();
    // A blank is written as U+2581 within pieces and as itself in tokens that were added.
    tokens.add(added.map(|token| AddedToken { content: token.content.replace('\u{2581}', " "), ..token }).collect())?;
    let mut metadata = vec![text("model", "llama"), text("pre", "default")];
    metadata.extend([of("tokens", strings(&tokens.texts)), of("token_type", types(&tokens.kinds))]);
    metadata.push(of("scores", Value::Array(tokens.scores.iter().map(|score| Value::F32(*score)).collect())));
    let prefix = files.tokenizer_config.as_ref().and_then(|config| config["add_prefix_space"].as_bool());
    metadata.extend(prefix.map(|prefix| of("add_space_prefix", Value::Bool(prefix))));
    metadata.extend(special(files, &tokens.texts)?);
    Ok(metadata)
}

fn of(key: &str, value: Value) -> (String, Value) {
    (format!("tokenizer.ggml.{key}"), value)
}

fn text(key: &str, text: &str) -> (String, Value) {
    of(key, Value::String(text.to_owned()))
}

fn strings(texts: &[String]) -> Value {
    Value::Array(texts.iter().cloned().map(Value::String).collect())
}

fn types(kinds: &[u32]) -> Value {
    Value::Array(kinds.iter().map(|kind| Value::I32(*kind as i32)).collect())
}

/// Two tokens with a blank between, which neither may hold.
fn merge(merge: Merge) -> Result<Value, EngineError> {
    let (left, right) = match merge {
        Merge::Pair(left, right) => (left, right),
        Merge::Line(line) => {
            let (left, right) =
                line.split_once(' ').ok_or_else(|| broken("a merge of tokenizer.json is not two tokens"))?;
            (left.to_owned(), right.to_owned())
        }
    };
    if left.is_empty() || right.is_empty() || left.contains(' ') || right.contains(' ') {
        return Err(broken("a merge of tokenizer.json has an empty token or one with a blank"));
    }
    Ok(Value::String(format!("{left} {right}")))
}

/// Tokens that were added to the vocabulary: by `tokenizer.json`, else by `tokenizer_config.json`.
fn added_tokens(files: &TokenFiles) -> Result<Vec<AddedToken>, EngineError> {
    let bad = |error: serde_json::Error| broken(&format!("the added tokens: {error}"));
    if let Some(added) = files.tokenizer.as_ref().map(|json| &json["added_tokens"]).filter(|added| !added.is_null()) {
        return Vec::deserialize(added).map_err(bad);
    }
    let decoder = files.tokenizer_config.as_ref().map(|config| &config["added_tokens_decoder"]);
    let Some(decoder) = decoder.filter(|decoder| !decoder.is_null()) else { return Ok(Vec::new()) };
    let decoder: BTreeMap<u32, Decoded> = BTreeMap::deserialize(decoder).map_err(bad)?;
    Ok(decoder
        .into_iter()
        .map(|(id, token)| AddedToken { id, content: token.content, special: token.special })
        .collect())
}

/// Which tokens begin, end and fill, and the chat template.
fn special(files: &TokenFiles, tokens: &[String]) -> Result<Vec<(String, Value)>, EngineError> {
    let id = |key: &str, name: &str| named(files, name, tokens).map(|id| id.map(|id| of(key, Value::U32(id))));
    let begin = named(files, "bos", tokens)?;
    let end = named(files, "eos", tokens)?
        .ok_or_else(|| broken("no file of the folder names the token that ends an answer"))?;
    let mut metadata: Vec<(String, Value)> = begin.map(|id| of("bos_token_id", Value::U32(id))).into_iter().collect();
    metadata.push(of("eos_token_id", Value::U32(end)));
    // GGUF has two more places for tokens that end an answer; generation_config.json lists all.
    let others = endings(files).into_iter().filter(|id| *id != end && (*id as usize) < tokens.len());
    for (key, id) in ["eot_token_id", "eom_token_id"].into_iter().zip(others) {
        metadata.push(of(key, Value::U32(id)));
    }
    metadata.extend(id("unknown_token_id", "unk")?);
    metadata.extend(id("padding_token_id", "pad")?);
    let begins = files.tokenizer_config.as_ref().and_then(|config| config["add_bos_token"].as_bool());
    let begins = begins.unwrap_or_else(|| begin.is_some_and(|id| template_begins_with(files, &tokens[id as usize])));
    metadata.push(of("add_bos_token", Value::Bool(begins)));
    if let Some(template) = chat_template(files)? {
        metadata.push(("tokenizer.chat_template".to_owned(), Value::String(template)));
    }
    Ok(metadata)
}

/// The id of the token that the folder calls by that name. A name in the tokenizer's settings is
/// later than a number in `config.json`: fine-tuning changes the former.
fn named(files: &TokenFiles, name: &str, tokens: &[String]) -> Result<Option<u32>, EngineError> {
    let key = format!("{name}_token");
    for json in [&files.tokenizer_config, &files.special_tokens_map].into_iter().flatten() {
        let text = json[&key].as_str().or_else(|| json[&key]["content"].as_str());
        let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
        return match tokens.iter().position(|token| token == text) {
            Some(id) => Ok(Some(id as u32)),
            None => Err(broken(&format!("its {key} `{text}` is not in the vocabulary"))),
        };
    }
    let number = &files.config[format!("{key}_id")];
    let first = number.as_u64().or_else(|| number[0].as_u64());
    Ok(first.and_then(|id| u32::try_from(id).ok()).filter(|id| (*id as usize) < tokens.len()))
}

/// Ids of all tokens that end an answer.
fn endings(files: &TokenFiles) -> Vec<u32> {
    let lists = [files.generation_config.as_ref(), Some(&files.config)];
    let ids = lists.into_iter().flatten().flat_map(|json| {
        let value = &json["eos_token_id"];
        value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
    });
    let mut found = Vec::new();
    for id in ids.filter_map(|id| id.as_u64()).filter_map(|id| u32::try_from(id).ok()) {
        if !found.contains(&id) {
            found.push(id);
        }
    }
    found
}

/// Whether `tokenizer.json` puts the token before every text.
fn template_begins_with(files: &TokenFiles, token: &str) -> bool {
    let Some(processor) = files.tokenizer.as_ref().map(|json| &json["post_processor"]) else { return false };
    let several = processor["processors"].as_array().map(Vec::as_slice);
    several
        .unwrap_or(std::slice::from_ref(processor))
        .iter()
        .filter(|processor| processor["type"] == "TemplateProcessing")
        .any(|processor| processor["single"][0]["SpecialToken"]["id"] == token)
}

/// The chat template: one text, or the one called `default` of several.
fn chat_template(files: &TokenFiles) -> Result<Option<String>, EngineError> {
    let given = files.tokenizer_config.as_ref().map_or(&Json::Null, |config| &config["chat_template"]);
    match given {
        Json::Null => Ok(files.chat_template.clone()),
        Json::String(template) => Ok(Some(template.clone())),
        Json::Array(several) => several
            .iter()
            .find(|template| template["name"] == "default")
            .and_then(|template| template["template"].as_str())
            .map(|template| Some(template.to_owned()))
            .ok_or_else(|| broken("none of its chat templates is called `default`")),
        _ => Err(broken("the chat template of tokenizer_config.json is no text")),
    }
}

#[cfg(test)]
mod tests;
