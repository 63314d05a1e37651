//! The tokenizer that a GGUF file describes: byte-level BPE, or `SentencePiece`.
//!
//! A GGUF file holds vocabulary and merges, but only the *name* (`tokenizer.ggml.pre`) of the rule
//! that cuts text into words before merging. With a wrong rule there are still tokens, and the
//! model answers them with nonsense. So each known rule is written out in [`super::words`], and an
//! unknown name is refused.
//!
//! There are two ways to encode, and the difference is a security boundary.
//! [`Tokenizer::encode_text`] is for text of strangers, in which a literal `<|im_end|>` is just ten
//! characters. [`Tokenizer::parts`] is for the model's own template, in which it is the control
//! token.

use std::sync::Arc;

use candle_core::quantized::gguf_file::Content;
use tokenizers::Tokenizer as Bpe;

use super::detokenise::Detokeniser;
use super::sentencepiece::{self, SentencePiece};
use super::words::WordRule;
use crate::error::EngineError;
use crate::gguf;

/// Values of `tokenizer.ggml.token_type` whose tokens are matched whole in templates and never in
/// the text of strangers: 3 marks control tokens, 4 tokens that the model's makers added.
const WHOLE_TOKEN_TYPES: [u32; 2] = [3, 4];

/// Tokens that end an answer in the model families whose GGUF files name only one of several.
const ENDING_NAMES: [&str; 6] =
    ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|end|>"];

/// Control tokens of Phi-3 behind which white space counts; behind all others it is left out.
const PHI3_KEEPS_SPACE: [&str; 3] = ["<unk>", "<s>", "<|endoftext|>"];

/// Text to token ids and back, as the model was trained.
pub(crate) struct Tokenizer {
    model: Model,
    /// Control tokens, longest first so that the longest match wins.
    whole: Vec<ControlToken>,
    /// Ids that end an answer, ascending.
    endings: Vec<u32>,
    /// The token that must stand first, where the model demands one.
    begin: Option<u32>,
    begin_text: String,
    end_text: String,
    detokeniser: Arc<Detokeniser>,
}

enum Model {
    Bpe(Box<Bpe>),
    SentencePiece(SentencePiece),
}

struct ControlToken {
    name: String,
    id: u32,
    /// Whether white space behind it is left out.
    trims: bool,
}

/// A part of a template's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TemplatePart<'a> {
    Text(&'a str),
    /// A control token, and whether white space behind it is left out.
    Control {
        id: u32,
        trims: bool,
    },
}

impl Tokenizer {
    /// Builds the tokenizer from the metadata of a GGUF file.
    pub(crate) fn from_gguf(content: &Content) -> Result<Self, EngineError> {
        let kind = gguf::string(content, "tokenizer.ggml.model")?;
        let tokens = gguf::strings(content, "tokenizer.ggml.tokens")?;
        let types = gguf::numbers(content, "tokenizer.ggml.token_type")?;
        if types.len() != tokens.len() {
            return Err(gguf::broken("tokenizer.ggml.token_type has another length than tokenizer.ggml.tokens"));
        }

        let is_whole = |id: usize| WHOLE_TOKEN_TYPES.contains(&types[id]);
        let phi3 = kind == "llama" && gguf::string(content, "general.architecture").is_ok_and(|name| name == "phi3");
        let mut whole: Vec<ControlToken> = tokens
            .iter()
            .enumerate()
            .filter(|(id, _)| is_whole(*id))
            .map(|(id, name)| ControlToken {
                name: name.clone(),
                id: id as u32,
                trims: phi3 && !PHI3_KEEPS_SPACE.contains(&name.as_str()),
            })
            .collect();
        whole.sort_by(|left, right| right.name.len().cmp(&left.name.len()).then(left.id.cmp(&right.id)));

        let named = |key: &str| gguf::number(content, key).ok().filter(|id| (*id as usize) < tokens.len());
        let begin_id = named("tokenizer.ggml.bos_token_id");
        let end_id = named("tokenizer.ggml.eos_token_id");
        let mut endings: Vec<u32> = ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"]
            .iter()
            .filter_map(|key| named(key))
            .collect();
        endings.extend(end_id);
        endings.extend(whole.iter().filter(|token| ENDING_NAMES.contains(&token.name.as_str())).map(|token| token.id));
        endings.sort_unstable();
        endings.dedup();
        if endings.is_empty() {
            return Err(gguf::broken("no token ends an answer: tokenizer.ggml.eos_token_id is missing"));
        }
        let text_of = |id: Option<u32>| id.map(|id| tokens[id as usize].clone()).unwrap_or_default();
        let (begin_text, end_text) = (text_of(begin_id), text_of(end_id));
        let (model, detokeniser, must_begin) = if kind == "llama" {
            let model = SentencePiece::from_gguf(content, &tokens, &types)?;
            let spelled = tokens.iter().zip(&types).map(|(text, kind)| sentencepiece::bytes_of(text, *kind));
            let tokens = tokens.iter().zip(spelled).enumerate();
            let detokeniser =
                Detokeniser::spelled(tokens.map(|(id, (text, bytes))| (text.as_str(), bytes, is_whole(id))));
            (Model::SentencePiece(model), detokeniser, true)
        } else {
            let rule = WordRule::named(kind, gguf::string(content, "tokenizer.ggml.pre").unwrap_or("default"))?;
            let merges = gguf::strings(content, "tokenizer.ggml.merges")?;
            let detokeniser =
                Detokeniser::new(tokens.iter().enumerate().map(|(id, text)| (text.as_str(), is_whole(id))));
            (Model::Bpe(Box::new(rule.build(tokens, &merges)?)), detokeniser, rule.must_begin())
        };
        let must_begin = gguf::boolean(content, "tokenizer.ggml.add_bos_token").unwrap_or(must_begin);

        Ok(Self {
            begin_text,
            end_text,
            begin: begin_id.filter(|_| must_begin),
            model,
            whole,
            endings,
            detokeniser: Arc::new(detokeniser),
        })
    }

