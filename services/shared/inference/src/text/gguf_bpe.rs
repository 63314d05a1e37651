//! The byte-level BPE tokenizer that a GGUF file describes.
//!
//! A GGUF file holds vocabulary and merges, but only the *name* (`tokenizer.ggml.pre`) of the rule
//! that cuts text into words before merging. With a wrong rule there are still tokens, and the
//! model answers them with nonsense. So each known rule is written out here, and an unknown name is
//! refused.
//!
//! There are two ways to encode, and the difference is a security boundary.
//! [`Tokenizer::encode_text`] is for text of strangers, in which a literal `<|im_end|>` is just ten
//! characters. [`Tokenizer::encode_template`] is for the model's own template, in which it is the
//! control token.

use std::sync::Arc;

use candle_core::quantized::gguf_file::Content;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{PreTokenizerWrapper, Tokenizer as Bpe};

use super::detokenise::Detokeniser;
use crate::error::EngineError;
use crate::gguf;

const KNOWN_TOKENIZERS: &str = "gpt2 with pre `gpt-2`, `smollm` or `llama-bpe`";

/// Words as Llama 3 cuts them; from the `tokenizer.json` of its release.
const LLAMA3_WORDS: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Values of `tokenizer.ggml.token_type` whose tokens are matched whole in templates and never in
/// the text of strangers: 3 marks control tokens, 4 tokens that the model's makers added.
const WHOLE_TOKEN_TYPES: [u32; 2] = [3, 4];

/// Tokens that end an answer in the model families whose GGUF files name only one of several.
const ENDING_NAMES: [&str; 6] =
    ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|end|>"];

/// Text to token ids and back, as the model was trained.
pub(crate) struct Tokenizer {
    bpe: Bpe,
    /// Control tokens, longest first so that the longest match wins.
    whole: Vec<(String, u32)>,
    /// Ids that end an answer, ascending.
    endings: Vec<u32>,
    /// The token that must stand first, where the model demands one.
    begin: Option<u32>,
    begin_text: String,
    end_text: String,
    detokeniser: Arc<Detokeniser>,
}

impl Tokenizer {
    /// Builds the tokenizer from the metadata of a GGUF file.
    pub(crate) fn from_gguf(content: &Content) -> Result<Self, EngineError> {
        let kind = gguf::string(content, "tokenizer.ggml.model")?;
        let pre = gguf::string(content, "tokenizer.ggml.pre").unwrap_or("default");
        let rule = WordRule::named(kind, pre)?;
        let tokens = gguf::strings(content, "tokenizer.ggml.tokens")?;
        let merges = gguf::strings(content, "tokenizer.ggml.merges")?;
        let types = gguf::numbers(content, "tokenizer.ggml.token_type")?;
        if types.len() != tokens.len() {
            return Err(gguf::broken("tokenizer.ggml.token_type has another length than tokenizer.ggml.tokens"));
        }

        let is_whole = |id: usize| WHOLE_TOKEN_TYPES.contains(&types[id]);
        let mut whole: Vec<(String, u32)> = tokens
            .iter()
            .enumerate()
            .filter(|(id, _)| is_whole(*id))
            .map(|(id, text)| (text.clone(), id as u32))
            .collect();
        whole.sort_by(|left, right| right.0.len().cmp(&left.0.len()).then(left.1.cmp(&right.1)));

        let named = |key: &str| gguf::number(content, key).ok().filter(|id| (*id as usize) < tokens.len());
        let begin_id = named("tokenizer.ggml.bos_token_id");
        let end_id = named("tokenizer.ggml.eos_token_id");
        let mut endings: Vec<u32> = ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"]
            .iter()
            .filter_map(|key| named(key))
            .collect();
        endings.extend(end_id);
        endings.extend(whole.iter().filter(|(text, _)| ENDING_NAMES.contains(&text.as_str())).map(|(_, id)| *id));
        endings.sort_unstable();
        endings.dedup();
        if endings.is_empty() {
            return Err(gguf::broken("no token ends an answer: tokenizer.ggml.eos_token_id is missing"));
        }
        let text_of = |id: Option<u32>| id.map(|id| tokens[id as usize].clone()).unwrap_or_default();
        let must_begin = gguf::boolean(content, "tokenizer.ggml.add_bos_token").unwrap_or(false);
        let detokeniser = Detokeniser::new(tokens.iter().enumerate().map(|(id, text)| (text.as_str(), is_whole(id))));

        Ok(Self {
            begin_text: text_of(begin_id),
            end_text: text_of(end_id),
            begin: begin_id.filter(|_| must_begin),
            bpe: rule.build(tokens, &merges)?,
            whole,
            endings,
            detokeniser: Arc::new(detokeniser),
        })
    }

