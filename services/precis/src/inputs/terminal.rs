//! Text for terminals and printers, turned into the text that a reader sees there.
//!
//! Escape sequences (ECMA-48) go, and overstrikes become the character that they show: `X\bX` is
//! bold and `_\bX` underlined on paper, and both are X. Other control characters, which no document
//! may have, go as well; those of U+0080 to U+009F stand for the characters of Windows-1252 in text
//! that was once converted as Latin-1, and become these.

/// Characters from U+0080 on as Windows-1252 has them at the same places; U+FFFD where it has none.
const WINDOWS_1252: &str = "€\u{FFFD}‚ƒ„…†‡ˆ‰Š‹Œ\u{FFFD}Ž\u{FFFD}\u{FFFD}‘’“”•–—˜™š›œ\u{FFFD}žŸ";

/// One in so many characters may be an unexplained control character; with more, it is no text.
const MIN_CHARACTERS_PER_CONTROL: usize = 10;

const ESCAPE: char = '\u{1b}';
const BELL: char = '\u{7}';
const BACKSPACE: char = '\u{8}';
/// The introducer of a control sequence as one character.
const CSI: char = '\u{9b}';

/// The first character that takes two columns; programs go back over it by one backspace or by two.
const FIRST_WIDE: char = '\u{1100}';

/// Whether no document may have the character: a control character that is no tab, line break or
/// page break.
pub(super) fn is_forbidden(character: char) -> bool {
    character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}')
}

/// Whether the character is one of those that terminal output is made of.
pub(super) fn is_code(character: char) -> bool {
    matches!(character, ESCAPE | BACKSPACE | BELL)
}

/// A text as it is read, and what became of its control characters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plain {
    /// The text, without any forbidden character.
    pub(super) text: String,
    /// Whether anything was taken out.
    pub(super) changed: bool,
    /// Whether so much was taken out that the text is none.
    pub(super) is_binary: bool,
}

/// The text that a reader of the terminal or the paper sees.
pub(super) fn plain(text: String) -> Plain {
    if !text.chars().any(is_forbidden) {
        return Plain { text, changed: false, is_binary: false };
    }
    let mut page = Page::default();
    let mut unexplained = 0;
    let mut rest = text.as_str();
    while let Some(character) = rest.chars().next() {
        let after = &rest[character.len_utf8()..];
        rest = match character {
            ESCAPE => after_escape(after),
            CSI => match after_parameters(after) {
                (end, true) => end,
                (_, false) => {
                    page.write('›');
                    after
                }
            },
            BACKSPACE => {
                page.back();
                after
            }
            character if is_forbidden(character) => {
                match windows_1252(character) {
                    Some(meant) => page.write(meant),
                    None => unexplained += usize::from(character != BELL),
                }
                after
            }
            character => {
                page.write(character);
                after
            }
        };
    }
    page.restore();
    let is_binary = unexplained * MIN_CHARACTERS_PER_CONTROL > text.chars().count();
    Plain { text: page.text, changed: true, is_binary }
}

fn windows_1252(character: char) -> Option<char> {
    let place = u32::from(character).checked_sub(0x80)?;
    WINDOWS_1252.chars().nth(place as usize).filter(|meant| *meant != char::REPLACEMENT_CHARACTER)
}

/// The rest of the text after the sequence whose escape character was read.
fn after_escape(text: &str) -> &str {
    let Some(kind) = text.chars().next() else { return text };
    let after = &text[kind.len_utf8()..];
    match kind {
        // A sequence that breaks off is gone as far as it goes.
        '[' => after_parameters(after).0,
        ']' => after_string(after, true),
        'P' | 'X' | '^' | '_' => after_string(after, false),
        ' '..='/' => {
            let end = after.trim_start_matches(|character| matches!(character, ' '..='/'));
            end.strip_prefix(|character| matches!(character, '0'..='~')).unwrap_or(after)
        }
        '0'..='~' => after,
        _ => text,
    }
}

/// The rest of the text after the parameters and the final character of a control sequence, and
/// whether there is such a character.
fn after_parameters(text: &str) -> (&str, bool) {
    let end = text.trim_start_matches(|character| matches!(character, '0'..='?'));
    let end = end.trim_start_matches(|character| matches!(character, ' '..='/'));
    match end.strip_prefix(|character| matches!(character, '@'..='~')) {
        Some(after) => (after, true),
        None => (end, false),
    }
}

/// The rest of the text after a string for the terminal: a title, a link's target, a picture. The
/// string ends with a bell or an escape; one without an end is text behind a stray introducer.
fn after_string(text: &str, in_one_line: bool) -> &str {
    let ends = |character: char| matches!(character, BELL | ESCAPE) || (in_one_line && character == '\n');
    let Some(end) = text.find(ends) else { return text };
    let after = &text[end..];
    match after.strip_prefix("\u{1b}\\").or_else(|| after.strip_prefix(BELL)) {
        Some(after) => after,
        None if after.starts_with(ESCAPE) => after,
        None => text,
    }
}

/// A page that is written on with overstrikes.
#[derive(Default)]
struct Page {
    text: String,
    /// Characters right of the print head, the nearest last.
    ahead: Vec<char>,
    /// Whether the print head stands within a character of two columns.
    within_wide: bool,
}

impl Page {
    fn back(&mut self) {
        if std::mem::take(&mut self.within_wide) {
            return;
        }
        // The print head stays within its line.
        if let Some(last) = self.text.chars().next_back()
            && !matches!(last, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}')
        {
            self.text.pop();
            self.ahead.push(last);
            self.within_wide = last >= FIRST_WIDE;
        }
    }

    fn write(&mut self, character: char) {
        self.within_wide = false;
        if matches!(character, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}') {
            self.restore();
        }
        match self.ahead.pop() {
            Some(under) if character == '_' => self.text.push(under),
            Some(_) | None => self.text.push(character),
        }
    }

    /// Characters that were not written over are still there.
    fn restore(&mut self) {
        self.text.extend(self.ahead.drain(..).rev());
    }
}

#[cfg(test)]
mod tests;
