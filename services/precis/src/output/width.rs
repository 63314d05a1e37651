//! Columns that a text takes on a terminal: two for an ideograph or an emoji, none for a combining
//! mark.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// Columns of a text on one line.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// The start of a text, with an ellipsis for what is left out, in at most `most` columns.
pub fn shorten(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut short = taken(text.graphemes(true), most).concat();
    short.truncate(short.trim_end().len());
    if most > 0 {
        short.push('…');
    }
    short
}

/// The end of a text in at most `most` columns: of a path the file's own name tells more than the
/// folders it lies in.
pub fn shorten_start(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut end = taken(text.graphemes(true).rev(), most);
    if most > 0 {
        end.push("…");
    }
    end.reverse();
    end.concat()
}

/// The first graphemes, as many as leave a column for the ellipsis: what people see as one
/// character is never cut.
fn taken<'a>(graphemes: impl Iterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    let mut left = most.saturating_sub(1);
    graphemes
        .take_while(|grapheme| {
            let fits = columns(grapheme) <= left;
            left = left.saturating_sub(columns(grapheme));
            fits
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_columns_and_not_characters() {
        assert_eq!(columns("報告.txt"), 8);
        assert_eq!(columns("e\u{301}"), 1);
        assert_eq!(columns("👩\u{200d}👩\u{200d}👧"), 2);
    }

    #[test]
    fn a_shortened_text_fits_whatever_its_script() {
        for text in [
            "a long plain name",
            "報告書の名前はとても長い",
            "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}",
            "👩\u{200d}👧👩\u{200d}👧👩\u{200d}👧",
        ] {
            for most in 0..20 {
                for short in [shorten(text, most), shorten_start(text, most)] {
                    assert!(columns(&short) <= most, "{short:?} in {most}");
                    assert_eq!(short == text, columns(text) <= most, "{short:?} in {most}");
                }
            }
        }
    }

    #[test]
    fn no_character_is_cut_in_two() {
        assert_eq!(shorten("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(shorten("報告書", 4), "報…");
        assert_eq!(shorten_start("folder/報告書", 6), "…告書");
    }
}
