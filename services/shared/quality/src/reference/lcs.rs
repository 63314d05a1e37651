//! Longest common subsequences, bit-parallel: Hyyrö (2004), "Bit-parallel LCS-length computation
//! revisited".
//!
//! A row of the table has a bit for each token of one text, the pattern. The bit is 0 where the
//! length grows at that token. One token of the other text makes a row of the one before it, 64
//! bits at a time.

use std::collections::HashMap;

/// Tokens of the shorter of two texts that their longest common subsequence reads; the longer one
/// is read whole. So ROUGE-L is exact where one text has at most so many, and beyond that it is the
/// one of the shorter text's first so many.
pub const MAX_LCS_TOKENS: usize = 2_048;

/// Tokens of each text that ROUGE-Lsum reads, since it compares each line with each line: about the
/// longest summary that a policy allows by default. Beyond that it is the one of the first so many.
pub const MAX_LCS_SUM_TOKENS: usize = 1_024;

const BITS: usize = u64::BITS as usize;

/// One of two texts, made ready to be compared with others.
pub(super) struct Pattern {
    length: usize,
    /// Words of a row.
    words: usize,
    /// Where the masks of each token begin.
    masks_of: HashMap<u32, usize>,
    /// For each token, a bit at each place where it stands.
    masks: Vec<u64>,
}

impl Pattern {
    pub(super) fn of(tokens: &[u32]) -> Self {
        let words = tokens.len().div_ceil(BITS);
        let mut pattern = Self { length: tokens.len(), words, masks_of: HashMap::new(), masks: Vec::new() };
        for (at, token) in tokens.iter().enumerate() {
            let next = pattern.masks.len();
            let begin = *pattern.masks_of.entry(*token).or_insert(next);
            if begin == next {
                pattern.masks.resize(next + words, 0);
            }
            pattern.masks[begin + at / BITS] |= 1 << (at % BITS);
        }
        pattern
    }

    /// The tokens that it has, each once.
    pub(super) fn tokens(&self) -> impl Iterator<Item = u32> {
        self.masks_of.keys().copied()
    }

    /// Length of the longest common subsequence with these tokens.
    pub(super) fn common(&self, tokens: &[u32]) -> usize {
        let mut row = vec![u64::MAX; self.words];
        for token in tokens {
            self.step(&mut row, *token);
        }
        // Bits beyond the pattern stay 1.
        row.iter().map(|word| word.count_zeros() as usize).sum()
    }

    /// Marks the pattern's tokens that lie in one longest common subsequence with these: the one
    /// that rouge-score finds, which goes back from the ends and prefers the later token of the
    /// pattern.
    ///
    /// `rows` is room for the table, to be used again.
    pub(super) fn mark(&self, pattern: &[u32], tokens: &[u32], rows: &mut Vec<u64>, marks: &mut [bool]) {
        rows.clear();
        rows.resize(self.words, u64::MAX);
        for token in tokens {
            let row = rows.len();
            rows.extend_from_within(row - self.words..);
            self.step(&mut rows[row..], *token);
        }
        let (mut own, mut other) = (self.length, tokens.len());
        while own > 0 && other > 0 {
            let at = own - 1;
            if pattern[at] == tokens[other - 1] {
                marks[at] = true;
                (own, other) = (at, other - 1);
            } else if rows[other * self.words + at / BITS] & (1 << (at % BITS)) == 0 {
                // The length grows at this token of the pattern, so it is the length of one token
                // fewer of the other text, too.
                other -= 1;
            } else {
                own = at;
            }
        }
    }

    /// Makes the row of one token more.
    fn step(&self, row: &mut [u64], token: u32) {
        let Some(&begin) = self.masks_of.get(&token) else { return };
        let mut carry = false;
        for (word, mask) in row.iter_mut().zip(&self.masks[begin..begin + self.words]) {
            let matching = *word & mask;
            let (sum, first) = word.overflowing_add(matching);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            carry = first || second;
            *word = sum | (*word & !mask);
        }
    }
}
