#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

#[test]
fn half_a_surrogate_pair_is_replaced() {
    for (body, text) in [
        (r#"{"a": "ships \ud83d sail"}"#, "ships \u{fffd} sail"),
        (r#"{"a": "ships \ude00"}"#, "ships \u{fffd}"),
        (r#"{"a": "\ud83d\ud83d\ude00"}"#, "\u{fffd}\u{1f600}"),
        (r#"{"a": "\\ud83d"}"#, r"\ud83d"),
        (r#"{"a": "\ud83d"}"#, "\u{fffd}"),
        (r#"{"a": "\ud83d\n"}"#, "\u{fffd}\n"),
    ] {
        assert_eq!(read(body.as_bytes()), Some(json!({ "a": text })), "{body}");
    }
}

#[test]
fn what_servers_get_wrong_is_set_right() {
    for (body, expected) in [
        (&b"\n\n   \n{\"a\": 1}"[..], json!({ "a": 1 })),
        (b"\xef\xbb\xbf{\"a\": 1}", json!({ "a": 1 })),
        (b"{\"a\": NaN, \"b\": -Infinity, \"c\": \"NaN\"}", json!({ "a": null, "b": null, "c": "NaN" })),
        (b"data: {\"a\": 1}\n\ndata: [DONE]\n\n", json!({ "a": 1 })),
        (b"{\"a\": \"one\ntwo\tthree\"}", json!({ "a": "one\ntwo three" })),
        (b"{\"a\": \"it\\'s \\x41 \\u12\"}", json!({ "a": "it\\'s \\x41 \\u12" })),
        (b"{\"a\": \"caf\xe9\"}", json!({ "a": "caf\u{fffd}" })),
        (b"[{\"a\": 1}]", json!({ "a": 1 })),
    ] {
        assert_eq!(read(body), Some(expected), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn what_is_no_json_is_none() {
    for body in [&b""[..], b"<html>", b"{\"a\": \"half", b"\xff\xfe", b"{\"a\"", b"\"\\"] {
        assert_eq!(read(body), None, "{body:?}");
    }
}

#[test]
fn counts_are_read_however_they_are_written() {
    for (value, expected) in [
        (json!(300), Some(300)),
        (json!(300.0), Some(300)),
        (json!(299.2), Some(300)),
        (json!("300"), Some(300)),
        (json!(" 300.0 "), Some(300)),
        (json!(-1), None),
        (json!(1e300), None),
        (json!("many"), None),
        (json!("NaN"), None),
        (json!(null), None),
        (json!([300]), None),
    ] {
        assert_eq!(tokens(&value), expected, "{value}");
    }
    assert_eq!(tokens_or_none(&json!(null)), Some(0));
}
