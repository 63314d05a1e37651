//! UTF-16 and UTF-32 without a byte order mark, told by how their zero bytes stand.
//!
//! Text in these encodings has zero bytes, and read in the right order it has characters of text
//! only. Binary data with zero bytes has control characters, halves of pairs or unused characters
//! in every order.

use super::super::TextError;
use super::wide::{Order, Width, utf16_unit, utf32_character};

/// UTF-16 has at least one zero byte in so many bytes. UTF-8 can be read as UTF-16, too, in
/// characters that are rare together, but it has hardly any zero bytes.
const MAX_BYTES_PER_ZERO: usize = 4;

/// Fewest characters from which anything is concluded.
const MIN_CHARACTERS: usize = 2;

/// The refusal of such a text, under its encoding's name; `None` for everything else.
pub(super) fn recognised(start: &[u8]) -> Option<TextError> {
    let zeros = start.iter().filter(|byte| **byte == 0).count();
    let is_utf8 = std::str::from_utf8(start).map_or_else(|error| error.error_len().is_none(), |_| true);
    if zeros == 0 || (is_utf8 && zeros * MAX_BYTES_PER_ZERO < start.len()) {
        return None;
    }
    let readings = [
        (Width::Four, Order::Little, "UTF-32", "utf-32le"),
        (Width::Four, Order::Big, "UTF-32", "utf-32be"),
        (Width::Two, Order::Little, "UTF-16", "utf-16le"),
        (Width::Two, Order::Big, "UTF-16", "utf-16be"),
    ];
    let best = readings.iter().filter_map(|reading| Some((common(start, reading.0, reading.1)?, reading)));
    // Of two possible readings the one with more blanks and Latin letters; of equals the first.
    let (_, (_, _, name, iconv)) = best.reduce(|best, other| if other.0 > best.0 { other } else { best })?;
    Some(TextError::Encoding { name, iconv })
}

/// How many characters are common in all languages' texts, if all of them are text.
fn common(start: &[u8], width: Width, order: Order) -> Option<usize> {
    let characters: Vec<char> = match width {
        Width::Two => {
            let (pairs, rest) = start.as_chunks::<2>();
            // The sample of a longer file may end within a pair of surrogates, never within a unit.
            let units = pairs.iter().map(|pair| utf16_unit(*pair, order));
            let mut read: Vec<_> = rest.is_empty().then(|| char::decode_utf16(units).collect())?;
            if matches!(read.last(), Some(Err(last)) if last.unpaired_surrogate() < 0xDC00) {
                read.pop();
            }
            read.into_iter().collect::<Result<_, _>>().ok()?
        }
        Width::Four => {
            let (fours, rest) = start.as_chunks::<4>();
            let read = fours.iter().map(|four| utf32_character(*four, order));
            rest.is_empty().then(|| read.collect::<Option<_>>())??
        }
    };
    let is_text = |character: &char| match character {
        '\t' | '\n' | '\r' | '\u{c}' => true,
        '\u{E000}'..='\u{F8FF}' | '\u{FFF0}'..='\u{FFFF}' | '\u{F0000}'.. => false,
        _ => !character.is_control(),
    };
    let is_common = |character: &&char| matches!(character, '\t' | '\n' | '\r' | ' '..='~' | '\u{3000}'..='\u{3002}');
    (characters.len() >= MIN_CHARACTERS && characters.iter().all(is_text))
        .then(|| characters.iter().filter(is_common).count())
}
