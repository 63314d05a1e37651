//! The checks on the real documents of the repository: what is copied from a document must pass,
//! and what is planted in it must be found.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use precis_quality::{Check, Input, Thresholds, check};

fn documents() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/documents");
    let mut documents: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt" || ending == "md"))
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    documents.sort();
    assert!(documents.len() >= 20);
    documents
}

fn checks(source: &str, summary: &str) -> Vec<Check> {
    check(&Input { source, summary, finish_reason: "stop", ..Input::default() }, &Thresholds::default())
}

fn named(checks: &[Check], name: &str) -> Check {
    checks.iter().find(|check| check.name == name).unwrap().clone()
}

/// Prose of a document in extracts of about this many words, cut at the ends of paragraphs.
fn extracts(text: &str, words: usize) -> Vec<String> {
    let mut extracts = vec![String::new()];
    for paragraph in text.split("\n\n") {
        let last = extracts.last_mut().unwrap();
        last.push_str(paragraph.trim());
        last.push('\n');
        if last.split_whitespace().count() >= words {
            extracts.push(String::new());
        }
    }
    // One French handbook has untranslated chapters.
    let language = precis_quality::language_of(text);
    extracts
        .retain(|extract| extract.split_whitespace().count() >= 20 && precis_quality::language_of(extract) == language);
    extracts
}

#[test]
fn what_is_copied_from_a_document_is_supported_by_it() {
    for (path, text) in documents() {
        for extract in extracts(&text, 160) {
            let found = checks(&text, &extract);
            for name in ["unsupported_numbers", "unsupported_names", "language"] {
                let found = named(&found, name);
                assert!(found.passed, "{path}: {found:?}\n{extract}");
            }
            let covered = named(&found, "coverage").value.unwrap();
            assert!((covered - 1.0).abs() < 1e-9, "{path}: {covered}");
        }
    }
}

#[test]
fn a_number_and_a_name_planted_in_an_extract_are_found() {
    for (path, text) in documents() {
        for extract in extracts(&text, 200) {
            // The licence's disclaimers are in capitals, where names cannot be told.
            if extract.split_whitespace().filter(|word| !word.contains(char::is_lowercase)).count() > 60 {
                continue;
            }
            let planted = format!("{extract}\nThis was decided by Ottoline Quarrington in 7,391 days.");
            let found = checks(&text, &planted);
            assert_eq!(named(&found, "unsupported_numbers").detail, "not in the source: 7,391 days", "{path}");
            assert_eq!(named(&found, "unsupported_names").detail, "not in the source: Ottoline Quarrington", "{path}");
        }
    }
}

/// A document on another topic does not support a document's facts.
#[test]
fn another_documents_text_does_not_support_its_facts() {
    let documents = documents();
    let (mut foreign, mut all) = (0, 0);
    for (index, (_, text)) in documents.iter().enumerate() {
        let (_, other) = &documents[(index + 7) % documents.len()];
        if precis_quality::language_of(text) != precis_quality::language_of(other) {
            continue;
        }
        for extract in extracts(text, 200) {
            all += 1;
            let found = checks(other, &extract);
            let supported = ["unsupported_names", "unsupported_numbers"].iter().all(|name| named(&found, name).passed);
            foreign += usize::from(!supported);
        }
    }
    // Prose without a single name or number is in the sample too.
    assert!(foreign * 10 >= all * 7, "only {foreign} of {all} foreign extracts were found out");
}
