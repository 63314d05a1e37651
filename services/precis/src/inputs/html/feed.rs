//! Feeds a page to the tokenizer slice by slice, one tag a slice, so that no tag brings more
//! attributes than are read.
//!
//! html5ever compares each attribute with all others of its tag: a million attributes would take
//! hours. A slice ends where the tokenizer's own token ends: after each slice the tokenizer is
//! between two tokens, or within a comment or raw text of which [`Guard`] knows.

use html5ever::buffer_queue::BufferQueue;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{Tokenizer, TokenizerOpts};

use super::Limits;
use super::guard::{Content, Guard};
use super::tree::Tree;
use crate::inputs::TextError;

/// Attributes of one tag that are read; those behind them are left out.
pub(super) const MAX_ATTRIBUTES: usize = 256;
/// Bytes at the start of a page in which signs of XHTML are looked for.
const SNIFFED_BYTES: usize = 1024;

/// The page's tree.
///
/// # Errors
/// The page is over a limit.
pub(super) fn parse(page: &str, limits: Limits) -> Result<Tree, TextError> {
    let guard = Guard::new(Tree::new(limits), is_xhtml(page));
    let feed = Feed {
        page,
        source: StrTendril::from_slice(page),
        tokenizer: Tokenizer::new(guard, TokenizerOpts { discard_bom: false, ..TokenizerOpts::default() }),
        queue: BufferQueue::default(),
    };
    let mut at = 0;
    while at < page.len() {
        at = feed.slice(at);
        feed.guard().tree().within_limits()?;
    }
    feed.tokenizer.end();
    feed.guard().tree().within_limits()?;
    Ok(feed.tokenizer.sink.into_tree())
}

/// Whether tags may close themselves: `<title/>` would otherwise take the rest of the page for the
/// title.
fn is_xhtml(page: &str) -> bool {
    let start = page.as_bytes().get(..SNIFFED_BYTES).unwrap_or(page.as_bytes());
    start.trim_ascii_start().starts_with(b"<?xml") || start.windows(XHTML.len()).any(|window| window == XHTML)
}

const XHTML: &[u8] = b"http://www.w3.org/1999/xhtml";

struct Feed<'a> {
    page: &'a str,
    /// The page again, as the tokenizer wants it: slices share its memory.
    source: StrTendril,
    tokenizer: Tokenizer<Guard>,
    queue: BufferQueue,
}

impl Feed<'_> {
    fn guard(&self) -> &Guard {
        &self.tokenizer.sink
    }

    /// Feeds the next slice; returns where the slice ended.
    fn slice(&self, at: usize) -> usize {
        let rest = &self.page[at..];
        let text = match self.guard().content() {
            Content::Markup => rest.find('<').unwrap_or(rest.len()),
            Content::Raw(name) => end_tag(rest, &name).unwrap_or(rest.len()),
            Content::Plain => rest.len(),
        };
        self.feed(at, at + text);
        let at = at + text;
        match &self.page.as_bytes()[at..] {
            [] => at,
            [b'<', letter, ..] | [b'<', b'/', letter, ..] if letter.is_ascii_alphabetic() => self.tag(at),
            [b'<', b'/', b'>', ..] => self.feed(at, at + 3),
            [b'<', b'!', b'[', b'C', b'D', b'A', b'T', b'A', b'[', ..] if self.guard().has_cdata() => {
                let end = self.page[at..].find("]]>").map_or(self.page.len(), |length| at + length + 3);
                self.feed(at, end)
            }
            [b'<', b'!' | b'?' | b'/', ..] => self.declaration(at),
            _ => self.feed(at, at + 1),
        }
    }

    /// A comment, a document type or what the tokenizer takes for a comment. All of them end with a
    /// `>`, but not with any.
    fn declaration(&self, at: usize) -> usize {
        let before = self.guard().declarations();
        let mut end = at;
        while end < self.page.len() && self.guard().declarations() == before {
            let next = self.page[end..].find('>').map_or(self.page.len(), |length| end + length + 1);
            self.feed(end, next);
            end = next;
        }
        end
    }

    fn tag(&self, at: usize) -> usize {
        let mut from = at;
        if let Content::Raw(name) = self.guard().content() {
            // Some scripts have an end tag in a comment that does not end them: then its name is
            // text, and all behind it.
            let texts = self.guard().texts();
            from = self.feed(at, self.page.len().min(at + "</".len() + name.len() + 1));
            if self.guard().texts() > texts || self.guard().content() == Content::Markup {
                return from;
            }
        }
        // Only now: what turned out to be text may have no `>` for the rest of the page.
        let tag = Tag::scan(&self.page.as_bytes()[at..]);
        match tag.cut {
            Some(cut) => {
                self.feed(from, at + cut);
                self.run(StrTendril::from_slice(" >"));
                at + tag.length
            }
            None => self.feed(from, at + tag.length),
        }
    }

    fn feed(&self, from: usize, to: usize) -> usize {
        if from < to {
            self.run(self.source.subtendril(from as u32, (to - from) as u32));
        }
        to
    }

    fn run(&self, slice: StrTendril) {
        self.queue.push_back(slice);
        // The guard answers so that the tokenizer never stops before the end of a slice.
        let _ = self.tokenizer.feed(&self.queue);
    }
}

/// Where raw text ends: `</name` and a character that ends a name.
fn end_tag(text: &str, name: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    text.match_indices("</").map(|(at, _)| at).find(|at| {
        let rest = &bytes[at + 2..];
        rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
            && rest.get(name.len()).is_none_or(|after| ends_name(*after))
    })
}

fn ends_name(byte: u8) -> bool {
    is_space(byte) || matches!(byte, b'/' | b'>')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0C' | b'\r')
}

/// A tag's extent, by the states of the HTML standard (13.2.5.6 to 13.2.5.40).
#[derive(Debug, PartialEq, Eq)]
struct Tag {
    /// Bytes up to its `>`, or up to the end of the page.
    length: usize,
    /// Where the first attribute too many begins.
    cut: Option<usize>,
}

impl Tag {
    fn scan(bytes: &[u8]) -> Self {
        let skip = |from: usize, within: &dyn Fn(u8) -> bool| {
            bytes[from..].iter().position(|byte| !within(*byte)).map_or(bytes.len(), |length| from + length)
        };
        let mut at = skip(1, &|byte| byte == b'/');
        at = skip(at, &|byte| !ends_name(byte));
        let (mut attributes, mut cut) = (0, None);
        loop {
            at = skip(at, &|byte| is_space(byte) || byte == b'/');
            if at == bytes.len() || bytes[at] == b'>' {
                return Self { length: bytes.len().min(at + 1), cut };
            }
            if attributes == MAX_ATTRIBUTES {
                cut = Some(at);
            }
            attributes += 1;
            // A name may begin with an equals sign.
            at = skip(at + 1, &|byte| !ends_name(byte) && byte != b'=');
            let value = skip(at, &is_space);
            if bytes.get(value) == Some(&b'=') {
                at = skip(value + 1, &is_space);
                at = match bytes.get(at) {
                    Some(quote @ (b'"' | b'\'')) => bytes.len().min(skip(at + 1, &|byte| byte != *quote) + 1),
                    _ => skip(at, &|byte| !is_space(byte) && byte != b'>'),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests;
