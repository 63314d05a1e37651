//! A web page as the text that a browser shows: no markup, no link targets, no scripts; a line a
//! block.
//!
//! The page is parsed as browsers parse it (html5ever), and the text of the tree is written in the
//! order of the source. Every text that a browser shows is in the result; what a browser does not
//! show is not ([`role`] says which is which).
//!
//! Three modules bound the parser, whose time is quadratic for some inputs and which has no limits
//! of its own: [`feed`] cuts tags with very many attributes, [`guard`] flattens what is nested very
//! deeply, and [`tree`] counts nodes and steps. No input is laid out, so a table takes the memory
//! of its text, whatever its cells say that they span.

mod feed;
mod guard;
mod role;
mod text;
mod tree;
mod writer;

use super::TextError;

/// Limits of one page.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Elements and text nodes, 40 bytes each.
    nodes: usize,
    /// Steps of the parser over its nodes, about a nanosecond each.
    steps: u64,
    /// Bytes of the text.
    text_bytes: u64,
}

/// One for 4 bytes of the largest page: a cell with a number and its end tag has 12 bytes and two
/// nodes.
const MAX_NODES: usize = 4_000_000;
/// Ordinary pages take less than ten steps for a byte.
const MAX_STEPS: u64 = 1_000_000_000;

/// The page's text, of at most `max_bytes`.
///
/// # Errors
/// [`TextError::TooManyNodes`], [`TextError::Entangled`] and [`TextError::TooLarge`]: the page is
/// over a limit.
pub(super) fn text_of(page: &str, max_bytes: u64) -> Result<String, TextError> {
    bounded(page, Limits { nodes: MAX_NODES, steps: MAX_STEPS, text_bytes: max_bytes })
}

fn bounded(page: &str, limits: Limits) -> Result<String, TextError> {
    let tree = feed::parse(page, limits)?;
    text::of(&tree, limits.text_bytes)
}

#[cfg(test)]
mod tests;
