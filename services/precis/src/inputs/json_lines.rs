//! JSON Lines: one object a line with a text, and optionally `id`, `title`, `language` and a
//! reference summary. Lines are independent of each other.

mod record;
mod values;

use std::io::{self, BufRead, BufReader, Read};

use super::encoding::Legacy;
use super::{Inputs, ReadOptions, TextError, problem};

/// A line holds a text with its escapes and some fields: six bytes for each of the text (`\u00e9`)
/// and a little.
const LINE_BYTES_PER_TEXT_BYTE: u64 = 6;

/// Reads a file of records, a line each. A JSON array and objects over several lines are read as
/// what they are.
pub(super) fn read(inputs: &mut Inputs, name: &str, stem: &str, stream: &mut dyn Read, options: &ReadOptions) {
    let mut reader = BufReader::new(stream);
    match reader.fill_buf() {
        Ok(start) if holds_values(start) => values::read(inputs, name, stem, &mut reader, options),
        Ok(_) => lines(inputs, name, stem, &mut reader, options),
        Err(error) => inputs.problems.push(problem(name, &TextError::Unreadable(error))),
    }
}

/// Reads a file of JSON that is not of lines: an array of objects, or objects one after another.
pub(super) fn read_values(inputs: &mut Inputs, name: &str, stem: &str, stream: &mut dyn Read, options: &ReadOptions) {
    values::read(inputs, name, stem, &mut BufReader::new(stream), options);
}

/// Whether a file starts with an array, or with an object that its first line does not end.
fn holds_values(start: &[u8]) -> bool {
    let first = start.trim_ascii_start();
    let line = first.split(|byte| *byte == b'\n').next().unwrap_or_default();
    first.starts_with(b"[") || line.trim_ascii() == b"{"
}

fn lines(inputs: &mut Inputs, name: &str, stem: &str, reader: &mut dyn BufRead, options: &ReadOptions) {
    let limit = line_limit(options);
    let before = (inputs.documents.len(), inputs.problems.len());
    let mut legacy = Legacy::default();
    for number in 1_usize.. {
        let at = format!("{name}:{number}");
        let line = match next_line(reader, limit) {
            Ok(Line::Whole(line)) => line,
            Ok(Line::TooLong) => {
                inputs.problems.push(problem(&at, &TextError::TooLarge { limit: options.max_bytes }));
                continue;
            }
            Ok(Line::End) => break,
            Err(error) => return inputs.problems.push(problem(&at, &TextError::Unreadable(error))),
        };
        if !line.trim_ascii().is_empty() {
            record::add(inputs, &line, &format!("{stem}-{number}"), &at, options, &mut legacy);
        }
    }
    if (inputs.documents.len(), inputs.problems.len()) == before {
        inputs.problems.push(problem(name, &TextError::Empty));
    }
}

/// Largest record that is held, bytes.
fn line_limit(options: &ReadOptions) -> u64 {
    options.max_bytes.saturating_mul(LINE_BYTES_PER_TEXT_BYTE)
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
    End,
}

/// The next line, of which no more than `limit` bytes are held; what is longer is skipped to its
/// end.
fn next_line(reader: &mut dyn BufRead, limit: u64) -> io::Result<Line> {
    let mut line = Vec::new();
    reader.take(limit.saturating_add(1)).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(Line::End);
    }
    if line.len() as u64 > limit && !line.ends_with(b"\n") {
        reader.skip_until(b'\n')?;
        return Ok(Line::TooLong);
    }
    Ok(Line::Whole(line))
}

#[cfg(test)]
mod tests;
