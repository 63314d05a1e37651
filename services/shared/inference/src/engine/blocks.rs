//! The key-value blocks of the pool, and which of them are free.
//!
//! Invariant: every block is either free, owned by exactly one sequence, or pinned by the prefix;
//! `free + owned + pinned == total` after every step.

/// Which blocks are free.
#[derive(Debug, Clone)]
pub(crate) struct BlockPool {
    free: Vec<bool>,
    available: usize,
}

impl BlockPool {
    pub(crate) fn new(total: usize) -> Self {
        Self { free: vec![true; total], available: total }
    }

    pub(crate) fn total(&self) -> usize {
        self.free.len()
    }

    pub(crate) fn available(&self) -> usize {
        self.available
    }

    /// Takes `count` blocks: the first run of neighbouring ones, since those can be read without
    /// copying, else the first free ones. Takes nothing and returns `None` if there are too few.
    pub(crate) fn take(&mut self, count: usize) -> Option<Vec<u32>> {
        if count > self.available {
            return None;
        }
        let taken = self.neighbours(count).unwrap_or_else(|| {
            let free = self.free.iter().enumerate().filter(|(_, free)| **free);
            free.map(|(block, _)| block as u32).take(count).collect()
        });
        for block in &taken {
            self.free[*block as usize] = false;
        }
        self.available -= count;
        Some(taken)
    }

    fn neighbours(&self, count: usize) -> Option<Vec<u32>> {
        let mut run = 0;
        for (block, free) in self.free.iter().enumerate() {
            run = if *free { run + 1 } else { 0 };
            if run >= count {
                return Some(((block + 1 - run) as u32..).take(count).collect());
            }
        }
        None
    }

    /// Gives blocks back.
    pub(crate) fn give_back(&mut self, blocks: &[u32]) {
        for block in blocks {
            let free = &mut self.free[*block as usize];
            debug_assert!(!*free, "block {block} was given back twice");
            *free = true;
        }
        self.available += blocks.len();
    }
}

#[cfg(test)]
mod tests;
