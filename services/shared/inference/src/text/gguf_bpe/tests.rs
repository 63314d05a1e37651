#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde::Deserialize;

use super::Tokenizer;
use crate::error::EngineError;
use crate::testing;

#[test]
fn an_unknown_rule_for_words_is_refused() {
    for (kind, pre) in [("gpt2", "qwen2"), ("gpt2", "default"), ("llama", "smollm")] {
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

#[test]
fn all_ids_that_end_an_answer_are_known() {
    let tokenizer = testing::tokenizer("smollm");
    assert_eq!(tokenizer.endings(), [testing::END, testing::END_OF_TEXT]);
}

proptest! {
    #[test]
    fn any_text_comes_back_as_it_was(text in "\\PC{0,60}") {
        for pre in ["gpt-2", "smollm", "llama-bpe"] {
            let tokenizer = testing::tokenizer(pre);
            let ids = tokenizer.encode_text(&text).unwrap();
            prop_assert_eq!(tokenizer.detokeniser().text(&ids), text.clone());
        }
    }
}

#[derive(Deserialize)]
struct Golden {
    texts: Vec<GoldenText>,
    prompts: Vec<GoldenPrompt>,
}

#[derive(Deserialize)]
struct GoldenText {
    text: String,
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct GoldenPrompt {
    system: String,
    user: String,
    ids: Vec<u32>,
}

/// Ids by the implementation in `tests/golden/reference.py`, which shares no code with this crate or its libraries.
fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/golden/tokens.json")).unwrap()
}

#[test]
#[ignore = "needs the model: make test fetches it"]
fn ids_equal_those_of_an_independent_implementation() {
    let (tokenizer, _) = testing::real_text();
    for case in golden().texts {
        assert_eq!(tokenizer.encode_text(&case.text).unwrap(), case.ids, "{:?}", case.text);
        assert_eq!(tokenizer.detokeniser().text(&case.ids), case.text);
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
