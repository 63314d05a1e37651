//! Extracts of real documents.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use precis_quality::extractive::{Limits, summary};
use precis_quality::{Input, Thresholds, check, count_words, failed, language_of};

/// Every document of the demo has an extract, of about the words that were asked for, which passes
/// its checks and is made of whole lines of the document.
#[test]
fn the_demos_documents_have_extracts_that_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/documents");
    let limits = Limits { max_words: 120, max_sentences: 4 };
    let (mut read, mut problems) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.extension().is_some_and(|ending| ending == "txt" || ending == "md") {
            continue;
        }
        read += 1;
        let text = fs::read_to_string(&path).unwrap();
        let extract = summary(&text, language_of(&text), limits);
        let found = extract.paragraph();
        let input =
            Input { source: &text, summary: &found, finish_reason: "stop", max_words: Some(120), ..Input::default() };
        let thresholds = Thresholds::default();
        let failed = failed(&check(&input, &thresholds), &thresholds);
        let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let own = extract.sentences.iter().all(|sentence| plain.contains(sentence.as_str()));
        if !failed.is_empty() || !own || count_words(&found) < 20 {
            problems.push(format!("{}: {failed:?} {own} {found:?}", path.display()));
        }
    }
    assert!(read >= 20);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
