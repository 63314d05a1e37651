use super::{is_finished, last_end, tokens_to_last_end};
use crate::text::detokenise::Detokeniser;

#[test]
fn the_last_end_is_behind_mark_and_closing_quote() {
    for (text, kept) in [
        ("It rains. The sun", "It rains."),
        ("He said \"never.\" Then", "He said \"never.\""),
        ("It costs 3.5 and more", ""),
        ("Seen by Dr. Smith and e.g. others", ""),
        ("Done! Really? Yes", "Done! Really?"),
        ("1. First point", ""),
        ("多い。そして", "多い。"),
        ("", ""),
    ] {
        assert_eq!(&text[..last_end(text)], kept, "{text}");
    }
}

#[test]
fn a_text_is_finished_only_behind_a_sentence() {
    assert!(is_finished("It rains. ") && is_finished("") && is_finished("今日は雨"));
    assert!(!is_finished("14.7.6. Reconstituting the Attack") && !is_finished("It rains, "));
}

/// While the answer grows, its last full stop may turn out to be a decimal point.
#[test]
fn an_answer_is_cut_to_its_last_sentence() {
    let texts = ["ĠIt", "Ġrains", ".", "ĠThe", "Ġsun", "3", "ĊĊ"];
    let detokeniser = Detokeniser::new(texts.iter().map(|text| (*text, false)));
    let cut = |answer: &[u32], whole| tokens_to_last_end(answer, whole, &detokeniser);
    assert_eq!(cut(&[0, 1, 2, 3, 4], true), Some(3));
    assert_eq!(cut(&[0, 1, 2, 6, 3], false), Some(3));
    assert_eq!(cut(&[0, 1, 2], true), Some(3));
    assert_eq!(cut(&[0, 1, 2], false), None);
    assert_eq!(cut(&[0, 1, 2, 5], true), None);
    assert_eq!(cut(&[0, 1], true), None);
}
