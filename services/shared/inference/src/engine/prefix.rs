//! The beginning that prompts have in common, computed once.
//!
//! What chat template, system message and instruction put before a document is the same tokens in
//! request after request. The first sequence that has computed them leaves their keys and values
//! here, pinned, and later ones start after them:
//!
//! ```text
//! pinned, 76 tokens    [ block 3 ][ block 9 ][ block 4: 12 tokens ]
//! a later sequence     [ block 3 ][ block 9 ][ block 7            ][ block 8 ] …
//!                        read, not owned       owned: starts as a copy of block 4
//! ```
//!
//! A prompt shares as many tokens as it has in common with the pinned ones, but never all of its
//! own: the last is computed, since its logits are wanted. What is shared is what would have been
//! computed, so answers do not change. Nobody writes to a pinned block: its tokens are computed
//! before it is pinned, and whoever shares it writes after them.
//!
//! There is one prefix, since an engine has one model and one template. Another instruction
//! replaces it once [`MISSES_LIMIT`] sequences in a row had a longer beginning that is not here,
//! and nobody reads it any more. It also goes when a request fits only without it, so a pool of any
//! size makes progress.

use crate::step::BLOCK_TOKENS;

/// Fewest tokens worth sharing: copying a block costs about as much as computing a few.
pub(crate) const SMALLEST: usize = 8;
/// Sequences in a row without their beginning here after which it is replaced.
pub(crate) const MISSES_LIMIT: u32 = 16;

/// What a prompt finds here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Share {
    /// Tokens whose keys and values it need not compute.
    pub(crate) tokens: usize,
}

impl Share {
    /// Blocks that it only reads.
    pub(crate) fn whole_blocks(self) -> usize {
        self.tokens / BLOCK_TOKENS
    }

    /// Whether it needs a copy of the block after those.
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
    /// Sequences in a row that had a longer beginning than is here.
    misses: u32,
}

impl Prefix {
    /// The pinned blocks, in order of position.
    pub(crate) fn blocks(&self) -> &[u32] {
        &self.blocks
    }

    /// What this prompt may share now.
    pub(crate) fn share(&self, prompt: &[u32]) -> Share {
        let common = self.tokens.iter().zip(prompt).take_while(|(pinned, own)| pinned == own).count();
        let tokens = common.min(prompt.len().saturating_sub(1));
        Share { tokens: if tokens < SMALLEST { 0 } else { tokens } }
    }

    /// A sequence with a common beginning of `wanted` tokens was admitted and shares this.
    pub(crate) fn lend(&mut self, share: Share, wanted: usize) {
        if share.tokens < wanted && wanted >= SMALLEST {
            self.misses = self.misses.saturating_add(1);
        } else if share.tokens > 0 {
            self.misses = 0;
        }
        self.readers += usize::from(share.whole_blocks() > 0);
    }

    /// A sequence that read pinned blocks has ended.
    pub(crate) fn give_back(&mut self) {
        debug_assert!(self.readers > 0, "more readers ended than began");
        self.readers -= 1;
    }

    /// Whether another prefix may be pinned.
    pub(crate) fn is_open(&self) -> bool {
        self.tokens.is_empty() || (self.misses >= MISSES_LIMIT && self.readers == 0)
    }

    /// Pins these tokens, whose keys and values are in these blocks. With `read`, the sequence that
    /// computed them goes on reading the blocks.
    pub(crate) fn pin(&mut self, tokens: &[u32], blocks: Vec<u32>, read: bool) {
        debug_assert!(self.tokens.is_empty(), "the former prefix is still pinned");
        debug_assert_eq!(blocks.len(), tokens.len().div_ceil(BLOCK_TOKENS));
        *self = Self { tokens: tokens.to_vec(), blocks, readers: usize::from(read), misses: 0 };
    }

    /// Pins nothing any more; the blocks are the caller's.
    pub(crate) fn unpin(&mut self) -> Vec<u32> {
        debug_assert_eq!(self.readers, 0, "somebody still reads the prefix");
        std::mem::take(self).blocks
    }
}

#[cfg(test)]
mod tests;
