#![allow(clippy::unwrap_used)]

use serde_json::{Value as Json, json};

use super::{EXPRESSIONS, rule};

fn bytes(with_words: bool) -> Json {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": with_words})
}

fn split(words: &str) -> Json {
    json!({"type": "Split", "pattern": {"Regex": words}, "behavior": "Isolated", "invert": false})
}

fn sequence(steps: &[Json]) -> Json {
    json!({"type": "Sequence", "pretokenizers": steps})
}

#[test]
fn each_known_rule_has_its_name() {
    let digits = json!({"type": "Digits", "individual_digits": true});
    assert_eq!(rule(None, Some(&bytes(true)), false).unwrap(), "gpt-2");
    assert_eq!(rule(None, Some(&sequence(&[digits, bytes(true)])), false).unwrap(), "smollm");
    for (name, words) in EXPRESSIONS {
        let rule = rule(None, Some(&sequence(&[split(words), bytes(false)])), name != "qwen2").unwrap();
        assert_eq!(rule, name);
    }
    let composed = json!({"type": "NFC"});
    let qwen = sequence(&[split(EXPRESSIONS[1].1), bytes(false)]);
    assert_eq!(rule(Some(&composed), Some(&qwen), false).unwrap(), "qwen2");
}

/// A rule with one part changed would give fluent nonsense under a known name.
#[test]
fn a_rule_that_differs_in_anything_is_refused() {
    let llama = EXPRESSIONS[0].1;
    let changed = llama.replace("{1,3}", "{1,4}");
    let with = |json: Json, key: &str, value: Json| {
        let mut json = json;
        json[key] = value;
        json
    };
    for steps in [
        vec![split(&changed), bytes(false)],
        vec![split(llama), bytes(true)],
        vec![split(llama)],
        vec![with(split(llama), "behavior", json!("Removed")), bytes(false)],
        vec![with(split(llama), "invert", json!(true)), bytes(false)],
        vec![with(bytes(true), "add_prefix_space", json!(true))],
        vec![json!({"type": "Digits", "individual_digits": false}), bytes(true)],
        vec![json!({"type": "Whitespace"}), bytes(true)],
        vec![json!({"type": "Metaspace"})],
        vec![sequence(&[bytes(true)])],
        vec![],
    ] {
        let error = rule(None, Some(&sequence(&steps)), false).unwrap_err();
        assert_eq!(error.code(), "unsupported_tokenizer", "{steps:?}");
    }
    assert!(rule(None, None, false).is_err());
    assert!(rule(Some(&json!({"type": "Lowercase"})), Some(&bytes(true)), false).is_err());
    assert!(rule(None, Some(&bytes(true)), true).is_err());
}
