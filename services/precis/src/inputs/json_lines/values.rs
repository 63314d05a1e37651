//! JSON values one after another, or the elements of one array, without holding more than one of
//! them.
//!
//! Only the ends of values are looked for here; whether a value is valid is told when it is read as
//! a record.

use std::io::{self, BufRead};

use super::super::encoding::Legacy;
use super::super::{Inputs, Problem, ReadOptions, TextError, problem};
use super::{line_limit, record};

/// Reads the records of a file. One that is alone has the name of its file.
pub(super) fn read(inputs: &mut Inputs, name: &str, stem: &str, reader: &mut dyn BufRead, options: &ReadOptions) {
    let mut values = Values { reader, limit: line_limit(options), array: None };
    let mut legacy = Legacy::default();
    let mut waiting: Option<(usize, Value)> = None;
    for number in 1_usize.. {
        let next = match values.next() {
            Ok(next) => next,
            Err(error) => {
                inputs.problems.push(problem(&format!("{name}:{number}"), &TextError::Unreadable(error)));
                None
            }
        };
        let alone = number == 2 && next.is_none() && values.array.is_none();
        if let Some((number, value)) = waiting.take() {
            let (at, stem) = if alone {
                (name.to_owned(), stem.to_owned())
            } else {
                (format!("{name}:{number}"), format!("{stem}-{number}"))
            };
            match value {
                Value::Whole(bytes) => record::add(inputs, &bytes, &stem, &at, options, &mut legacy),
                Value::TooLong => inputs.problems.push(problem(&at, &TextError::TooLarge { limit: options.max_bytes })),
            }
        }
        match next {
            Some(next) => waiting = Some((number, next)),
            None if number == 1 => return inputs.problems.push(problem(name, &TextError::Empty)),
            None => break,
        }
    }
    if values.array == Some(Array::Open) {
        let message = "ends within its JSON array: records may be missing".to_owned();
        inputs.problems.push(Problem { name: name.to_owned(), code: "not_json", message });
    }
}

enum Value {
    Whole(Vec<u8>),
    TooLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Array {
    Open,
    Closed,
}

struct Values<'a> {
    reader: &'a mut dyn BufRead,
    limit: u64,
    /// The array that the values are elements of.
    array: Option<Array>,
}

impl Values<'_> {
    fn next(&mut self) -> io::Result<Option<Value>> {
        let mut first = true;
        while let Some(byte) = self.peek()? {
            match byte {
                b'[' if self.array.is_none() && first => self.array = Some(Array::Open),
                b']' => self.array = self.array.map(|_| Array::Closed),
                byte if byte == b',' || byte.is_ascii_whitespace() => {}
                _ => return self.value().map(Some),
            }
            first &= byte.is_ascii_whitespace();
            self.reader.consume(1);
        }
        Ok(None)
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.reader.fill_buf()?.first().copied())
    }

    fn value(&mut self) -> io::Result<Value> {
        let mut scan = Scan::default();
        let mut bytes = Vec::new();
        let mut length = 0;
        while scan.place != Place::Ended {
            let block = self.reader.fill_buf()?;
            if block.is_empty() {
                break;
            }
            let taken = block.iter().take_while(|byte| scan.takes(**byte)).count();
            length += taken as u64;
            if length <= self.limit {
                bytes.extend_from_slice(&block[..taken]);
            } else {
                bytes = Vec::new();
            }
            self.reader.consume(taken);
        }
        Ok(if length <= self.limit { Value::Whole(bytes) } else { Value::TooLong })
    }
}

/// Where a value ends.
#[derive(Default)]
struct Scan {
    depth: usize,
    place: Place,
}

/// Where in a value the next byte is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Between,
    InString,
    /// Behind a backslash in a string.
    Escaped,
    /// Behind the last byte of the value.
    Closed,
    /// The byte that was seen is not part of the value.
    Ended,
}

impl Scan {
    /// Whether the byte is part of the value.
    fn takes(&mut self, byte: u8) -> bool {
        self.place = match (self.place, byte) {
            (Place::Closed | Place::Ended, _) => Place::Ended,
            (Place::InString, b'\\') => Place::Escaped,
            (Place::InString, b'"') => self.closed(),
            (Place::InString | Place::Escaped, _) | (Place::Between, b'"') => Place::InString,
            (Place::Between, b'{' | b'[') => {
                self.depth += 1;
                Place::Between
            }
            (Place::Between, b'}' | b']') if self.depth > 0 => {
                self.depth -= 1;
                self.closed()
            }
            // A bare word ends before what cannot be part of it.
            (Place::Between, b',' | b']') if self.depth == 0 => Place::Ended,
            (Place::Between, byte) if self.depth == 0 && byte.is_ascii_whitespace() => Place::Ended,
            (Place::Between, _) => Place::Between,
        };
        self.place != Place::Ended
    }

    /// Behind a bracket or a quote that closes something, maybe the value.
    fn closed(&self) -> Place {
        if self.depth == 0 { Place::Closed } else { Place::Between }
    }
}
