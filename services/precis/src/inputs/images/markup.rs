//! The Markdown and HTML around a data URI.

use std::collections::BTreeSet;

use super::Change;
use super::uri::Uri;

/// How far an HTML tag is looked for on each side of a URI.
const MAX_TAG_BYTES: usize = 1024;
/// Longest label or title of a picture in Markdown.
const MAX_LABEL_BYTES: usize = 2048;
/// Longest attributes behind a picture, which some converters write: `{width="3in"}`.
const MAX_ATTRIBUTE_BYTES: usize = 256;

/// A picture's tag becomes its alternative text; of another tag only the URI goes.
pub(super) fn in_tag(text: &str, from: usize, uri: &Uri) -> Option<Change> {
    let before = tail(&text[from..uri.start], MAX_TAG_BYTES);
    let open = before.rfind('<').filter(|open| !before[*open..].contains('>'))?;
    let (tag, quote) = match before.strip_suffix(['"', '\'']) {
        Some(tag) => (tag, before.chars().next_back()),
        None => (before, None),
    };
    let tag = &tag.get(open..)?.trim_end().strip_suffix('=')?[1..];
    let is_picture = tag
        .get(..4)
        .is_some_and(|name| name.to_ascii_lowercase().starts_with("img") && !name.ends_with(char::is_alphanumeric));
    if is_picture && let Some(length) = tag_end(head(&text[uri.end..], MAX_TAG_BYTES), quote) {
        let behind = &text[uri.end..uri.end + length];
        let instead = alternative(tag).or_else(|| alternative(behind)).unwrap_or_default();
        let start = uri.start - (before.len() - open);
        return Some((start..uri.end + length, instead.to_owned()));
    }
    Some((uri.start..uri.end, String::new()))
}

/// Where the tag ends that goes on in `text`, within a quote or not.
fn tag_end(text: &str, mut quote: Option<char>) -> Option<usize> {
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, '>') => return Some(at + 1),
            (Some(_) | None, _) => {}
        }
    }
    None
}

/// The value of the attribute `alt` in a tag.
fn alternative(tag: &str) -> Option<&str> {
    let named = |(at, _): &(usize, char)| {
        tag[at + 1..].get(..3).is_some_and(|name| name.eq_ignore_ascii_case("alt"))
            && tag[at + 4..].trim_start().starts_with('=')
    };
    let (at, _) = tag.char_indices().filter(|(_, before)| before.is_ascii_whitespace()).find(named)?;
    let value = tag[at + 4..].trim_start().strip_prefix('=')?.trim_start();
    match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].split(quote).next(),
        _ => value.split([' ', '\t', '\n', '>']).next(),
    }
}

/// `![label](URI "title")` and `[label](URI)` become the label.
pub(super) fn in_link(text: &str, from: usize, uri: &Uri) -> Option<Change> {
    let before = tail(&text[from..uri.start], MAX_LABEL_BYTES);
    let labelled = before.trim_end_matches([' ', '\n', '<']).strip_suffix("](")?;
    let mut depth = 0;
    let open = labelled.char_indices().rev().find(|(_, character)| match character {
        ']' => {
            depth += 1;
            false
        }
        '[' if depth > 0 => {
            depth -= 1;
            false
        }
        character => *character == '[',
    });
    let (open, _) = open?;
    let label = &labelled[open + 1..];
    let open = open - usize::from(labelled[..open].ends_with('!'));
    let start = uri.start - (before.len() - open);
    Some((start..link_end(text, uri.end), label.to_owned()))
}

/// The end of a link behind its URI: title, parenthesis and attributes.
fn link_end(text: &str, at: usize) -> usize {
    let rest = head(&text[at..], MAX_LABEL_BYTES);
    let behind = rest.strip_prefix('>').unwrap_or(rest).trim_start();
    let behind = match behind.chars().next() {
        Some(quote @ ('"' | '\'')) => behind[1..].split_once(quote).map_or(behind, |(_, behind)| behind.trim_start()),
        _ => behind,
    };
    let Some(behind) = behind.strip_prefix(')') else { return at };
    let attributes = behind.strip_prefix('{').and_then(|inside| head(inside, MAX_ATTRIBUTE_BYTES).split_once('}'));
    let behind = match attributes {
        Some((inside, _)) if inside.contains('=') || inside.starts_with(['.', '#']) => &behind[inside.len() + 2..],
        _ => behind,
    };
    at + rest.len() - behind.len()
}

/// The line `[label]: URI` goes; the label is remembered.
pub(super) fn definition(text: &str, from: usize, uri: &Uri, labels: &mut BTreeSet<String>) -> Option<Change> {
    let before = tail(&text[from..uri.start], MAX_LABEL_BYTES);
    let line = before.rfind('\n').map_or(before, |end| &before[end + 1..]);
    let start = uri.start - line.len();
    let begins = start == 0 || text[..start].ends_with('\n');
    let label = line.trim_start().strip_prefix('[')?.trim_end_matches([' ', '\t', '<']).strip_suffix("]:")?;
    if !begins || label.contains(']') {
        return None;
    }
    labels.insert(normalised(label));
    let end = text[uri.end..].find('\n').map_or(text.len(), |end| uri.end + end + 1);
    Some((start..end, String::new()))
}

/// The text in which references to removed definitions, `![label][reference]`, are their labels.
pub(super) fn without_references(text: &str, labels: &BTreeSet<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("![") {
        out.push_str(&rest[..at]);
        rest = &rest[at + 2..];
        let Some((label, behind)) = head(rest, MAX_LABEL_BYTES).split_once(']') else {
            out.push_str("![");
            continue;
        };
        let reference = behind.strip_prefix('[').and_then(|inside| inside.split_once(']')).map(|(name, _)| name);
        let name = reference.filter(|name| !name.is_empty()).unwrap_or(label);
        if labels.contains(&normalised(name)) {
            out.push_str(label);
            rest = &rest[label.len() + 1 + reference.map_or(0, |name| name.len() + 2)..];
        } else {
            out.push_str("![");
        }
    }
    out.push_str(rest);
    out
}

/// Labels are compared without case and with single blanks.
fn normalised(label: &str) -> String {
    label.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The last so many bytes, or a few less.
fn tail(text: &str, bytes: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes))..]
}

/// The first so many bytes, or a few less.
fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
