//! Encodings from before UTF-8: which one it may be, and the command that converts it.

use std::fmt;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::Encoding;

use super::super::{TextError, terminal};

/// Valid characters beyond ASCII for each broken one, from which a text is taken for damaged UTF-8.
const VALID_PER_BROKEN: usize = 4;

/// How a text is made UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Conversion from an encoding, by its name for `iconv`.
    From(&'static str),
    /// Leaving out the few bytes that are broken.
    DropBroken,
    /// None is known.
    Unknown,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(encoding) => write!(f, "convert it, for example with iconv -f {encoding} -t utf-8"),
            Self::DropBroken => {
                f.write_str("a few characters are broken; drop them, for example with iconv -c -f utf-8 -t utf-8")
            }
            Self::Unknown => f.write_str("convert it with iconv from the encoding that it was written in"),
        }
    }
}

/// The encoding of one file, from all of its lines that are not UTF-8.
pub(in super::super) struct Legacy {
    /// Has read the lines until now, each once.
    detector: EncodingDetector,
    /// Bytes that the detector has read.
    read: usize,
    /// Whether other lines of the file have characters beyond ASCII in UTF-8.
    pub(in super::super) beside_utf8: bool,
}

/// Bytes that a guess is made from.
const MAX_READ_BYTES: usize = 64 * 1024;

impl Default for Legacy {
    fn default() -> Self {
        Self { detector: EncodingDetector::new(Iso2022JpDetection::Deny), read: 0, beside_utf8: false }
    }
}

impl Legacy {
    /// Why `bytes`, broken at `at`, are not UTF-8, with a command that makes them so.
    pub(in super::super) fn error(&mut self, bytes: &[u8], at: usize) -> TextError {
        let seen = &bytes[..bytes.len().min(MAX_READ_BYTES.saturating_sub(self.read))];
        self.detector.feed(seen, false);
        self.read += seen.len();
        if bytes.contains(&0) {
            return TextError::zeros();
        }
        let remedy = if self.beside_utf8 || is_damaged_utf8(bytes) {
            Remedy::DropBroken
        } else {
            self.guess(bytes).map_or(Remedy::Unknown, Remedy::From)
        };
        if remedy == Remedy::Unknown
            && bytes.iter().any(|byte| terminal::is_forbidden(char::from(*byte)) && byte.is_ascii())
        {
            return TextError::Binary { what: "binary data (it holds control characters)" };
        }
        TextError::NotUtf8 { at, remedy }
    }

    /// A name that `iconv` knows, of an encoding in which all of `bytes` is text.
    fn guess(&self, bytes: &[u8]) -> Option<&'static str> {
        let guessed = self.detector.guess(None, Utf8Detection::Deny);
        [guessed, encoding_rs::WINDOWS_1252].into_iter().find(|encoding| is_text(bytes, encoding)).map(iconv_name)
    }
}

/// Whether a text is UTF-8 but for a few broken characters: converting it as something else would
/// break the others.
fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let (mut valid, mut broken) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        valid += chunk.valid().chars().filter(|character| !character.is_ascii()).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    valid >= broken * VALID_PER_BROKEN
}

/// Whether every byte means something in the encoding, and nothing that no document may have.
fn is_text(bytes: &[u8], encoding: &'static Encoding) -> bool {
    encoding.decode_without_bom_handling_and_without_replacement(bytes).is_some_and(|text| {
        !text.chars().any(|character| terminal::is_forbidden(character) && !terminal::is_code(character))
    })
}

/// The Encoding Standard's name as the GNU C library knows it; where both differ, the library's
/// larger set.
fn iconv_name(encoding: &'static Encoding) -> &'static str {
    match encoding.name() {
        "Shift_JIS" => "cp932",
        "EUC-KR" => "cp949",
        "GBK" => "gb18030",
        "Big5" => "big5-hkscs",
        "ISO-8859-8-I" => "iso-8859-8",
        "x-mac-cyrillic" => "mac-cyrillic",
        name => name,
    }
}

#[cfg(test)]
mod tests;
