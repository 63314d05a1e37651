//! The beginning that prompts share, computed once.
//!
//! Chat template, system message and instruction put the same tokens before the document in request
//! after request. The first sequence that has computed them leaves their keys and values here,
//! pinned, and later sequences start after them:
//!
//! ```text
//! pinned, 76 tokens    [ block 3 ][ block 9 ][ block 4: 12 tokens ]
//! a later sequence     [ block 3 ][ block 9 ][ block 7            ][ block 8 ] …
//!                        read, not owned       owned: starts as a copy of block 4
//! ```
//!
//! A prompt shares all tokens that it has in common with the pinned ones, but never its own last
//! token: that one is computed, since its logits are wanted. The shared keys and values are those
//! that the prompt would have computed, so answers do not change. No sequence writes to a pinned
//! block: the block's tokens are computed before it is pinned, and the sequences that share it
//! write after them.
//!
//! There is one prefix for requests without an adapter, since an engine has one model and one
//! template, and one for each adapter: with another adapter the same tokens have other keys and
//! values. The prefixes of adapters hold a quarter of the pool together, at most; beyond it one
//! that no sequence reads makes room. The beginning of another instruction replaces a prefix once
//! [`MAX_MISSES`] sequences in a row had a longer beginning that is not here, and no sequence reads
//! the old one any more. All prefixes also go when a request fits only without them, so a pool of
//! any size makes progress.

use std::collections::BTreeMap;

use crate::step::BLOCK_TOKENS;

/// Fewest tokens worth sharing: copying a block costs about as much as computing a few.
pub(crate) const MIN_SHARED_TOKENS: usize = 8;
/// Sequences in a row whose beginning is not here, after which the prefix is replaced.
pub(crate) const MAX_MISSES: u32 = 16;

/// The tokens that a prompt shares with the prefix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PrefixShare {
    /// Tokens whose keys and values the prompt need not compute.
    pub(crate) tokens: usize,
}

impl PrefixShare {
    /// Blocks that the prompt only reads.
    pub(crate) fn whole_blocks(self) -> usize {
        self.tokens / BLOCK_TOKENS
    }

    /// Whether the prompt needs a copy of the block after the whole ones.
    pub(crate) fn partial(self) -> bool {
        !self.tokens.is_multiple_of(BLOCK_TOKENS)
    }
}

/// The pinned prefix, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Prefix {
    /// Empty while nothing is pinned.
    tokens: Vec<u32>,
    blocks: Vec<u32>,
    /// Running sequences that read its blocks.
    readers: usize,
    /// Sequences in a row that had a longer beginning than the pinned one.
    misses: u32,
}

impl Prefix {
    /// The pinned blocks, in order of position.
    pub(crate) fn blocks(&self) -> &[u32] {
        &self.blocks
    }

    /// The tokens that this prompt may share now.
    pub(crate) fn share(&self, prompt: &[u32]) -> PrefixShare {
        let common = self.tokens.iter().zip(prompt).take_while(|(pinned, own)| pinned == own).count();
        let tokens = common.min(prompt.len().saturating_sub(1));
        PrefixShare { tokens: if tokens < MIN_SHARED_TOKENS { 0 } else { tokens } }
    }

    /// Records that a sequence with a common beginning of `wanted` tokens was admitted with this
    /// share.
    pub(crate) fn record_admission(&mut self, share: PrefixShare, wanted: usize) {
        if share.tokens < wanted && wanted >= MIN_SHARED_TOKENS {
            self.misses = self.misses.saturating_add(1);
        } else if share.tokens > 0 {
            self.misses = 0;
        }
        self.readers += usize::from(share.whole_blocks() > 0);
    }

    /// Records that a sequence that read pinned blocks has ended.
    pub(crate) fn give_back(&mut self) {
        debug_assert!(self.readers > 0, "more readers ended than began");
        self.readers -= 1;
    }

    /// Whether another prefix may be pinned.
    pub(crate) fn is_open(&self) -> bool {
        self.tokens.is_empty() || (self.misses >= MAX_MISSES && self.readers == 0)
    }

    /// Pins these tokens, whose keys and values are in these blocks. With `read`, the sequence that
    /// computed them goes on reading the blocks.
    pub(crate) fn pin(&mut self, tokens: &[u32], blocks: Vec<u32>, read: bool) {
        debug_assert!(self.tokens.is_empty(), "the former prefix is still pinned");
        debug_assert_eq!(blocks.len(), tokens.len().div_ceil(BLOCK_TOKENS));
        *self = Self { tokens: tokens.to_vec(), blocks, readers: usize::from(read), misses: 0 };
    }

    /// Unpins the prefix; its blocks are the caller's from here on.
    pub(crate) fn unpin(&mut self) -> Vec<u32> {
        debug_assert_eq!(self.readers, 0, "somebody still reads the prefix");
        std::mem::take(self).blocks
    }
}

/// The prefixes of an engine: that of requests without an adapter, and one for each adapter's slot.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    by_adapter: BTreeMap<Option<u32>, Prefix>,
    empty: Prefix,
}

impl Prefixes {
    /// The prefix for requests with this adapter.
    pub(crate) fn of(&self, adapter: Option<u32>) -> &Prefix {
        self.by_adapter.get(&adapter).unwrap_or(&self.empty)
    }

    /// The same, to be changed.
    pub(crate) fn of_mut(&mut self, adapter: Option<u32>) -> &mut Prefix {
        self.by_adapter.entry(adapter).or_default()
    }

    /// The pinned blocks of all prefixes.
    pub(crate) fn blocks(&self) -> Vec<u32> {
        self.by_adapter.values().flat_map(|prefix| prefix.blocks.iter().copied()).collect()
    }

    /// Blocks that the prefixes of adapters hold.
    pub(crate) fn adapter_blocks(&self) -> usize {
        self.by_adapter.iter().filter(|(adapter, _)| adapter.is_some()).map(|(_, prefix)| prefix.blocks.len()).sum()
    }

    /// An adapter, another than this one, whose pinned prefix no sequence reads.
    pub(crate) fn unread_beside(&self, adapter: Option<u32>) -> Option<u32> {
        let unread = |prefix: &Prefix| prefix.readers == 0 && !prefix.blocks.is_empty();
        let others = self.by_adapter.iter().filter(|(other, _)| **other != adapter);
        others.filter(|(_, prefix)| unread(prefix)).find_map(|(other, _)| *other)
    }

    /// Unpins the prefix of an adapter that is given up.
    pub(crate) fn remove(&mut self, adapter: Option<u32>) -> Vec<u32> {
        self.by_adapter.remove(&adapter).map(|mut prefix| prefix.unpin()).unwrap_or_default()
    }

    /// Unpins all prefixes; their blocks are the caller's from here on.
    pub(crate) fn unpin_all(&mut self) -> Vec<u32> {
        self.by_adapter.values_mut().flat_map(Prefix::unpin).collect()
    }
}

#[cfg(test)]
mod tests;
