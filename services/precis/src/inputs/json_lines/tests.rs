#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use super::super::{Inputs, Kind, Note, ReadOptions, collect};

fn read_as(kind: Kind, bytes: &[u8], max_bytes: u64) -> Inputs {
    let options = ReadOptions { stdin: kind, max_bytes, ..ReadOptions::default() };
    collect(&[PathBuf::from("-")], &mut &*bytes, &options)
}

fn lines(text: &str) -> Inputs {
    read_as(Kind::Jsonl, text.as_bytes(), 1_000)
}

fn texts(inputs: &Inputs) -> Vec<&str> {
    inputs.documents.iter().map(|document| document.text.as_str()).collect()
}

fn ids(inputs: &Inputs) -> Vec<Option<&str>> {
    inputs.documents.iter().map(|document| document.stated_id.as_deref()).collect()
}

fn problems(inputs: &Inputs) -> Vec<(&str, &str)> {
    inputs.problems.iter().map(|problem| (problem.name.as_str(), problem.code)).collect()
}

#[test]
fn records_behind_a_line_over_the_limit_are_read() {
    let long = "x".repeat(60_000);
    let inputs =
        lines(&format!("{{\"text\": \"one\"}}\n{{\"text\": \"{long}\"}}\n{long}\n\n{{\"text\": \"five\"}}\n{long}"));
    assert_eq!(texts(&inputs), ["one", "five"]);
    assert_eq!(problems(&inputs), [("stdin:2", "too_large"), ("stdin:3", "too_large"), ("stdin:6", "too_large")]);
}

#[test]
fn a_line_of_exactly_the_limit_is_read() {
    let line = |length: usize| format!("{{\"text\": \"a\", \"x\": \"{}\"}}", "x".repeat(length - 22));
    let limit = 600;
    for (length, read) in [(limit - 1, true), (limit, true), (limit + 1, false)] {
        let line = line(length);
        assert_eq!(line.len(), length);
        let inputs = read_as(Kind::Jsonl, format!("{line}\n{{\"text\": \"b\"}}").as_bytes(), limit as u64 / 6);
        assert_eq!(inputs.documents.len(), 1 + usize::from(read), "{length}");
    }
}

/// A line without an end, of which the reader may hold no more than the limit.
struct Endless {
    left: usize,
    largest: usize,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.largest = self.largest.max(buffer.len());
        let count = buffer.len().min(self.left);
        buffer[..count].fill(b'x');
        self.left -= count;
        Ok(count)
    }
}

#[test]
fn a_line_over_the_limit_is_not_held() {
    let mut endless = Endless { left: 10_000_000, largest: 0 };
    let found = super::next_line(&mut BufReader::new(&mut endless), 1_000).unwrap();
    assert!(matches!(found, super::Line::TooLong));
    assert_eq!(endless.left, 0);
    assert!(endless.largest <= 64 * 1024, "{}", endless.largest);
}

#[test]
fn ids_that_are_numbers_keep_their_digits() {
    let stated =
        ["9007199254740993", "18446744073709551617", "12345678901234567890121", "1e2", "100", "1.0", "1", "-0", "0.10"];
    let text: String = stated.iter().map(|id| format!("{{\"id\": {id}, \"text\": \"a\"}}\n")).collect();
    assert_eq!(ids(&lines(&text)), stated.map(Some));
}

#[test]
fn ids_that_cannot_be_kept_apart_are_left_out() {
    let inputs = lines(
        "{\"id\": \"\\ud800\", \"text\": \"a\"}\n{\"id\": \"\\ud801\", \"text\": \"b\"}\n{\"id\": {\"$oid\": \"5\"}, \"text\": \"c\"}\n\
         {\"id\": null, \"text\": \"d\"}\n{\"id\": \"\", \"document_id\": \"e-1\", \"text\": \"e\"}",
    );
    assert_eq!(ids(&inputs), [None, None, None, None, Some("e-1")]);
    assert_eq!(inputs.notes.count(Note::Id), 3);
}

#[test]
fn lines_of_python_and_javascript_are_read() {
    let inputs = lines(
        "{\"text\": \"half \\ud83d pair\", \"k\\udc00\": 1}\n{\"text\": \"a\\ude00\\ud83d\\ude00\\ud83d\"}\n\
         {\"score\": NaN, \"more\": [-Infinity, \"NaN\"], \"text\": \"Infinity and NaN\"}\n{\"id\": NaN, \"text\": \"e\"}",
    );
    assert_eq!(texts(&inputs), ["half \u{FFFD} pair", "a\u{FFFD}😀\u{FFFD}", "Infinity and NaN", "e"]);
    assert_eq!((inputs.notes.count(Note::Surrogates), problems(&inputs).len()), (2, 0));
    assert_eq!(ids(&inputs)[3], None);
}

#[test]
fn odd_but_valid_lines_are_read() {
    let inputs = lines(
        "\u{feff}{\"text\": \"first\", \"text\": \"last\"}\r\n\r\n \t{\"text\": \"nul \\u0000 bell\\u0007 \\u001b[1mbold\\u001b[0m\"}\r\n\
         {\"text\": \"a\u{2028}b\"}\n{\"te\\u0078t\": \"escaped name\"}",
    );
    assert_eq!(texts(&inputs), ["last", "nul  bell bold", "a\u{2028}b", "escaped name"]);
    assert_eq!((inputs.notes.count(Note::Controls), inputs.problems.len()), (1, 0));
}

