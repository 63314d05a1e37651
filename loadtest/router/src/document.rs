//! Documents as a publisher writes them: valid records of an exact size, all different.
//!
//! Their sentences are of common English words. Each text begins with a mark: its number, and when
//! it was sent. A reader finds the mark in the bytes of any record that the document became.

use std::sync::LazyLock;

use precis_schemas::{Document, Sensitivity, codec};

/// The mark's first bytes, before number and time.
const MARK_PREFIX: &[u8] = b"Benchmark item ";
const NUMBER_DIGITS: usize = 9;
const TIME_DIGITS: usize = 16;

/// The source of words: each document is a random draw from this text, so that common words are
/// common and nothing else is alike.
const ENGLISH_TEXT: &str = include_str!("../../../tests/documents/bug-reporting.txt");

/// A record of exactly `bytes` bytes, where that is possible. Its number and its time of sending
/// can be read back from it.
pub(crate) fn encoded(number: u64, sent_us: u64, bytes: usize) -> anyhow::Result<Vec<u8>> {
    let mut document = Document {
        document_id: format!("bench-{number:09}"),
        submitted_at: i64::try_from(sent_us / 1000)?,
        sensitivity: Some(Sensitivity::Public),
        content_type: "text/plain".to_owned(),
        text: Some(String::new()),
        ..Document::default()
    };
    let around = codec::encode(&document)?.len() + 2;
    document.text = Some(text(number, sent_us, bytes.saturating_sub(around)));
    Ok(codec::encode(&document)?)
}

fn text(number: u64, sent_us: u64, bytes: usize) -> String {
    static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| ENGLISH_TEXT.split_whitespace().collect());
    let mark = str::from_utf8(MARK_PREFIX).expect("the mark is ASCII");
    let mut text = format!("{mark}{number:0NUMBER_DIGITS$} {sent_us:0TIME_DIGITS$}.");
    // xorshift64*: the same documents in every run, without two alike.
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33
    };
    let mut left_in_sentence = 0;
    while text.len() < bytes {
        if left_in_sentence == 0 {
            text.push_str(if text.ends_with('.') { " It" } else { ". It" });
            left_in_sentence = 8 + next() % 12;
        }
        left_in_sentence -= 1;
        text.push(' ');
        text.push_str(WORDS[next() as usize % WORDS.len()]);
    }
    text.truncate(text.floor_char_boundary(bytes));
    text
}

/// Number and time of sending of the document within `record`.
pub(crate) fn mark(record: &[u8]) -> Option<(u64, u64)> {
    let at = record.windows(MARK_PREFIX.len()).position(|window| window == MARK_PREFIX)? + MARK_PREFIX.len();
    let digits = |from: usize, count: usize| str::from_utf8(record.get(from..from + count)?).ok()?.parse().ok();
    Some((digits(at, NUMBER_DIGITS)?, digits(at + NUMBER_DIGITS + 1, TIME_DIGITS)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[test]
    fn a_document_has_its_size_and_tells_its_number_and_time() {
        for bytes in [1024, 10 * 1024] {
            let record = super::encoded(42, 1_700_000_000_123_456, bytes).unwrap();
            assert!(record.len().abs_diff(bytes) <= 2, "{}", record.len());
            assert_eq!(super::mark(&record), Some((42, 1_700_000_000_123_456)));
        }
        assert_eq!(super::mark(b"Benchmark item 1"), None);
    }
}
