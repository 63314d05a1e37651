use std::cell::Cell;
use std::convert::Infallible;

use proptest::prelude::*;

use super::{Cut, MAX_MEASURED_BYTES, measured, split};

/// Words, as a stand-in for tokens: cutting a text never makes more of them than the cuts.
#[expect(clippy::unnecessary_wraps, reason = "the shape that split takes")]
fn words(text: &str) -> Result<usize, Infallible> {
    Ok(text.split_whitespace().count())
}

fn chunks(text: &str, limit: usize) -> Vec<String> {
    let Ok(chunks) = split(text, limit, &words);
    chunks
}

#[test]
fn what_fits_stays_whole() {
    assert_eq!(chunks("one two three", 3), ["one two three"]);
    assert_eq!(chunks("", 3), [""]);
}

#[test]
fn cuts_fall_between_paragraphs() {
    let text = "a b c. d e f.\n\ng h i. j k l.\n\nm n o. p q r.\n\ns t u. v w x.\n";
    assert_eq!(chunks(text, 12), ["a b c. d e f.\n\ng h i. j k l.\n\n", "m n o. p q r.\n\ns t u. v w x.\n"]);
}

#[test]
fn a_long_paragraph_is_cut_between_sentences() {
    assert_eq!(
        chunks("One two three. Four five six. Seven eight nine. Ten.", 7),
        ["One two three. Four five six. ", "Seven eight nine. Ten."]
    );
}

#[test]
fn a_sentence_without_end_is_cut_between_words() {
    assert_eq!(chunks("a b c d e f g h", 4), ["a b c d ", "e f g h"]);
}

#[test]
fn text_without_spaces_is_cut_between_characters() {
    let characters = |text: &str| -> Result<usize, Infallible> { Ok(text.chars().count()) };
    let Ok(chunks) = split("日本語日本語日本語", 5, &characters);
    assert_eq!(chunks, ["日本語日本", "語日本語"]);
}

/// The chunks of a text whose tokens are three bytes each, and how often it was measured.
fn counted(text: &str, limit: usize) -> (Vec<String>, usize) {
    let calls = Cell::new(0);
    let measure = |text: &str| -> Result<usize, Infallible> {
        calls.set(calls.get() + 1);
        Ok(text.len().div_ceil(3))
    };
    let Ok(chunks) = split(text, limit, &measure);
    (chunks, calls.get())
}

/// A run without blanks, such as base64, is measured a few times for each chunk, not once for each
/// character.
#[test]
fn long_runs_are_measured_in_a_bounded_number_of_calls() {
    for run in ["QUJD", "日本"] {
        let text = run.repeat(100_000);
        let (chunks, calls) = counted(&text, 1_000);
        assert_eq!(chunks.concat(), text);
        assert!(chunks.iter().all(|chunk| chunk.len().div_ceil(3) <= 1_000));
        assert!(chunks.len() <= text.len() / 3_000 + 10, "{} chunks", chunks.len());
        assert!(calls < chunks.len() * 100, "{calls} calls for {} chunks", chunks.len());
    }
}

#[test]
fn many_short_words_are_measured_in_a_bounded_number_of_calls() {
    let text = "a b ".repeat(100_000);
    let (chunks, calls) = counted(&text, 1_000);
    assert_eq!(chunks.concat(), text);
    assert!(chunks.iter().all(|chunk| chunk.ends_with(' ')), "cuts fall between words");
    assert!(calls < chunks.len() * 100, "{calls} calls for {} chunks", chunks.len());
}

/// A tokenizer takes more than a hundred bytes of memory for each byte of a text that it gets.
#[test]
fn no_measurement_gets_more_than_a_bounded_part() {
    let megabyte = 1024 * 1024;
    for unit in ["x", "漢", "a b ", "A. ", "e\u{301}", "👩\u{200d}", "a\n\n", "\n", " ", ". ) "] {
        let text = unit.repeat(megabyte / unit.len());
        let (calls, bytes, longest) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let measure = |part: &str| -> Result<usize, Infallible> {
            calls.set(calls.get() + 1);
            bytes.set(bytes.get() + part.len());
            longest.set(part.len().max(longest.get()));
            Ok(part.len().div_ceil(3))
        };
        let Ok(chunks) = split(&text, 4_000, &measure);
        assert_eq!(chunks.concat(), text, "{unit:?}");
        assert!(chunks.iter().all(|chunk| chunk.len().div_ceil(3) <= 4_000 + 16), "{unit:?}");
        assert!(longest.get() <= MAX_MEASURED_BYTES, "{unit:?}: {} bytes at once", longest.get());
        assert!(bytes.get() <= 16 * text.len(), "{unit:?}: {} bytes measured", bytes.get());
    }
}

#[test]
fn a_long_text_measures_as_its_parts() {
    let text = "word ".repeat(100_000);
    let Ok(whole) = words(&text);
    let Ok(parts) = measured(&text, &words);
    assert_eq!(parts, whole);
    let run = "x".repeat(3 * MAX_MEASURED_BYTES + 1);
    let Ok(parts) = measured(&run, &words);
    assert_eq!(parts, 4, "a run without blanks is cut all the same");
}

#[test]
fn sentences_end_where_a_reader_ends_them() {
    let sentences = |text| Cut::Sentence.segments(text).collect::<Vec<_>>();
    assert_eq!(
        sentences("One. Two! (Three?) \"Four.\" Five e.g. this, v1.2 of it… Six\nseven"),
        ["One. ", "Two! ", "(Three?) ", "\"Four.\" ", "Five e.g. this, v1.2 of it… ", "Six\n", "seven"]
    );
    assert_eq!(sentences("東京。「晴れ。」大阪！雨"), ["東京。", "「晴れ。」", "大阪！", "雨"]);
}

/// One letter with thousands of accents is a single character to a reader.
#[test]
fn a_character_that_is_too_large_is_cut_within() {
    let text = format!("e{}", "\u{301}".repeat(5_000));
    let (chunks, _) = counted(&text, 500);
    assert_eq!(chunks.concat(), text);
    assert!(chunks.iter().all(|chunk| chunk.len().div_ceil(3) <= 500));
}

#[test]
fn parts_are_of_about_equal_size() {
    let text = (0..100).map(|index| format!("w{index} x y z. ")).collect::<String>();
    let sizes: Vec<usize> = chunks(&text, 300).iter().map(|chunk| chunk.split_whitespace().count()).collect();
    assert_eq!(sizes.len(), 2);
    assert!(sizes.iter().all(|size| *size > 150), "{sizes:?}");
}

/// With tokens of three bytes each: the tokenizer itself has a test of its own.
#[test]
fn chunks_are_cut_in_linear_time_whatever_the_shape() {
    let measure = |text: &str| -> Result<usize, Infallible> { Ok(text.len().div_ceil(3)) };
    precis_fuzz::grows_linearly("chunks", 4096, precis_fuzz::shapes::TEXTS, |text| {
        let Ok(chunks) = split(text, 200, &measure);
        assert_eq!(chunks.concat(), text);
    });
}

proptest! {
    #[test]
    fn parts_together_are_the_text_and_none_is_too_large(
        text in "([a-zé]{1,8}[ .\n]{0,3}){0,120}",
        limit in 4_usize..40,
    ) {
        let chunks = chunks(&text, limit);
        prop_assert_eq!(chunks.concat(), text);
        for chunk in &chunks {
            prop_assert!(chunk.split_whitespace().count() <= limit);
        }
    }
}
