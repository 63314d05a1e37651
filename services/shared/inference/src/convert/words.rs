//! Which of the known rules cuts text into words, told by the rule itself.
//!
//! GGUF stores only a name (`tokenizer.ggml.pre`). llama.cpp's converter finds the name by a hash
//! of one text's ids, which changes with the vocabulary. A `tokenizer.json` holds the rule, so the
//! rule is compared, and one that is not known is refused.

use serde_json::Value as Json;

use crate::error::EngineError;

const KNOWN_RULES: &str = "the rules `gpt-2`, `smollm`, `llama-bpe`, `qwen2` and `tekken` of byte-level BPE";

/// Each expression as its release's `tokenizer.json` has it, and GGUF's name for the rule.
const EXPRESSIONS: [(&str, &str); 3] = [
    (
        "llama-bpe",
        concat!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|",
            r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
    ),
    (
        "qwen2",
        concat!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|",
            r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
    ),
    (
        "tekken",
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|",
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
    ),
];

/// One step of a rule.
#[derive(Debug, PartialEq)]
enum Step<'a> {
    /// Each digit apart.
    Digits,
    /// Matches of the expression, and what is between, apart.
    Split(&'a str),
    /// Bytes as letters, after GPT-2's expression where it is asked for.
    Bytes { with_gpt2_words: bool },
}

/// GGUF's name of the rule that a `tokenizer.json` describes.
pub(super) fn rule(
    normalizer: Option<&Json>,
    pre_tokenizer: Option<&Json>,
    ignores_merges: bool,
) -> Result<&'static str, EngineError> {
    let unknown = |what: String| EngineError::UnsupportedTokenizer { tokenizer: what, known: KNOWN_RULES };
    let pre_tokenizer = pre_tokenizer.ok_or_else(|| unknown("a tokenizer.json without pre_tokenizer".to_owned()))?;
    let mut steps = Vec::new();
    collect(pre_tokenizer, &mut steps).map_err(unknown)?;
    let name = match steps[..] {
        [Step::Bytes { with_gpt2_words: true }] => "gpt-2",
        [Step::Digits, Step::Bytes { with_gpt2_words: true }] => "smollm",
        [Step::Split(words), Step::Bytes { with_gpt2_words: false }] => EXPRESSIONS
            .iter()
            .find(|(_, known)| *known == words)
            .map(|(name, _)| *name)
            .ok_or_else(|| unknown(format!("byte-level BPE with the words `{words}`")))?,
        _ => return Err(unknown(format!("byte-level BPE with the steps {steps:?}"))),
    };
    let normalises = normalizer.filter(|value| !value.is_null()).map(|value| value["type"].as_str().unwrap_or("?"));
    match (name, normalises) {
        // Qwen's composes characters, which GGUF cannot say; llama.cpp leaves it out as well.
        (_, None) | ("qwen2", Some("NFC")) => {}
        (_, Some(other)) => return Err(unknown(format!("`{name}` with the normalizer {other}"))),
    }
    // The name implies it for these two; early files of Llama 3 did not say it.
    if ignores_merges && !matches!(name, "llama-bpe" | "tekken") {
        return Err(unknown(format!("`{name}` that ignores merges")));
    }
    Ok(name)
}

fn collect<'a>(json: &'a Json, steps: &mut Vec<Step<'a>>) -> Result<(), String> {
    let on = |key: &str, unset: bool| json[key].as_bool().unwrap_or(unset);
    match json["type"].as_str().unwrap_or("?") {
        "Sequence" => {
            for inner in json["pretokenizers"].as_array().into_iter().flatten() {
                if inner["type"] == "Sequence" {
                    return Err("a tokenizer.json with a sequence in a sequence".to_owned());
                }
                collect(inner, steps)?;
            }
            Ok(())
        }
        "Digits" if on("individual_digits", false) => {
            steps.push(Step::Digits);
            Ok(())
        }
        "Split" if json["behavior"] == "Isolated" && !on("invert", false) => {
            let words = json["pattern"]["Regex"].as_str().ok_or("a split by something else than an expression")?;
            steps.push(Step::Split(words));
            Ok(())
        }
        "ByteLevel" if !on("add_prefix_space", true) => {
            steps.push(Step::Bytes { with_gpt2_words: on("use_regex", true) });
            Ok(())
        }
        other => Err(format!("a tokenizer.json with the pre-tokenizer {other} as it is set there")),
    }
}

#[cfg(test)]
mod tests;