    /// Ids of text that strangers wrote. Nothing in it becomes a control token.
    pub(crate) fn encode_text(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        let encoding = self.bpe.encode_fast(text, false).map_err(|error| EngineError::InvalidRequest {
            reason: format!("its text cannot be tokenised: {error}"),
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Ids of a text of the model's own template. Names of control tokens become control tokens.
    pub(crate) fn encode_template(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        let mut ids = Vec::new();
        let mut plain_from = 0;
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if let Some((name, id)) =
                self.whole.iter().find(|(name, _)| !name.is_empty() && rest.starts_with(name.as_str()))
            {
                ids.extend(self.encode_text(&text[plain_from..at])?);
                ids.push(*id);
                at += name.len();
                plain_from = at;
            } else {
                at += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
        ids.extend(self.encode_text(&text[plain_from..])?);
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

/// The rule that cuts text into words before merging.
enum WordRule {
    /// GPT-2's expression.
    Gpt2,
    /// Each digit apart, then GPT-2's expression.
    DigitsThenGpt2,
    /// Llama 3's expression; words that are tokens are taken without merging.
    Llama3,
}

impl WordRule {
    fn named(kind: &str, pre: &str) -> Result<Self, EngineError> {
        match (kind, pre) {
            ("gpt2", "gpt-2") => Ok(Self::Gpt2),
            ("gpt2", "smollm") => Ok(Self::DigitsThenGpt2),
            ("gpt2", "llama-bpe") => Ok(Self::Llama3),
            _ => Err(EngineError::UnsupportedTokenizer {
                tokenizer: format!("{kind} with pre `{pre}`"),
                known: KNOWN_TOKENIZERS,
            }),
        }
    }

    fn build(&self, tokens: Vec<String>, merges: &[String]) -> Result<Bpe, EngineError> {
        let pairs: Option<Vec<(String, String)>> = merges
            .iter()
            .map(|merge| merge.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned())))
            .collect();
        let pairs = pairs.ok_or_else(|| gguf::broken("a line of tokenizer.ggml.merges is not two tokens"))?;
        let vocabulary: Vocab = tokens.into_iter().enumerate().map(|(id, token)| (token, id as u32)).collect();
        // The library panics, instead of refusing, if a merged pair is longer than every token.
        if let Some((left, right)) =
            pairs.iter().find(|(left, right)| !vocabulary.contains_key(&[&**left, right].concat()))
        {
            return Err(gguf::broken(&format!(
                "the merges do not fit the vocabulary: `{left}` and `{right}` make no token"
            )));
        }
        let model = BPE::builder()
            .vocab_and_merges(vocabulary, pairs)
            .ignore_merges(matches!(self, Self::Llama3))
            .build()
            .map_err(|error| gguf::broken(&format!("the merges do not fit the vocabulary: {error}")))?;
        let mut bpe = Bpe::new(model);
        bpe.with_pre_tokenizer(Some(self.words()?));
        Ok(bpe)
    }

    fn words(&self) -> Result<PreTokenizerWrapper, EngineError> {
        Ok(match self {
            Self::Gpt2 => ByteLevel::new(false, true, true).into(),
            Self::DigitsThenGpt2 => {
                Sequence::new(vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()]).into()
            }
            Self::Llama3 => {
                let split =
                    Split::new(SplitPattern::Regex(LLAMA3_WORDS.into()), SplitDelimiterBehavior::Isolated, false)
                        .map_err(|error| {
                            gguf::broken(&format!("the expression for words does not compile: {error}"))
                        })?;
                Sequence::new(vec![split.into(), ByteLevel::new(false, true, false).into()]).into()
            }
        })
    }
}

#[cfg(test)]
mod tests;
