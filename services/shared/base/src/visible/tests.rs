use super::*;

#[test]
fn control_characters_are_shown_by_their_code_points() {
    assert_eq!(line("a\u{1b}[31mred\u{7}"), "a\\u{1b}[31mred\\u{7}");
    assert_eq!(line("\u{7f}\u{9b}2J\u{0}"), "\\u{7f}\\u{9b}2J\\u{0}");
    assert_eq!(line("two\nlines\r\n\tand a tab"), "two\\nlines\\r\\n\\tand a tab");
    assert_eq!(line("\u{2028}\u{2029}\u{85}"), "\\u{2028}\\u{2029}\\u{85}");
}

#[test]
fn direction_marks_and_invisible_characters_are_shown() {
    for hidden in [
        '\u{ad}',
        '\u{61c}',
        '\u{200b}',
        '\u{200e}',
        '\u{200f}',
        '\u{202a}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{3164}',
        '\u{feff}',
        '\u{fff9}',
        '\u{e0001}',
        '\u{e0041}',
    ] {
        let code = format!("a\\u{{{:x}}}b", u32::from(hidden));
        assert_eq!(line(&format!("a{hidden}b")), code);
        assert_eq!(block(&format!("a{hidden}b")), code);
    }
}

#[test]
fn ordinary_text_of_any_script_stays() {
    for text in [
        "plain ASCII, with \\ and \"",
        "naïve café ½ € — …",
        "报告 レポート 보고서",
        "می\u{200c}خواهم",
        "क्\u{200d}ष",
        "👩\u{200d}👩\u{200d}👧 ❤\u{fe0f} 👁\u{fe0f}\u{200d}🗨 1\u{fe0f}\u{20e3}",
        "葛\u{e0100}",
        "עברית العربية",
        "e\u{301}",
    ] {
        assert_eq!(line(text), text);
        assert_eq!(block(text), text);
    }
}

#[test]
fn joiners_and_selectors_that_do_nothing_are_shown() {
    assert_eq!(line("a\u{200d}b"), "a\\u{200d}b");
    assert_eq!(line("\u{200c}x"), "\\u{200c}x");
    assert_eq!(line("é\u{200d}"), "é\\u{200d}");
    assert_eq!(line("é\u{200d}\u{200d}é"), "é\\u{200d}\\u{200d}é");
    // Data hidden in a row of selectors.
    assert_eq!(line("a\u{fe01}\u{fe02}"), "a\u{fe01}\\u{fe02}");
    assert_eq!(line("a\u{e0100}"), "a\\u{e0100}");
}

#[test]
fn a_block_keeps_its_lines_and_nothing_else() {
    assert_eq!(block("one\r\ntwo\n\tthree"), "one\ntwo\n\tthree");
    assert_eq!(block("good\rbad\u{1b}c"), "good\\rbad\\u{1b}c");
}

#[test]
fn json_is_the_same_value_without_invisible_characters() {
    let value = serde_json::json!({ "a\u{202e}": "\u{1b}\u{7f}\u{9b}\u{200d}\u{e0041}\n ok ü", "n": [1.5, null] });
    for text in
        [serde_json::to_string(&value).unwrap_or_default(), serde_json::to_string_pretty(&value).unwrap_or_default()]
    {
        let safe = json(&text);
        assert!(!safe.chars().any(|character| is_invisible(character) && character != '\n'), "{safe:?}");
        assert!(safe.contains("\\u202e") && safe.contains("\\u007f") && safe.contains("\\udb40\\udc41"), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).ok(), Some(value.clone()));
    }
}
