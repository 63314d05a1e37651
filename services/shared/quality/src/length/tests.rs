use super::*;

#[test]
fn a_summary_without_words_is_empty() {
    for summary in ["", "  \n", "…", "- * -", "N/A"] {
        assert!(!empty(&Input { summary, ..Input::default() }, &Thresholds::default()).passed, "{summary:?}");
    }
    assert!(empty(&Input { summary: "Rent rises yearly.", ..Input::default() }, &Thresholds::default()).passed);
}

#[test]
fn one_word_is_enough_where_one_was_asked_for() {
    let input = Input { summary: "Approved.", max_words: Some(1), ..Input::default() };
    assert!(empty(&input, &Thresholds::default()).passed);
    assert!(!empty(&Input { summary: "", max_words: Some(0), ..Input::default() }, &Thresholds::default()).passed);
}

#[test]
fn length_is_allowed_its_tolerance_and_no_more() {
    let words = |count: usize| vec!["mot"; count].join(" ");
    let passes = |count, max_words| {
        length(&Input { summary: &words(count), max_words, ..Input::default() }, &Thresholds::default()).passed
    };
    assert!(passes(120, Some(100)));
    assert!(!passes(121, Some(100)));
    assert!(passes(5_000, None));
}
