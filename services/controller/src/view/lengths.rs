//! How long documents are, in cells whose ends grow by the square root of two.

use super::Merge;

/// Cells: none for no words at all, then two for each doubling; the last one from 11.9 million
/// words on.
const CELLS: usize = 49;

/// Documents by length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lengths([u64; CELLS]);

impl Default for Lengths {
    fn default() -> Self {
        Self([0; CELLS])
    }
}

impl Lengths {
    /// Counts a document of so many words.
    pub fn add(&mut self, words: i32) {
        self.0[cell(words)] += 1;
    }

    /// Documents in each cell, shortest first.
    pub fn counts(&self) -> &[u64] {
        &self.0
    }
}

impl Merge for Lengths {
    fn merge(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(own, more)| *own += more);
    }
}

fn cell(words: i32) -> usize {
    let Some(words) = u64::try_from(words).ok().filter(|words| *words > 0) else { return 0 };
    let doublings = words.ilog2();
    // In integers, so that every machine has the same cells.
    let is_upper_half = words * words >= 1 << (2 * doublings + 1);
    (1 + 2 * doublings as usize + usize::from(is_upper_half)).min(CELLS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_grow_by_the_root_of_two() {
        let cells: Vec<_> = [-1, 0, 1, 2, 3, 4, 5, 6, 8, 1000, 1024, 1448, 1449, i32::MAX].map(cell).into();
        assert_eq!(cells, [0, 0, 1, 3, 4, 5, 5, 6, 7, 20, 21, 21, 22, CELLS - 1]);
        assert!((1..100_000).all(|words| cell(words) <= cell(words + 1)));
    }
}
