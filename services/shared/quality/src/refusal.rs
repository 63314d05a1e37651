//! `refusal`: the model speaks of itself or asks for the text, instead of summarising it.
//!
//! Only the opening of the summary is read. A phrase that the source has too is the source's: a
//! letter of complaint may well say "I cannot". The phrases are those of [`crate::lexicon`].

use crate::fold::fold;
use crate::lexicon;
use crate::{Check, CheckName, Input};

/// Bytes of the opening that are read: two sentences.
const OPENING_BYTES: usize = 300;

pub(crate) fn check(input: &Input<'_>) -> Check {
    let opening = spaced(prefix(input.summary, OPENING_BYTES));
    let said = input.finish_reason == "refusal";
    let mut phrases = lexicon::ALL.iter().flat_map(|lexicon| lexicon.refusals);
    let phrase = phrases.find(|phrase| opening.contains(&format!(" {phrase}")));
    // Folding the source is worth it only once a phrase was found.
    let detail = match phrase {
        _ if said => "the model or its provider refused".to_owned(),
        Some(phrase) if !spaced(input.source).contains(&format!(" {phrase}")) => {
            format!("opens with a refusal: {}", phrase.trim())
        }
        _ => String::new(),
    };
    Check::new(CheckName::Refusal, detail.is_empty(), None, detail)
}

/// Folded, every run of other characters one space, with a space at both ends.
fn spaced(text: &str) -> String {
    let mut out = String::from(" ");
    for word in fold(text).split(|c: char| !c.is_alphanumeric()) {
        if !word.is_empty() {
            out.push_str(word);
            out.push(' ');
        }
    }
    out
}

/// The text up to about `limit` bytes, cut between characters.
fn prefix(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests;
