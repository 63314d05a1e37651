//! Plain spelling: one spelling for texts that a reader takes for the same.
//!
//! Documents come from web pages, PDF files and input methods: with soft hyphens, ligatures,
//! full-width letters, digits of every script, typographic marks, and words broken at the ends of
//! lines. A model writes the same words plainly. So source, context and summary are rewritten
//! before any check reads them, and no check knows of it.
//!
//! There are three passes, each linear, each without a copy if nothing changes:
//! 1. [`characters`]: one character at a time, whatever stands beside it; then NFC.
//! 2. [`marks`]: quotation marks, dashes, raised digits and fractions, which mean what their
//!    neighbours say.
//! 3. [`breaks`]: words broken at the end of a line, which need the words of all the texts.
//!
//! The result has at most five times the bytes. A check reports in plain spelling, and reports no
//! offsets.

mod breaks;
mod characters;
mod digits;
mod marks;

use std::borrow::Cow;

use crate::Input;

/// The texts of an [`Input`] in plain spelling.
pub(crate) struct PlainTexts<'a> {
    pub(crate) source: Cow<'a, str>,
    pub(crate) context: Vec<Cow<'a, str>>,
    pub(crate) summary: Cow<'a, str>,
}

impl<'a> PlainTexts<'a> {
    pub(crate) fn of(input: &Input<'a>) -> Self {
        let mut plain = Self {
            source: spell(input.source),
            context: input.context.iter().copied().map(spell).collect(),
            summary: spell(input.summary),
        };
        breaks::mend(&mut plain);
        plain
    }
}

/// A text in plain spelling, as far as it can be told without other texts.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let spelt = spell(text);
    match breaks::mended_alone(&spelt) {
        Some(mended) => Cow::Owned(mended),
        None => spelt,
    }
}

/// The first two passes.
fn spell(text: &str) -> Cow<'_, str> {
    match characters::rewritten(text) {
        Cow::Borrowed(text) => marks::rewritten(text),
        Cow::Owned(text) => match marks::rewritten(&text) {
            Cow::Owned(rewritten) => Cow::Owned(rewritten),
            Cow::Borrowed(_) => Cow::Owned(text),
        },
    }
}

#[cfg(test)]
mod tests;
