//! Ids held to those of other implementations; how the files are made stands in the scripts in
//! `tests/golden`.

use std::path::Path;

use candle_core::quantized::gguf_file::Value;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::super::Tokenizer;
use crate::testing;

/// Ids of the default model's tokenizer, on which Hugging Face's tokenizers, llama.cpp and
/// `reference.py` agree (`tokens.py`).
#[derive(Deserialize)]
struct Golden {
    texts: Vec<Text>,
    documents: Vec<Document>,
    prompts: Vec<Prompt>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Document {
    name: String,
    count: usize,
    /// SHA-256 of the ids as little-endian 32-bit numbers.
    sha256: String,
}

#[derive(Deserialize)]
struct Prompt {
    system: String,
    user: String,
    ids: Vec<u32>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../../tests/golden/tokens.json")).unwrap()
}

/// Characters some of whose bytes the default model's vocabulary has no token for.
fn has_no_token(character: char) -> bool {
    "\u{4}\u{6}\u{13}\u{14}\u{16}\u{1d}".contains(character) || ('\u{40000}'..'\u{C0000}').contains(&character)
}

#[test]
#[ignore = "needs the model: make test fetches it"]
fn ids_equal_those_of_other_implementations() {
    let (tokenizer, _) = testing::real_text();
    for case in golden().texts {
        assert_eq!(tokenizer.encode_text(&case.text).unwrap(), case.ids, "{:?}", case.text);
        if !case.text.contains(has_no_token) {
            assert_eq!(tokenizer.detokeniser().text(&case.ids), case.text);
        }
    }
}

/// Ids of whole documents are those that the other implementations give.
#[test]
#[ignore = "needs the model: make test fetches it"]
fn ids_of_documents_equal_those_of_other_implementations() {
    let (tokenizer, _) = testing::real_text();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/documents");
    for document in golden().documents {
        let text = std::fs::read_to_string(folder.join(&document.name)).unwrap();
        let ids = tokenizer.encode_text(&text).unwrap();
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!((ids.len(), sha256), (document.count, document.sha256), "{}", document.name);
    }
}

#[test]
#[ignore = "needs the model: make test fetches it"]
fn prompts_equal_those_of_an_independent_implementation() {
    let (tokenizer, template) = testing::real_text();
    for case in golden().prompts {
        assert_eq!(template.prompt(&tokenizer, Some(&case.system), &case.user).unwrap(), case.ids, "{:?}", case.user);
    }
}

/// Golden ids that llama.cpp's sources carry for other models' tokenizers, their vocabularies cut
/// down to what the texts need.
#[derive(Deserialize)]
struct Vocabularies {
    texts: Vec<String>,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    pre: String,
    tokens: Vec<String>,
    merges: Vec<String>,
    ids: Vec<Vec<u32>>,
}

#[test]
fn ids_equal_the_golden_ones_of_llama_cpp_for_every_other_rule() {
    let golden: Vocabularies =
        serde_json::from_str(include_str!("../../../../tests/golden/vocabularies.json")).unwrap();
    for rule in golden.rules {
        let mut content = testing::vocabulary("gpt2", &rule.pre);
        let strings = |items: Vec<String>| Value::Array(items.into_iter().map(Value::String).collect());
        let types = Value::Array(vec![Value::I32(1); rule.tokens.len()]);
        content.metadata.insert("tokenizer.ggml.tokens".to_owned(), strings(rule.tokens));
        content.metadata.insert("tokenizer.ggml.merges".to_owned(), strings(rule.merges));
        content.metadata.insert("tokenizer.ggml.token_type".to_owned(), types);
        let tokenizer = Tokenizer::from_gguf(&content).unwrap();
        assert_eq!(rule.ids.len(), golden.texts.len());
        for (text, ids) in golden.texts.iter().zip(rule.ids) {
            assert_eq!(tokenizer.encode_text(text).unwrap(), ids, "{text:?} by {}", rule.pre);
            assert_eq!(tokenizer.detokeniser().text(&ids), *text);
        }
    }
}

/// Golden ids of other families' vocabularies, cut down as well (`family_tokens.py`).
#[derive(Deserialize)]
struct FamilyTokens {
    rules: Vec<FamilyRule>,
}

#[derive(Deserialize)]
struct FamilyRule {
    name: String,
    architecture: String,
    model: String,
    pre: String,
    tokens: Vec<String>,
    types: Vec<i32>,
    #[serde(default)]
    scores: Vec<f32>,
    #[serde(default)]
    merges: Vec<String>,
    texts: Vec<String>,
    ids: Vec<Vec<u32>>,
}

/// `SentencePiece`'s own library and Hugging Face's tokenizers give these ids.
#[test]
fn ids_of_families_equal_those_of_their_own_libraries() {
    let golden: FamilyTokens =
        serde_json::from_str(include_str!("../../../../tests/golden/family_tokens.json")).unwrap();
    for rule in golden.rules {
        let mut content = testing::vocabulary(&rule.model, &rule.pre);
        let strings = |items: Vec<String>| Value::Array(items.into_iter().map(Value::String).collect());
        let mut put = |key: &str, value: Value| content.metadata.insert(key.to_owned(), value);
        put("general.architecture", Value::String(rule.architecture));
        put("tokenizer.ggml.tokens", strings(rule.tokens));
        put("tokenizer.ggml.merges", strings(rule.merges));
        put("tokenizer.ggml.scores", Value::Array(rule.scores.into_iter().map(Value::F32).collect()));
        put("tokenizer.ggml.token_type", Value::Array(rule.types.into_iter().map(Value::I32).collect()));
        let tokenizer = Tokenizer::from_gguf(&content).unwrap();
        assert_eq!(rule.ids.len(), rule.texts.len());
        for (text, ids) in rule.texts.iter().zip(rule.ids) {
            assert_eq!(tokenizer.encode_text(text).unwrap(), ids, "{text:?} by {}", rule.name);
        }
    }
}
