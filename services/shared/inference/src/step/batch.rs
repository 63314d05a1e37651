//! One step's work as the backend sees it: flat, packed, ragged.

use std::ops::Range;

/// Tokens that one key-value block holds.
pub(crate) const BLOCK_TOKENS: usize = 32;

/// The rows of one sequence in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    /// First row.
    pub(crate) start: usize,
    /// Rows.
    pub(crate) len: usize,
    /// Positions of this sequence in the pool once these rows are written; the rows are the last
    /// `len` of them.
    pub(crate) context: usize,
    /// The sequence's blocks, in order of position.
    pub(crate) blocks: Vec<u32>,
    /// Slot of the adapter that these rows are computed with.
    pub(crate) adapter: Option<u32>,
}

/// The tokens that may not be chosen for one row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Restriction {
    /// If there are any, no other token may be chosen.
    pub(crate) only: Option<Vec<u32>>,
    /// None of these may be chosen.
    pub(crate) except: Vec<u32>,
}

impl Restriction {
    /// Whether every token may be chosen.
    pub(crate) fn is_empty(&self) -> bool {
        self.only.is_none() && self.except.is_empty()
    }

    /// Makes one list of the two where there are both. The tokens of `only` are never all taken
    /// away.
    pub(crate) fn settle(&mut self) {
        if let Some(only) = &mut self.only {
            let except = std::mem::take(&mut self.except);
            let left: Vec<u32> = only.iter().copied().filter(|id| !except.contains(id)).collect();
            if !left.is_empty() {
                *only = left;
            }
        }
    }
}

/// Rows of several sequences, one below the other, no padding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Token of each row.
    pub(crate) ids: Vec<u32>,
    /// Position of each row in its sequence.
    pub(crate) positions: Vec<u32>,
    /// Place of each row's key and value in the pool.
    pub(crate) slots: Vec<u32>,
    /// The rows of each sequence.
    pub(crate) spans: Vec<Span>,
    /// Rows whose next token is wanted, ascending.
    pub(crate) logit_rows: Vec<u32>,
    /// For each of `logit_rows`, the ids that its answer has so far; empty lists where nothing
    /// depends on them.
    pub(crate) written: Vec<Vec<u32>>,
    /// For each of `logit_rows`, the tokens that may not be chosen.
    pub(crate) restrictions: Vec<Restriction>,
}

impl Batch {
    /// Appends `tokens`, which stand at `position` and after in a sequence that owns `blocks`. With
    /// `wanted`, the answer so far, the token after the last of them is wanted too.
    pub(crate) fn push(&mut self, tokens: &[u32], position: usize, blocks: &[u32], wanted: Option<&[u32]>) {
        let start = self.ids.len();
        for (offset, id) in tokens.iter().enumerate() {
            let at = position + offset;
            self.ids.push(*id);
            self.positions.push(at as u32);
            self.slots.push(blocks[at / BLOCK_TOKENS] * BLOCK_TOKENS as u32 + (at % BLOCK_TOKENS) as u32);
        }
        let context = position + tokens.len();
        self.spans.push(Span { start, len: tokens.len(), context, blocks: blocks.to_vec(), adapter: None });
        if let Some(written) = wanted {
            self.logit_rows.push((start + tokens.len() - 1) as u32);
            self.written.push(written.to_vec());
            self.restrictions.push(Restriction::default());
        }
    }

    /// The same for a sequence with an adapter.
    pub(crate) fn push_adapted(
        &mut self,
        adapter: Option<u32>,
        tokens: &[u32],
        position: usize,
        blocks: &[u32],
        wanted: Option<&[u32]>,
    ) {
        self.push(tokens, position, blocks, wanted);
        if let Some(span) = self.spans.last_mut() {
            span.adapter = adapter;
        }
    }

    /// Restricts the token after the rows that were pushed last, if it is wanted.
    pub(crate) fn restrict_last(&mut self, restriction: &Restriction) {
        let wanted = self.spans.last().map(|span| (span.start + span.len - 1) as u32);
        if let Some(last) = self.restrictions.last_mut()
            && self.logit_rows.last().copied() == wanted
        {
            last.clone_from(restriction);
        }
    }

    /// The rows of neighbouring spans with one adapter, and its slot; rows without an adapter are
    /// in none of them.
    pub(crate) fn adapted_rows(&self) -> Vec<(Range<usize>, u32)> {
        let mut runs: Vec<(Range<usize>, u32)> = Vec::new();
        for span in &self.spans {
            let Some(slot) = span.adapter else { continue };
            let end = span.start + span.len;
            match runs.last_mut() {
                Some((rows, last)) if *last == slot && rows.end == span.start => rows.end = end,
                _ => runs.push((span.start..end, slot)),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests;
