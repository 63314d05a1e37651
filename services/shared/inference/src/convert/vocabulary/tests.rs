#![allow(clippy::unwrap_used)]

use candle_core::quantized::gguf_file::Value;
use serde_json::{Value as Json, json};

use super::super::sentencepiece::Piece;
use super::{TokenFiles, bpe, sentencepiece};

fn tokenizer() -> Json {
    json!({
        "added_tokens": [
            {"id": 3, "content": "<|im_end|>", "special": true},
            {"id": 4, "content": "<tool>", "special": false},
            {"id": 5, "content": "<|think|>", "special": false},
        ],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
        "post_processor": {"type": "Sequence", "processors": [{"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<|think|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]}]},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]},
    })
}

fn files() -> TokenFiles {
    TokenFiles {
        tokenizer: Some(tokenizer()),
        tokenizer_config: Some(json!({"eos_token": {"content": "<|im_end|>"}, "bos_token": "<|think|>"})),
        config: json!({"eos_token_id": 1, "pad_token_id": 0}),
        ..TokenFiles::default()
    }
}

fn value<'a>(metadata: &'a [(String, Value)], key: &str) -> Option<&'a Value> {
    metadata.iter().find(|(name, _)| name.trim_start_matches("tokenizer.ggml.") == key).map(|(_, value)| value)
}

fn shown(metadata: &[(String, Value)], key: &str) -> String {
    value(metadata, key).map_or_else(|| "none".to_owned(), |value| format!("{value:?}"))
}

#[test]
fn tokens_come_in_the_order_of_their_ids_with_types() {
    let metadata = bpe(&files(), 8).unwrap();
    assert_eq!(shown(&metadata, "model"), r#"String("gpt2")"#);
    assert_eq!(shown(&metadata, "pre"), r#"String("gpt-2")"#);
    let tokens = value(&metadata, "tokens").unwrap().to_vec().unwrap();
    let tokens: Vec<&str> = tokens.iter().map(|token| token.to_string().unwrap().as_str()).collect();
    assert_eq!(tokens, ["a", "b", "ab", "<|im_end|>", "<tool>", "<|think|>", "[PAD6]", "[PAD7]"]);
    let types = value(&metadata, "token_type").unwrap().to_vec().unwrap();
    let types: Vec<i32> = types.iter().map(|kind| kind.to_i32().unwrap()).collect();
    // Control tokens are matched in templates alone; 5 is unused.
    assert_eq!(types, [1, 1, 1, 3, 4, 3, 5, 5]);
    assert_eq!(shown(&metadata, "merges"), r#"Array([String("a b")])"#);
}

/// A name in the tokenizer's settings counts more than a number in `config.json`.
#[test]
fn special_tokens_are_found_by_name_then_by_number() {
    let metadata = bpe(&files(), 8).unwrap();
    assert_eq!(shown(&metadata, "eos_token_id"), "U32(3)");
    assert_eq!(shown(&metadata, "bos_token_id"), "U32(5)");
    assert_eq!(shown(&metadata, "padding_token_id"), "U32(0)");
    assert_eq!(shown(&metadata, "add_bos_token"), "Bool(true)");
    let mut files = files();
    files.tokenizer_config = Some(json!({"add_bos_token": false, "bos_token": null, "eos_token": "<gone>"}));
    assert!(bpe(&files, 8).unwrap_err().to_string().contains("`<gone>` is not in the vocabulary"));
    files.tokenizer_config = Some(json!({"add_bos_token": false}));
    files.special_tokens_map = Some(json!({"bos_token": "<tool>"}));
    let metadata = bpe(&files, 8).unwrap();
    assert_eq!(shown(&metadata, "eos_token_id"), "U32(1)");
    assert_eq!(
        (shown(&metadata, "bos_token_id"), shown(&metadata, "add_bos_token")),
        ("U32(4)".into(), "Bool(false)".into())
    );
    files.config = json!({});
    assert!(bpe(&files, 8).unwrap_err().to_string().contains("ends an answer"));
}

#[test]
fn all_tokens_that_end_an_answer_are_kept() {
    let mut files = files();
    files.generation_config = Some(json!({"eos_token_id": [3, 4, 5]}));
    let metadata = bpe(&files, 8).unwrap();
    assert_eq!(
        (shown(&metadata, "eot_token_id"), shown(&metadata, "eom_token_id")),
        ("U32(4)".into(), "U32(5)".into())
    );
}

#[test]
fn the_chat_template_is_found_where_it_stands() {
    let template = |config: Json, file: Option<&str>| {
        let mut files = files();
        let Some(Json::Object(all)) = &mut files.tokenizer_config else { panic!("settings are an object") };
        all.extend(config.as_object().unwrap().clone());
        files.chat_template = file.map(str::to_owned);
        bpe(&files, 8).map(|metadata| shown(&metadata, "tokenizer.chat_template"))
    };
    assert_eq!(template(json!({}), None).unwrap(), "none");
    assert_eq!(template(json!({"chat_template": "a"}), Some("b")).unwrap(), r#"String("a")"#);
    assert_eq!(template(json!({}), Some("b")).unwrap(), r#"String("b")"#);
    let several = json!([{"name": "tool_use", "template": "c"}, {"name": "default", "template": "d"}]);
    assert_eq!(template(json!({"chat_template": several}), None).unwrap(), r#"String("d")"#);
    assert!(template(json!({"chat_template": [{"name": "rag", "template": "c"}]}), None).is_err());
}

/// Merges of older files are lines; a token with a blank cannot be told in a line.
#[test]
fn merges_are_pairs_or_lines_without_blanks() {
    let with = |merges: Json| {
        let mut files = files();
        files.tokenizer.as_mut().unwrap()["model"]["merges"] = merges;
        bpe(&files, 8).map(|metadata| shown(&metadata, "merges"))
    };
    assert_eq!(with(json!(["a b"])).unwrap(), r#"Array([String("a b")])"#);
    for bad in [json!(["ab"]), json!(["a b c"]), json!([["a", " b"]]), json!([["a", ""]]), json!([]), json!([1])] {
        assert_eq!(with(bad.clone()).unwrap_err().code(), "bad_model", "{bad}");
    }
}

#[test]
fn vocabularies_that_do_not_fit_are_refused() {
    let with = |change: fn(&mut Json)| {
        let mut files = files();
        change(files.tokenizer.as_mut().unwrap());
        bpe(&files, 8).unwrap_err()
    };
    assert!(with(|json| json["model"]["vocab"] = json!({"a": 8})).to_string().contains("token 8 is beyond the 8"));
    assert!(with(|json| json["model"]["vocab"] = json!({"a": 0, "b": 0})).to_string().contains("token 0 twice"));
    assert!(with(|json| json["added_tokens"][0]["id"] = json!(99)).to_string().contains("token 99 is beyond"));
    for change in [
        (|json: &mut Json| json["model"]["type"] = json!("Unigram")) as fn(&mut Json),
        |json| json["model"]["byte_fallback"] = json!(true),
        |json| json["model"]["end_of_word_suffix"] = json!("</w>"),
        |json| json["pre_tokenizer"] = json!({"type": "Metaspace"}),
    ] {
        assert_eq!(with(change).code(), "unsupported_tokenizer");
    }
}

#[test]
fn pieces_keep_scores_and_added_tokens_get_theirs() {
    let piece = |text: &str, score, kind| Piece { text: text.into(), score, kind };
    let pieces = vec![piece("<unk>", 0.0, 2), piece("<s>", 0.0, 3), piece("\u{2581}a", -1.0, 1)];
    let files = TokenFiles {
        tokenizer_config: Some(json!({"eos_token": "[END]", "bos_token": "<s>", "add_prefix_space": true,
            "add_bos_token": true, "added_tokens_decoder": {"3": {"content": "[END]", "special": true},
            "4": {"content": "\u{2581}x"}}})),
        ..TokenFiles::default()
    };
    let metadata = sentencepiece(pieces, &files, 6).unwrap();
    assert_eq!(shown(&metadata, "model"), r#"String("llama")"#);
    let scores = value(&metadata, "scores").unwrap().to_vec().unwrap();
    let scores: Vec<f32> = scores.iter().map(|score| score.to_f32().unwrap()).collect();
    assert_eq!(scores, [0.0, 0.0, -1.0, -1000.0, -1000.0, -10_000.0]);
    let tokens = value(&metadata, "tokens").unwrap().to_vec().unwrap();
    assert_eq!((tokens[4].to_string().unwrap().as_str(), tokens.len()), (" x", 6));
    assert_eq!(shown(&metadata, "add_space_prefix"), "Bool(true)");
    assert_eq!(shown(&metadata, "eos_token_id"), "U32(3)");
}

#[test]
fn broken_tokenizer_json_is_survived() {
    let valid = serde_json::to_vec(&tokenizer()).unwrap();
    precis_fuzz::survives("tokenizer-json", &[valid], |bytes| {
        let Ok(json) = serde_json::from_slice(bytes) else { return };
        let _ = bpe(&TokenFiles { tokenizer: Some(json), ..files() }, 8);
    });
}