    /// Ids of text that strangers wrote, at the beginning or behind a control token. Nothing in it
    /// becomes a control token.
    pub(crate) fn encode_text(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        match &self.model {
            Model::Bpe(bpe) => {
                let encoding = bpe.encode_fast(text, false).map_err(|error| EngineError::InvalidRequest {
                    reason: format!("its text cannot be tokenised: {error}"),
                })?;
                Ok(encoding.get_ids().to_vec())
            }
            Model::SentencePiece(model) => Ok(model.encode(text, true)),
        }
    }

    /// Whether a text's ids depend on the text before it: `SentencePiece` does not cut words, and
    /// begins the first with a space.
    pub(crate) fn joins_texts(&self) -> bool {
        matches!(self.model, Model::SentencePiece(_))
    }

    /// Cuts a text of the model's own template at its control tokens.
    pub(crate) fn parts<'a>(&self, text: &'a str) -> Vec<TemplatePart<'a>> {
        let mut parts = Vec::new();
        let mut plain_from = 0;
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if let Some(token) =
                self.whole.iter().find(|token| !token.name.is_empty() && rest.starts_with(token.name.as_str()))
            {
                parts.extend((plain_from < at).then(|| TemplatePart::Text(&text[plain_from..at])));
                parts.push(TemplatePart::Control { id: token.id, trims: token.trims });
                at += token.name.len();
                plain_from = at;
            } else {
                at += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
        parts.extend((plain_from < text.len()).then(|| TemplatePart::Text(&text[plain_from..])));
        parts
    }

    /// Ids of a text of the model's own template. Names of control tokens become control tokens.
    #[cfg(test)]
    pub(crate) fn encode_template(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        let mut ids = Vec::new();
        for part in self.parts(text) {
            match part {
                TemplatePart::Text(text) => ids.extend(self.encode_text(text)?),
                TemplatePart::Control { id, .. } => ids.push(id),
            }
        }
        Ok(ids)
    }

    /// Ids that end an answer.
    pub(crate) fn endings(&self) -> &[u32] {
        &self.endings
    }

    /// The token that must stand first even when the template does not write it.
    pub(crate) fn begin(&self) -> Option<u32> {
        self.begin
    }

    /// The texts of the begin and end tokens, for templates that ask for them.
    pub(crate) fn begin_and_end_text(&self) -> (&str, &str) {
        (&self.begin_text, &self.end_text)
    }

    pub(crate) fn detokeniser(&self) -> &Arc<Detokeniser> {
        &self.detokeniser
    }
}

#[cfg(test)]
mod tests;
