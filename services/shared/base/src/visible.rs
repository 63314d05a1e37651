//! Untrusted text made safe to look at: what has no shape of its own is shown by its code point.
//!
//! File names, ids, titles, error texts and models' answers come from strangers. Printed as they
//! are, their control characters move the cursor, change the window's title or paste into the
//! shell; their direction marks reorder what stands beside them; their invisible characters make
//! two names look like one. Every text that a command prints, that
//! stands in `summaries.md` or in a log line passes here.
//!
//! | function | for | line breaks |
//! | --- | --- | --- |
//! | [`line()`] | names and other fields that stand on one line | shown as `\n` |
//! | [`block`] | texts of several lines: summaries, errors | kept |
//! | [`json`] | JSON, whose strings have escapes of their own | are escapes already |

use std::borrow::Cow;
use std::fmt::Write as _;

/// A text on one line: `a\u{1b}[31m`, `two\nlines`.
pub fn line(text: &str) -> Cow<'_, str> {
    shown(text, false)
}

/// A text that may have several lines; line breaks and tabs stay.
pub fn block(text: &str) -> Cow<'_, str> {
    shown(text, true)
}

/// JSON with every invisible character as an escape: the same value, safe to look at.
pub fn json(text: &str) -> Cow<'_, str> {
    let hidden = |character: char| !character.is_ascii_control() && is_invisible(character) || character == '\u{7f}';
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if hidden(character) {
            // Outside of strings JSON has ASCII only, so that this is inside of one.
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

fn shown(text: &str, is_block: bool) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') || is_block && byte == b'\n') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' | '\t' if is_block => out.push(character),
            // A line break of other systems is one; alone it would take the cursor back over the
            // line.
            '\r' if is_block && characters.peek() == Some(&'\n') => {}
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if is_invisible(character) && !has_effect(before, character, characters.peek().copied()) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
            }
            _ => out.push(character),
        }
        before = Some(character);
    }
    Cow::Owned(out)
}

/// Whether a character has no shape of its own: controls, separators of lines, and Unicode's
/// default-ignorable characters, among them all direction marks.
///
/// Source: Unicode 16, `Default_Ignorable_Code_Point` in DerivedCoreProperties.txt, and general
/// categories Cc, Zl and Zp.
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Whether an invisible character does its work where it stands: joiners between letters of scripts
/// that need them and between emoji, and a variation selector behind the character that it varies.
fn has_effect(before: Option<char>, character: char, after: Option<char>) -> bool {
    let is_shape = |neighbour: Option<char>| neighbour.is_some_and(|other| !other.is_ascii());
    let varies = |other: char| !is_invisible(other) && !other.is_whitespace();
    match character {
        '\u{200c}' | '\u{200d}' => {
            // Behind an emoji there may be a variation selector.
            let joins = |other: char| !is_invisible(other) || other == '\u{fe0f}';
            is_shape(before) && is_shape(after) && before.is_some_and(joins) && after.is_some_and(joins)
        }
        '\u{fe00}'..='\u{fe0f}' => before.is_some_and(varies),
        '\u{e0100}'..='\u{e01ef}' => is_shape(before) && before.is_some_and(varies),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
