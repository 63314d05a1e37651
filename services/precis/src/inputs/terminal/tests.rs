use super::plain;

fn read(text: &str) -> String {
    plain(text.to_owned()).text
}

#[test]
fn escape_sequences_leave_their_text() {
    for (raw, text) in [
        ("\x1b[1;31merror\x1b[0m: disk", "error: disk"),
        ("\x1b[38;5;196;48:2::1:2:3mred\x1b[m", "red"),
        ("\x1b]0;title\x07prompt", "prompt"),
        ("\x1b]8;;https://example.org/\x1b\\link\x1b]8;;\x1b\\.", "link."),
        ("\x1b(B\x1b)0plain\x1b=\x1b>", "plain"),
        ("\x1b[?25lhidden\x1b[2K\x1b[1A", "hidden"),
        ("\x1bPq#0;2;0\x1b\\picture", "picture"),
        ("\u{9b}32mgreen\u{9b}m", "green"),
        ("rings\x07 twice\x0e\x0f", "rings twice"),
        ("\x1b", ""),
        ("\x1b[31", ""),
    ] {
        assert_eq!(read(raw), text, "{raw:?}");
    }
}

#[test]
fn sequences_without_an_end_take_no_text_along() {
    assert_eq!(read("\x1b]never ends\nnext line"), "never ends\nnext line");
    assert_eq!(read("\x1bPnever ends\nnext line"), "never ends\nnext line");
}

#[test]
fn overstrikes_become_the_characters_they_show() {
    for (raw, text) in [
        ("N\x08NA\x08AM\x08ME\x08E", "NAME"),
        ("_\x08f_\x08i_\x08l_\x08e", "file"),
        ("f\x08_i\x08_", "fi"),
        ("B\x08B\x08B", "B"),
        ("+\x08o item", "o item"),
        ("NAME\x08\x08\x08\x08NAME", "NAME"),
        ("file\x08\x08\x08\x08____", "file"),
        ("____\x08\x08\x08\x08file", "file"),
        ("漢\x08漢字\x08\x08字", "漢字"),
        ("abc\x08\x08\nd", "abc\nd"),
        ("\x08\x08a\n\x08b", "a\nb"),
    ] {
        assert_eq!(read(raw), text, "{raw:?}");
    }
}

#[test]
fn quotes_from_a_wrong_conversion_are_mended() {
    assert_eq!(read("\u{93}Yes\u{94} \u{96} it\u{92}s \u{80}5\u{85}\u{81}"), "“Yes” – it’s €5\u{85}");
}

#[test]
fn text_of_control_characters_is_binary() {
    assert!(plain("\u{1}\u{2}\u{3}abc".to_owned()).is_binary);
    assert!(!plain(format!("\u{1}{}", "abc ".repeat(10))).is_binary);
    assert!(!plain("\x1b[1m\x1b[0mX\x08X\x07".to_owned()).is_binary);
}

#[test]
fn plain_text_stays_as_it_is() {
    let text = "Line one\tand\r\npage\u{c}two\u{b}\u{85} «é»";
    let read = plain(text.to_owned());
    assert_eq!((read.text.as_str(), read.changed), (text, false));
}
