use super::{Detokeniser, bytes_by_character};

/// A vocabulary of the 256 bytes, in order, and one control token.
fn bytes() -> Detokeniser {
    let mut letters = vec![String::new(); 256];
    for (letter, byte) in bytes_by_character() {
        letters[usize::from(byte)] = letter.to_string();
    }
    Detokeniser::new(letters.iter().map(|letter| (letter.as_str(), false)).chain([("<|end|>", true)]))
}

fn ids(bytes: &[u8]) -> Vec<u32> {
    bytes.iter().map(|byte| u32::from(*byte)).collect()
}

#[test]
fn the_alphabet_has_a_letter_for_every_byte() {
    assert_eq!(bytes_by_character().len(), 256);
    assert_eq!(bytes_by_character().get(&'Ġ'), Some(&b' '));
    assert_eq!(bytes_by_character().get(&'Ċ'), Some(&b'\n'));
}

#[test]
fn characters_spread_over_tokens_come_out_whole() {
    let text = "déjà vu 👩‍👧 日本";
    assert_eq!(bytes().text(&ids(text.as_bytes())), text);
}

#[test]
fn a_character_cut_at_the_end_is_left_out() {
    let text = "naïve 👩".as_bytes();
    for cut in 1..4 {
        assert_eq!(bytes().text(&ids(&text[..text.len() - cut])), "naïve ");
    }
}

#[test]
fn bytes_that_are_no_character_are_replaced() {
    assert_eq!(bytes().text(&ids(b"a\xFFb")), "a\u{FFFD}b");
    assert_eq!(bytes().text(&ids(b"a\xE2\x82b")), "a\u{FFFD}b");
    assert_eq!(bytes().text(&ids(b"a\xFF")), "a\u{FFFD}");
}

#[test]
fn control_tokens_and_unknown_ids_have_no_text() {
    assert_eq!(bytes().text(&[u32::from(b'a'), 256, 4_000_000, u32::from(b'b')]), "ab");
}

#[test]
fn tags_around_reasoning_have_their_text() {
    let detokeniser =
        Detokeniser::new([("<think>", true), ("hm", false), ("</think>", true), ("<s>", true)].into_iter());
    assert_eq!(detokeniser.text(&[3, 0, 1, 2, 1]), "<think>hm</think>hm");
}
