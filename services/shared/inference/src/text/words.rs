//! The rules that cut text into words before byte pairs are merged.

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{PreTokenizerWrapper, Tokenizer as Bpe};

use crate::error::EngineError;
use crate::gguf;

/// Words as Llama 3 cuts them; from the `tokenizer.json` of its release.
const LLAMA3_WORDS: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Words as Qwen 2 and 3 cut them: Llama 3's, with each digit apart.
const QWEN2_WORDS: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Words as Mistral Nemo cuts them: where small letters are followed by a capital, too.
const TEKKEN_WORDS: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// The rule that cuts text into words before merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WordRule {
    /// GPT-2's expression.
    Gpt2,
    /// Each digit apart, then GPT-2's expression.
    DigitsThenGpt2,
    /// Llama 3's expression; words that are tokens are taken without merging.
    Llama3,
    /// Llama 3's expression, and all words are merged.
    Smaug,
    /// Qwen 2's expression, after characters are composed (Unicode's form C).
    Qwen2,
    /// Mistral Nemo's expression; words that are tokens are taken without merging.
    Tekken,
}

impl WordRule {
    pub(super) fn named(kind: &str, pre: &str) -> Result<Self, EngineError> {
        match (kind, pre) {
            ("gpt2", "gpt-2") => Ok(Self::Gpt2),
            ("gpt2", "smollm") => Ok(Self::DigitsThenGpt2),
            ("gpt2", "llama-bpe") => Ok(Self::Llama3),
            ("gpt2", "smaug-bpe") => Ok(Self::Smaug),
            ("gpt2", "qwen2") => Ok(Self::Qwen2),
            ("gpt2", "tekken") => Ok(Self::Tekken),
            _ => Err(EngineError::UnsupportedTokenizer {
                tokenizer: format!("{kind} with pre `{pre}`"),
                known: super::KNOWN,
            }),
        }
    }

    /// Whether words that are tokens are taken without merging.
    fn takes_whole_words(self) -> bool {
        matches!(self, Self::Llama3 | Self::Tekken)
    }

    /// Whether models with this rule demand a token that stands first where their file does not
    /// say.
    pub(super) fn must_begin(self) -> bool {
        matches!(self, Self::Llama3 | Self::Tekken)
    }

    pub(super) fn build(self, tokens: Vec<String>, merges: &[String]) -> Result<Bpe, EngineError> {
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
            .ignore_merges(self.takes_whole_words())
            .build()
            .map_err(|error| gguf::broken(&format!("the merges do not fit the vocabulary: {error}")))?;
        let mut bpe = Bpe::new(model);
        if self == Self::Qwen2 {
            bpe.with_normalizer(Some(NFC)).map_err(|error| gguf::broken(&format!("no composing: {error}")))?;
        }
        bpe.with_pre_tokenizer(Some(self.words()?));
        Ok(bpe)
    }

    fn words(self) -> Result<PreTokenizerWrapper, EngineError> {
        let expression = match self {
            Self::Gpt2 => return Ok(ByteLevel::new(false, true, true).into()),
            Self::DigitsThenGpt2 => {
                let parts = vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()];
                return Ok(Sequence::new(parts).into());
            }
            Self::Llama3 | Self::Smaug => LLAMA3_WORDS,
            Self::Qwen2 => QWEN2_WORDS,
            Self::Tekken => TEKKEN_WORDS,
        };
        let split = Split::new(SplitPattern::Regex(expression.into()), SplitDelimiterBehavior::Isolated, false)
            .map_err(|error| gguf::broken(&format!("the expression for words does not compile: {error}")))?;
        Ok(Sequence::new(vec![split.into(), ByteLevel::new(false, true, false).into()]).into())
    }
}
