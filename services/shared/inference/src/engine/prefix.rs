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
//! There is one prefix, since an engine has one model and one template. The beginning of another
//! instruction replaces it once [`MAX_MISSES`] sequences in a row had a longer beginning that is
//! not here, and no sequence reads the old one any more. The prefix also goes when a request fits
//! only without it, so a pool of any size makes progress.

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

#[cfg(test)]
mod tests;
