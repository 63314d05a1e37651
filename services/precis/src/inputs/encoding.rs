//! The encoding and the format of an input's bytes.
//!
//! UTF-8 is read, and UTF-16 and UTF-32 where a byte order mark says so. Everything else is named,
//! with a command that converts it: an encoding that can only be guessed is the user's to confirm.

mod legacy;
mod unmarked;
mod wide;

use std::io::{Cursor, Read};

pub(super) use legacy::Legacy;
pub use legacy::Remedy;

use super::{Kind, TextError};
use wide::{Order, Transcoder, Width};

/// Bytes at the start in which signs of a format are looked for.
const SNIFFED_BYTES: u64 = 8 * 1024;

/// Formats that people take for text: the offset and bytes that tell each, and what to do with it.
const BINARY_FORMATS: [(usize, &[u8], &str); 15] = [
    (0, b"%PDF-", "a PDF; extract its text first, for example with pdftotext"),
    (0, b"PK\x03\x04", "a zip archive or office document; unpack it with unzip, or save it as text or HTML"),
    (0, b"PK\x05\x06", "a zip archive with nothing in it"),
    (0, b"\xD0\xCF\x11\xE0", "an office document; save it as text or HTML first"),
    (0, b"\x1F\x8B", "compressed by gzip; unpack it first, for example with gzip -dc < FILE"),
    (0, b"\x1F\x9D", "compressed by compress; unpack it first, for example with gzip -dc < FILE"),
    (0, b"\x28\xB5\x2F\xFD", "compressed by zstd; unpack it first, for example with zstd -dc < FILE"),
    (0, b"\xFD7zXZ\0", "compressed by xz; unpack it first, for example with xz -dc < FILE"),
    (4, b"1AY&SY", "compressed by bzip2; unpack it first, for example with bzip2 -dc < FILE"),
    (0, b"\x04\x22\x4D\x18", "compressed by lz4; unpack it first, for example with lz4 -dc < FILE"),
    (0, b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive; unpack it first, for example with 7z x FILE"),
    (257, b"ustar", "a tar archive; unpack it first, for example with tar -xf FILE"),
    (0, b"PAR1\x15", "a Parquet file; write its records as JSON Lines first"),
    (0, b"SQLite format 3\0", "an SQLite database; write its records as JSON Lines first"),
    (0, b"{\\rtf", "rich text; save it as text or HTML first"),
];

/// The stream as UTF-8 without a byte order mark, as far as its start tells; later bytes may still
/// be anything.
///
/// # Errors
/// [`TextError::Binary`], [`TextError::Encoding`] and [`TextError::NotUtf8`] where the start is
/// enough to know.
pub(super) fn decoded<'a>(stream: &'a mut dyn Read, kind: Kind) -> Result<Box<dyn Read + 'a>, TextError> {
    let mut start = Vec::new();
    stream.take(SNIFFED_BYTES).read_to_end(&mut start)?;
    let known = BINARY_FORMATS.iter().find(|(at, magic, _)| start.get(*at..).is_some_and(|at| at.starts_with(magic)));
    if let Some((_, _, what)) = known {
        return Err(TextError::Binary { what });
    }
    let (mark, wide) = match start.as_slice() {
        [0xFF, 0xFE, 0, 0, ..] => (4, Some((Width::Four, Order::Little))),
        [0, 0, 0xFE, 0xFF, ..] => (4, Some((Width::Four, Order::Big))),
        [0xFF, 0xFE, ..] => (2, Some((Width::Two, Order::Little))),
        [0xFE, 0xFF, ..] => (2, Some((Width::Two, Order::Big))),
        [0xEF, 0xBB, 0xBF, ..] => (3, None),
        _ => (0, None),
    };
    start.drain(..mark);
    if let Some((width, order)) = wide {
        return Ok(Box::new(Transcoder::new(Cursor::new(start).chain(stream), width, order)));
    }
    if let Some(error) = unmarked::recognised(&start) {
        return Err(error);
    }
    match kind {
        Kind::Text | Kind::Html if start.contains(&0) => return Err(TextError::zeros()),
        Kind::Jsonl | Kind::Json => json(&start)?,
        Kind::Text | Kind::Html => {}
    }
    Ok(Box::new(Cursor::new(start).chain(stream)))
}

/// Whether the start of a file of records has a record, or is text at least. Where it has, each
/// record stands for itself.
fn json(start: &[u8]) -> Result<(), TextError> {
    let opens = |line: &[u8]| matches!(line.trim_ascii_start().first(), Some(b'{' | b'['));
    if start.split(|byte| *byte == b'\n').any(opens) {
        return Ok(());
    }
    if start.contains(&0) {
        return Err(TextError::zeros());
    }
    match std::str::from_utf8(start) {
        Err(error) if error.error_len().is_some() => {
            let mut legacy = Legacy::default();
            Err(legacy.error(start, error.valid_up_to()))
        }
        _ => Ok(()),
    }
}