#[test]
fn a_line_with_a_zero_byte_is_told_alone() {
    let inputs = read_as(Kind::Jsonl, b"{\"text\": \"a\"}\n{\"text\": \"b\0\"}\n\0\n{\"text\": \"c\"}", 1_000);
    assert_eq!(texts(&inputs), ["a", "c"]);
    assert_eq!(problems(&inputs), [("stdin:2", "not_json"), ("stdin:3", "not_json")]);
}

#[test]
fn unusable_metadata_is_left_out_and_counted() {
    let title = "t".repeat(1_300);
    let inputs = lines(&format!(
        "{{\"text\": \"a\", \"language\": \"en_US\", \"title\": \"A title\"}}\n{{\"text\": \"b\", \"language\": \"n/a\"}}\n\
         {{\"text\": \"c\", \"language\": [\"en\"], \"title\": \"{title}\"}}\n{{\"text\": \"d\", \"language\": null, \"title\": 1984}}"
    ));
    let read: Vec<_> =
        inputs.documents.iter().map(|document| (document.language.as_deref(), document.title.as_deref())).collect();
    assert_eq!(read, [(Some("en"), Some("A title")), (None, None), (None, None), (None, Some("1984"))]);
    let told: Vec<_> = inputs.notes.lines().collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("stdin:3: the title") && told[1].starts_with("2 documents: the language"), "{told:?}");
    assert!(inputs.problems.is_empty());
}

#[test]
fn arrays_and_objects_over_lines_are_read() {
    for (text, names) in [
        ("[{\"text\": \"a [1]\"}, {\"text\": \"b\", \"x\": {\"y\": [1, \"]\\\"\"]}}]", vec!["stdin:1", "stdin:2"]),
        ("[\n  {\n    \"text\": \"a [1]\"\n  },\n  {\n    \"text\": \"b\"\n  }\n]\n", vec!["stdin:1", "stdin:2"]),
        ("{\n  \"text\": \"a [1]\"\n}\n{\n  \"text\": \"b\"\n}\n", vec!["stdin:1", "stdin:2"]),
        ("{\n  \"text\": \"a [1]\"\n}\n", vec!["stdin"]),
        ("[{\"text\": \"a [1]\"}]", vec!["stdin:1"]),
    ] {
        for kind in [Kind::Jsonl, Kind::Json] {
            let inputs = read_as(kind, text.as_bytes(), 1_000);
            assert_eq!(inputs.problems, [], "{text}");
            assert_eq!(inputs.documents.iter().map(|document| document.name.as_str()).collect::<Vec<_>>(), names);
            assert_eq!(inputs.documents[0].text, "a [1]");
        }
    }
}

#[test]
fn each_element_of_an_array_stands_for_itself() {
    let long = "x".repeat(10_000);
    let text =
        format!("[1, \"text\", {{\"text\": \"a\"}}, {{\"text\": \"{long}\"}}, {{\"body\": 1}}, , {{\"text\": \"b\"}}");
    let inputs = read_as(Kind::Json, text.as_bytes(), 1_000);
    assert_eq!(texts(&inputs), ["a", "b"]);
    let codes = ["not_json", "not_json", "too_large", "no_text_field", "not_json"];
    assert_eq!(problems(&inputs).iter().map(|(_, code)| *code).collect::<Vec<_>>(), codes);
    assert!(inputs.problems[4].message.contains("array"), "{:?}", inputs.problems[4]);
}

#[test]
fn json_without_records_is_told_once() {
    for (text, code) in [
        ("[]", "empty"),
        ("", "empty"),
        (" \n", "empty"),
        ("{\"a\": 1}", "no_text_field"),
        ("x", "not_json"),
        ("}", "not_json"),
    ] {
        let inputs = read_as(Kind::Json, text.as_bytes(), 1_000);
        assert_eq!(problems(&inputs), [("stdin", code)], "{text}");
    }
}

/// Only where a field is named: many records have a `reference` that is no summary.
#[test]
fn a_reference_is_read_from_the_field_that_is_named() {
    let text = "{\"text\": \"a\", \"reference\": \"One.\", \"gold\": \"Two.\", \"\": \"Three.\"}\n\
                {\"text\": \"b\", \"gold\": 7}\n{\"text\": \"c\", \"gold\": \" \"}\n{\"text\": \"d\"}";
    let references = |field: Option<&str>| {
        let reference_field = field.map(str::to_owned);
        let options = ReadOptions { stdin: Kind::Jsonl, max_bytes: 1_000, reference_field, ..ReadOptions::default() };
        let inputs = collect(&[PathBuf::from("-")], &mut text.as_bytes(), &options);
        let found: Vec<_> = inputs.documents.iter().map(|document| document.reference.clone()).collect();
        (found, inputs.notes.count(Note::Reference))
    };
    assert_eq!(references(None), (vec![None; 4], 0));
    assert_eq!(references(Some("gold")), (vec![Some("Two.".to_owned()), None, None, None], 1));
}
