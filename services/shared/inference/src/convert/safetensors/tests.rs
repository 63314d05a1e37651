#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use super::{Entry, MAX_HEADER_BYTES, header};

/// A file with this header and so many bytes after it.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 7);
    bytes
}

fn refusal(bytes: &[u8]) -> String {
    let error = header(&mut Cursor::new(bytes)).unwrap_err();
    assert_eq!(error.code(), "bad_model");
    error.to_string()
}

#[test]
fn places_count_from_the_start_of_the_file() {
    let text = r#"{"__metadata__":{"format":"pt"},
        "b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let start = 8 + text.len() as u64;
    let entries = header(&mut Cursor::new(file(text, 16))).unwrap();
    assert_eq!(entries["a"], Entry { dtype: "F32".into(), shape: vec![1], start, bytes: 4 });
    assert_eq!(entries["b"], Entry { dtype: "BF16".into(), shape: vec![2, 3], start: start + 4, bytes: 12 });
    assert_eq!(entries.len(), 2);
}

/// Each lie of a header is refused with a text that says which.
#[test]
fn a_header_that_lies_is_refused() {
    let entry = |dtype: &str, shape: &str, from: u64, to: u64| {
        format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}"#)
    };
    let one = |dtype: &str, shape: &str, from: u64, to: u64| format!(r#"{{"a":{}}}"#, entry(dtype, shape, from, to));
    let two = |left: String, right: String| format!(r#"{{"a":{left},"b":{right}}}"#);
    for (text, data, expected) in [
        (one("F32", "[1]", 0, 8), 8, "bytes 0 to 8 are not"),
        (one("F32", "[1]", 8, 4), 8, "bytes 8 to 4 are not"),
        (one("F4", "[1]", 0, 4), 4, "unknown type `F4`"),
        (one("F32", "[-1]", 0, 4), 4, "not valid"),
        (one("F32", "[4611686018427387904,4]", 0, 0), 0, "bytes 0 to 0 are not"),
        (one("F32", "[2]", 0, 8), 4, "cut off"),
        (one("F32", "[1]", 0, 4), 8, "4 bytes after its last tensor"),
        (one("F32", "[1]", 4, 8), 8, "byte 0 of its tensors belongs to none"),
        (one("F32", "[1]", u64::MAX - 4, u64::MAX), 4, "is not valid|cut off"),
        (two(entry("F32", "[2]", 0, 8), entry("F32", "[1]", 4, 8)), 8, "byte 4 of its tensors"),
        (two(entry("F32", "[1]", 0, 4), entry("F32", "[1]", 0, 4)), 4, "byte 0 of its tensors"),
        (r#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#.into(), 0, "twice"),
        ("[]".into(), 0, "not valid"),
        (r#"{"a":"#.into(), 0, "not valid"),
    ] {
        let text = refusal(&file(&text, data));
        assert!(expected.split('|').any(|expected| text.contains(expected)), "{expected}: {text}");
    }
}

/// Memory is taken after the length was compared with the file.
#[test]
fn a_header_longer_than_the_file_takes_no_memory() {
    for length in [100, MAX_HEADER_BYTES + 1, u64::MAX, u64::MAX - 7] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(b"{}");
        assert!(refusal(&bytes).contains(&format!("claims {length} bytes")));
    }
    assert!(refusal(b"abc").contains("3 bytes are no safetensors file"));
}

/// Bytes are flipped, cut and put in; whatever is accepted lies within the file.
#[test]
fn broken_safetensors_are_survived() {
    let valid = r#"{"a":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#;
    precis_fuzz::survives("safetensors", &[file(valid, 12)], |bytes| {
        let Ok(entries) = header(&mut Cursor::new(bytes)) else { return };
        for entry in entries.values() {
            assert!(entry.start + entry.bytes <= bytes.len() as u64, "{entry:?}");
        }
    });
}
