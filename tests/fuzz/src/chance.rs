//! Broken copies of valid inputs, without feedback: what `cargo test` tries, on any compiler.

/// Inputs grow no further.
const MAX_BYTES: usize = 64 * 1024;

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

/// Pseudo-random numbers, the same in every run: xorshift64*, Vigna 2016.
pub(crate) struct Chance(u64);

impl Chance {
    /// The same ones in every run.
    pub(crate) fn seeded() -> Self {
        Self(0x5EED)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit.max(1)
    }

    /// One of the corpus after a few mutations, which follow the structure as far as bytes show it:
    /// lengths, numbers, text.
    pub(crate) fn broken(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(6) {
            self.mutate(&mut bytes, corpus);
        }
        bytes.truncate(MAX_BYTES);
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
