//! Decoders held against hostile input: what is valid, broken in ways that parsers break at.
//!
//! A test gives a corpus of valid inputs and the decoder; [`survives`] calls it with mutations of them until the time is
//! up. The decoder may answer what it likes; it may not panic and not take `LONGEST`. The same build tries the same
//! inputs in the same order, so that what was found is found again; the input is kept in a file all the same.
//!
//! `PRECIS_FUZZ_SECONDS` sets the time of each decoder: a moment in `cargo test`, 10 s in CI, 60 s in `make fuzz`.
//! Mutations follow the structure as far as bytes show it (lengths, numbers, text); there is no feedback from coverage,
//! which would want a nightly compiler.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// No decoder of the house takes as long for an input of this size, in any build.
const LONGEST: Duration = Duration::from_secs(10);
/// What `cargo test` spends on a decoder.
const DEFAULT_SECONDS: f64 = 0.3;
/// Inputs grow no further.
const MOST_BYTES: usize = 64 * 1024;
/// At the least, however slow the decoder is.
const LEAST_INPUTS: u64 = 200;

/// Values at which lengths, counts and signs turn over.
const EDGES: [&[u8]; 12] = [
    &[0],
    &[0x7F],
    &[0x80],
    &[0xFF],
    &[0xFF; 4],
    &[0xFF; 8],
    &[0, 0, 0, 0x80],
    &[0, 0, 0, 0, 0, 0, 0, 0x80],
    &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
    &[0x80; 11],
    "\u{202E}\u{0301}\u{FEFF}".as_bytes(),
    b"99999999999999999999",
];

/// Calls the decoder with broken copies of the corpus until the time is up.
///
/// # Panics
/// Where the decoder panics or takes too long; the input is in the file that the message names.
pub fn survives(name: &str, corpus: &[Vec<u8>], decode: impl Fn(&[u8])) {
    assert!(!corpus.is_empty(), "{name}: an empty corpus shows nothing");
    let seconds = std::env::var("PRECIS_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs_f64(seconds.unwrap_or(DEFAULT_SECONDS));
    let mut chance = Chance(0x5EED);
    let mut tried = 0;
    let whole = corpus.iter().cloned();
    let mut whole = whole.chain([Vec::new()]);
    while tried < LEAST_INPUTS || Instant::now() < until {
        let input = whole.next().unwrap_or_else(|| chance.broken(corpus));
        let began = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| decode(&input)));
        let took = began.elapsed();
        if result.is_err() || took > LONGEST {
            let file = keep(name, &input);
            assert!(result.is_err(), "{name} took {took:?} for {}", file.display());
            note(name, &file);
        }
        if let Err(panic) = result {
            resume_unwind(panic);
        }
        tried += 1;
    }
}

/// Tests have no log: standard error is where their panics go, too.
fn note(name: &str, file: &std::path::Path) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{name}: the input is in {}", file.display());
}

fn keep(name: &str, input: &[u8]) -> PathBuf {
    let file = std::env::temp_dir().join(format!("precis-fuzz-{name}-{}", std::process::id()));
    // A full disk must not hide the panic that is being reported.
    let _ = std::fs::write(&file, input);
    file
}

/// Pseudo-random numbers, the same in every run: xorshift64*, Vigna 2016.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit.max(1)
    }

    /// One of the corpus after a few mutations.
    fn broken(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(6) {
            self.mutate(&mut bytes, corpus);
        }
        bytes.truncate(MOST_BYTES);
        bytes
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let to = (at + self.below(32)).min(bytes.len());
        match self.below(9) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..to)),
            2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            3 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = self.below(256) as u8;
                }
            }
            4 => {
                let edge = EDGES[self.below(EDGES.len())];
                bytes.splice(at..at, edge.iter().copied());
            }
            5 => {
                let edge = EDGES[self.below(EDGES.len())];
                let end = (at + edge.len()).min(bytes.len());
                bytes.splice(at..end, edge.iter().copied());
            }
            // The same again and again: nesting, lists, numbers without end.
            6 => {
                let piece = bytes[at..to].repeat(1 + self.below(200));
                bytes.splice(at..at, piece);
            }
            7 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                let end = (from + self.below(256)).min(other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
            _ => {
                let byte = self.below(256) as u8;
                bytes[at..to].fill(byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_decoder_that_trusts_a_length_is_caught() {
        let corpus = [vec![3, b'a', b'b', b'c']];
        let caught = catch_unwind(|| {
            survives("trusting", &corpus, |bytes| {
                if let Some((length, rest)) = bytes.split_first() {
                    let _ = &rest[..usize::from(*length)];
                }
            });
        });
        assert!(caught.is_err());
    }

    #[test]
    fn the_corpus_itself_and_nothing_at_all_are_tried_too() {
        let seen = Cell::new((false, false));
        survives("all", &[b"whole".to_vec()], |bytes| {
            let (whole, empty) = seen.get();
            seen.set((whole || bytes == b"whole", empty || bytes.is_empty()));
        });
        assert_eq!(seen.get(), (true, true));
    }
}
