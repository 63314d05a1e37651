//! UTF-16 and UTF-32 as UTF-8, as a stream.

use std::io::{self, Read};

/// Bytes that are decoded at once.
const BLOCK_BYTES: u64 = 16 * 1024;

/// Bytes of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// UTF-16.
    Two,
    /// UTF-32.
    Four,
}

/// Which byte of a unit comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The least significant one.
    Little,
    /// The most significant one.
    Big,
}

/// Reads UTF-8 out of a stream of wider units. A unit that is no character becomes U+FFFD.
pub(super) struct Transcoder<R> {
    stream: R,
    width: Width,
    order: Order,
    /// Bytes that wait for the rest of their character.
    raw: Vec<u8>,
    text: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: Read> Transcoder<R> {
    pub(super) fn new(stream: R, width: Width, order: Order) -> Self {
        Self { stream, width, order, raw: Vec::new(), text: Vec::new(), given: 0, ended: false }
    }

    fn refill(&mut self) -> io::Result<()> {
        let read = (&mut self.stream).take(BLOCK_BYTES).read_to_end(&mut self.raw)?;
        self.ended = read == 0;
        let text = match self.width {
            Width::Two => self.utf16(),
            Width::Four => self.utf32(),
        };
        self.text = text.into_bytes();
        self.given = 0;
        Ok(())
    }

    fn utf16(&mut self) -> String {
        let (pairs, _) = self.raw.as_chunks::<2>();
        let mut units = pairs.iter().map(|pair| utf16_unit(*pair, self.order)).collect::<Vec<_>>();
        if !self.ended && units.last().is_some_and(|last| (0xD800..0xDC00).contains(last)) {
            units.pop();
        }
        let mut text: String =
            char::decode_utf16(units.iter().copied()).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        self.raw.drain(..units.len() * 2);
        self.end(&mut text);
        text
    }

    fn utf32(&mut self) -> String {
        let (fours, _) = self.raw.as_chunks::<4>();
        let characters = fours.len();
        let mut text: String = fours
            .iter()
            .map(|four| utf32_character(*four, self.order))
            .map(|found| found.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        self.raw.drain(..characters * 4);
        self.end(&mut text);
        text
    }

    /// An incomplete character at the end of the stream.
    fn end(&mut self, text: &mut String) {
        if self.ended && !self.raw.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            self.raw.clear();
        }
    }
}

impl<R: Read> Read for Transcoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() && !self.ended {
            self.refill()?;
        }
        let count = buffer.len().min(self.text.len() - self.given);
        buffer[..count].copy_from_slice(&self.text[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

pub(super) fn utf16_unit(bytes: [u8; 2], order: Order) -> u16 {
    match order {
        Order::Little => u16::from_le_bytes(bytes),
        Order::Big => u16::from_be_bytes(bytes),
    }
}

pub(super) fn utf32_character(bytes: [u8; 4], order: Order) -> Option<char> {
    char::from_u32(match order {
        Order::Little => u32::from_le_bytes(bytes),
        Order::Big => u32::from_be_bytes(bytes),
    })
}
