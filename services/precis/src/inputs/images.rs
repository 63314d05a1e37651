//! Takes pictures out of a text where they are written as data URIs (RFC 2397). Their alternative
//! texts stay.
//!
//! Converters write them into Markdown (`![Figure](data:image/png;base64,…)`, `[figure]: data:…`)
//! and into the HTML within (`<img alt="Figure" src="data:…">`). One pass over the text: each URI
//! is read once, with a bounded stretch of text around it.

mod markup;
mod uri;

use std::collections::BTreeSet;
use std::ops::Range;

use uri::{Finder, Uri};

/// A stretch of the text, and the text that replaces it.
type Change = (Range<usize>, String);

/// The text without its pictures, if it has any.
pub(super) fn without(text: &str) -> Option<String> {
    let mut finder = Finder::new(text);
    let mut out = String::new();
    let mut copied = 0;
    // Where the last URI ended, cut or not: what is before it belongs to none of the later ones.
    let mut from = 0;
    let mut labels = BTreeSet::new();
    while let Some(uri) = finder.next() {
        let change = markup::in_tag(text, from, &uri)
            .or_else(|| markup::in_link(text, from, &uri))
            .or_else(|| markup::definition(text, from, &uri, &mut labels))
            .or_else(|| alone(&uri));
        if let Some((range, instead)) = change {
            out.push_str(&text[copied..range.start]);
            out.push_str(&instead);
            copied = range.end;
            finder.skip_to(copied);
        }
        from = copied.max(uri.end);
    }
    if copied == 0 {
        return None;
    }
    out.push_str(&text[copied..]);
    Some(if labels.is_empty() { out } else { markup::without_references(&out, &labels) })
}

/// A URI without markup around it, unless it is a short one that a text may be about.
fn alone(uri: &Uri) -> Option<Change> {
    uri.is_data().then(|| (uri.start..uri.end, String::new()))
}

#[cfg(test)]
mod tests;
