//! The first pass: characters that stand for others, whatever is beside them.
//!
//! Invisible characters are left out. Compatibility characters (Unicode's NFKC) become the
//! characters that they stand for. There are exceptions, each of which would change the meaning:
//! * Raised and lowered digits stay: 10² is not 102, and `Smith¹` names Smith. [`super::marks`]
//!   rewrites those that are plain digits.
//! * Fractions stay for the same pass: `2½` is not 21/2.
//! * Numbers in circles become `(1)`, the spelling of a list marker.
//! * Symbols spelt with letters or digits stay words of their own: `№5` is `No 5`, `3㏠` is `3 1日`.
//! * `Acme™` stays: it is not `AcmeTM`. So do accents without a letter, and single letters of
//!   Hangul, which would merge.
//! * Characters that stand for a whole sentence stay: the longest, U+FDFA, stands for eighteen.

use std::borrow::Cow;

use unicode_normalization::char::{decompose_canonical, decompose_compatible};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::digits;

/// The most characters that one compatibility character may become.
const MAX_EXPANSION: usize = 4;

pub(super) fn rewritten(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut out = PlainBuilder { text: String::with_capacity(text.len()), apart: false };
    let mut skipped_to = 0;
    for (at, character) in text.char_indices() {
        if at < skipped_to {
            continue;
        }
        if character.is_ascii() {
            out.push(character);
        } else if is_invisible(character) {
            // A soft hyphen at the end of a line was used: the word goes on in the next line.
            if character == '\u{ad}' && out.text.ends_with(char::is_alphabetic) {
                let rest = &text[at + character.len_utf8()..];
                skipped_to = line_end(rest).map_or(0, |length| at + character.len_utf8() + length);
            }
        } else {
            out.take(character);
        }
    }
    if is_nfc_quick(out.text.chars()) != IsNormalized::Yes {
        out.text = out.text.nfc().collect();
    }
    if out.text == text { Cow::Borrowed(text) } else { Cow::Owned(out.text) }
}

/// The bytes up to the next line's first letter, if the line ends here.
pub(super) fn line_end(rest: &str) -> Option<usize> {
    let line = rest.trim_start_matches([' ', '\t']);
    let next = line.strip_prefix("\r\n").or_else(|| line.strip_prefix(['\n', '\u{2028}']))?;
    let word = next.trim_start_matches([' ', '\t']);
    word.starts_with(char::is_alphabetic).then(|| rest.len() - word.len())
}

struct PlainBuilder {
    text: String,
    /// The last character was a symbol, which no letter or digit may touch.
    apart: bool,
}

impl PlainBuilder {
    fn push(&mut self, character: char) {
        if self.apart && character.is_alphanumeric() {
            self.text.push(' ');
        }
        self.apart = false;
        self.text.push(character);
    }

    fn push_all(&mut self, characters: impl IntoIterator<Item = char>) {
        for character in characters {
            self.push(character);
        }
    }

    fn take(&mut self, character: char) {
        if let Some(digit) = digits::ascii(character) {
            return self.push(digit);
        }
        if let Some(number) = circled(character) {
            return self.push_all(format!("({number})").chars());
        }
        match character {
            '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => self.push(' '),
            '…' => self.push_all(['.'; 3]),
            '⁄' | '∕' => self.push('/'),
            '٫' => self.push('.'),
            '٬' => self.push(','),
            '٪' => self.push('%'),
            _ if is_kept(character) => self.push(character),
            _ => self.expand(character),
        }
    }

    fn expand(&mut self, character: char) {
        let mut expansion = ['\0'; MAX_EXPANSION];
        let (mut length, mut canonical, mut same) = (0, 0, true);
        decompose_compatible(character, |part| {
            if let Some(slot) = expansion.get_mut(length) {
                *slot = part;
            }
            length += 1;
        });
        decompose_canonical(character, |part| {
            same = same && expansion.get(canonical) == Some(&part);
            canonical += 1;
        });
        let plain = same && canonical == length;
        if plain || length > MAX_EXPANSION || expansion[..length].iter().any(|part| part.is_whitespace()) {
            return self.push(character);
        }
        let symbol = !character.is_alphabetic() && expansion[..length].iter().any(|part| part.is_alphanumeric());
        self.apart = self.apart || (symbol && self.text.ends_with(char::is_alphanumeric));
        self.push_all(expansion[..length].iter().copied().filter(|part| !is_invisible(*part)));
        // `Nº5` is `No 5`.
        self.apart = symbol || matches!(character, 'ª' | 'º');
    }
}

/// Whether a compatibility character stays: its plain form would say something else, or other
/// passes and checks know it.
fn is_kept(character: char) -> bool {
    matches!(character,
        '²' | '³' | '¹' | '⁰'..='ⁿ' | '₀'..='₎' | '™' | '℠' | '¼'..='¾' | '⅐'..='⅟' | '↉' | '！' | '？'
        | '\u{3130}'..='\u{318f}' | '\u{ffa0}'..='\u{ffdc}')
}

/// Characters without a shape of their own: joiners, direction marks, variation selectors, the
/// Arabic lengthening stroke.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{640}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// The value of a number in a circle or in parentheses, or with a full stop of its own.
fn circled(character: char) -> Option<u32> {
    let code = u32::from(character);
    let from = match code {
        0x2460..=0x2473 => 0x2460 - 1,
        0x2474..=0x2487 => 0x2474 - 1,
        0x2488..=0x249b => 0x2488 - 1,
        0x24ea | 0x24ff => code,
        0x24eb..=0x24f4 => 0x24eb - 11,
        0x24f5..=0x24fe => 0x24f5 - 1,
        0x2776..=0x277f => 0x2776 - 1,
        0x2780..=0x2789 => 0x2780 - 1,
        0x278a..=0x2793 => 0x278a - 1,
        0x3251..=0x325f => 0x3251 - 21,
        0x32b1..=0x32bf => 0x32b1 - 36,
        _ => return None,
    };
    Some(code - from)
}
