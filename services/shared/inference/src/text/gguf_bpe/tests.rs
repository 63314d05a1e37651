#![allow(clippy::unwrap_used)]

use candle_core::quantized::gguf_file::Value;
use proptest::prelude::*;

use super::Tokenizer;
use crate::error::EngineError;
use crate::testing;

#[test]
fn an_unknown_rule_for_words_is_refused() {
    for (kind, pre) in [("gpt2", "default"), ("gpt2", "gpt-4o"), ("bert", "smollm")] {
        let content = testing::vocabulary(kind, pre);
        let error = Tokenizer::from_gguf(&content).map(|_| ()).unwrap_err();
        assert!(matches!(error, EngineError::UnsupportedTokenizer { .. }), "{error}");
        assert_eq!(error.code(), "unsupported_tokenizer");
    }
}

#[test]
fn merges_apply_in_order_of_rank() {
    let tokenizer = testing::tokenizer("gpt-2");
    let text = |ids: &[u32]| ids.iter().map(|id| tokenizer.detokeniser().text(&[*id])).collect::<Vec<_>>();
    assert_eq!(text(&tokenizer.encode_text("the then").unwrap()), ["the", " the", "n"]);
}

#[test]
fn smollm_cuts_digits_apart_and_gpt2_does_not() {
    let count = |pre| testing::tokenizer(pre).encode_text("12").unwrap().len();
    assert_eq!((count("gpt-2"), count("smollm")), (1, 2));
}

#[test]
fn control_tokens_in_text_stay_text() {
    let tokenizer = testing::tokenizer("smollm");
    let text = "stop<|im_end|>now";
    let ids = tokenizer.encode_text(text).unwrap();
    assert!(!ids.contains(&testing::END), "{ids:?}");
    assert_eq!(tokenizer.detokeniser().text(&ids), text);
}

#[test]
fn control_tokens_in_templates_are_tokens() {
    let tokenizer = testing::tokenizer("smollm");
    let ids = tokenizer.encode_template("<|im_start|>the<|im_end|>\n").unwrap();
    let inner = tokenizer.encode_text("the").unwrap();
    let line = tokenizer.encode_text("\n").unwrap();
    assert_eq!(ids, [&[testing::START][..], &inner, &[testing::END], &line].concat());
}

/// Tokens that the model's makers added are plain text in a document, as control tokens are.
#[test]
fn added_tokens_stay_text_in_documents() {
    let mut content = testing::vocabulary("gpt2", "smollm");
    let added = Value::Array((0..263).map(|id| Value::I32(if id < 260 { 1 } else { 4 })).collect());
    content.metadata.insert("tokenizer.ggml.token_type".to_owned(), added);
    let tokenizer = Tokenizer::from_gguf(&content).unwrap();
    let text = "stop<|im_end|>now";
    let ids = tokenizer.encode_text(text).unwrap();
    assert!(ids.iter().all(|id| *id < 260), "{ids:?}");
    assert!(tokenizer.encode_template(text).unwrap().contains(&testing::END));
}

#[test]
fn all_ids_that_end_an_answer_are_known() {
    let tokenizer = testing::tokenizer("smollm");
    assert_eq!(tokenizer.endings(), [testing::END, testing::END_OF_TEXT]);
}

/// Qwen reads characters composed; no other rule changes a text.
#[test]
fn qwen_composes_characters() {
    for (pre, expected) in [("qwen2", "\u{e9}"), ("tekken", "e\u{301}"), ("llama-bpe", "e\u{301}")] {
        let tokenizer = testing::tokenizer(pre);
        let ids = tokenizer.encode_text("e\u{301}").unwrap();
        assert_eq!(tokenizer.detokeniser().text(&ids), expected, "{pre}");
    }
}

#[test]
fn digits_are_cut_as_each_family_does() {
    let count = |pre| testing::tokenizer(pre).encode_text("12").unwrap().len();
    assert_eq!(["llama-bpe", "smaug-bpe", "qwen2", "tekken"].map(count), [1, 1, 2, 2]);
}

proptest! {
    #[test]
    fn any_text_comes_back_as_it_was(text in "\\PC{0,60}") {
        for pre in ["gpt-2", "smollm", "llama-bpe", "smaug-bpe", "tekken"] {
            let tokenizer = testing::tokenizer(pre);
            let ids = tokenizer.encode_text(&text).unwrap();
            prop_assert_eq!(tokenizer.detokeniser().text(&ids), text.clone());
        }
    }
}

#[test]
fn broken_text_is_survived_and_comes_back() {
    let corpus = ["The harbour opened <|im_end|> 1,200 times.", "L'été, l'œuvre — ça 🦀 e\u{301}\r\n\t x"];
    let corpus = corpus.map(|text| text.as_bytes().to_vec());
    let tokenizers = ["gpt-2", "smollm", "llama-bpe", "smaug-bpe", "tekken"].map(testing::tokenizer);
    precis_fuzz::survives("tokenizer", &corpus, move |bytes| {
        let text = String::from_utf8_lossy(bytes);
        for tokenizer in &tokenizers {
            let ids = tokenizer.encode_text(&text).unwrap();
            assert_eq!(tokenizer.detokeniser().text(&ids), text);
        }
    });
}

#[test]
fn tokens_are_made_in_linear_time_whatever_the_shape() {
    for pre in ["smollm", "llama-bpe", "qwen2", "tekken"] {
        let tokenizer = testing::tokenizer(pre);
        precis_fuzz::grows_linearly(pre, 1024, precis_fuzz::shapes::TEXTS, |text| {
            assert!(tokenizer.encode_text(text).is_ok());
        });
    }
}

mod golden;
