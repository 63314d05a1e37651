//! No invented name: inside a sentence, an answer may write a word with a capital only if its
//! source has that word.
//!
//! A word is a run of letters. Which words may have a capital is said by [`SourceNames`]; the
//! capital at the beginning of a sentence, of a line or of a quotation says nothing there, as in
//! the check `unsupported_names`. Which token may come next is a function of source and answer
//! alone:
//!
//! ```text
//! outside ──capital that begins a known word──▶ begun ──letters, until the word is known──▶ known ──anything else──▶ outside
//!   no token with another first capital           only what goes on                          or what goes on
//! ```
//!
//! A word that begins a sentence may not get a second capital either, unless the source has it so
//! (`NATO`). Small letters are always allowed outside of such a word, so decoding is never stuck.
//! Words of the source that are combined to a new name are not found, as the check does not find
//! them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use precis_base::lock::locked;
use precis_quality::{SourceNames, opens_sentence};

use super::tokens::TokenClasses;
use crate::step::Restriction;
use crate::text::detokenise::{split, text_of};

/// Words with one beginning whose next letters are looked up.
const MAX_TRIED: usize = 4096;
/// Bytes before a word that decide whether a sentence begins with it.
const WINDOW_BYTES: usize = 64;

/// The names of one source.
#[derive(Debug)]
pub(crate) struct Names {
    classes: Arc<TokenClasses>,
    source: SourceNames,
    /// Tokens that may not come where a word begins inside a sentence.
    inside: OnceLock<Arc<[u32]>>,
    /// Of these, the tokens that begin with something else than the word.
    behind_word: OnceLock<Arc<[u32]>>,
    /// Tokens that may not come where a sentence begins.
    opening: OnceLock<Arc<[u32]>>,
    /// Tokens that may not come behind a mark without a space.
    joined: OnceLock<Arc<[u32]>>,
    /// What may follow a word with a capital.
    following: Mutex<BTreeMap<(bool, String), Following>>,
}

/// What may follow a word with a capital that may stand inside a sentence, or is begun there.
#[derive(Debug, Clone)]
enum Following {
    /// Only these tokens: the word is begun.
    Only(Arc<[u32]>),
    /// All but these letters: the word is known.
    Except(Arc<[u32]>),
}

impl Names {
    /// Reads the source. `None`: its language gives every noun a capital.
    pub(crate) fn of(source: &str, classes: Arc<TokenClasses>) -> Option<Self> {
        Some(Self {
            classes,
            source: SourceNames::read(source)?,
            inside: OnceLock::new(),
            behind_word: OnceLock::new(),
            opening: OnceLock::new(),
            joined: OnceLock::new(),
            following: Mutex::default(),
        })
    }

    /// Adds what may not follow the answer.
    pub(crate) fn restrict(&self, answer: &[u32], restriction: &mut Restriction) {
        let bytes = self.classes.detokeniser.joined(answer);
        let (text, begun) = split(&bytes);
        if !begun.is_empty() {
            return;
        }
        let word_at = text.trim_end_matches(char::is_alphanumeric).len();
        let (context, word) = text.split_at(word_at);
        if word.is_empty() {
            let begins = opens(&text);
            // Behind a full stop, a sentence begins only after a space.
            let may_begin = begins || opens(&format!("{text} "));
            let refused = if may_begin { self.opening() } else { self.inside() };
            restriction.except.extend(refused.iter());
            if may_begin && !begins {
                restriction.except.extend(self.joined().iter());
            }
            return;
        }
        if is_capital(word) && !word.contains(char::is_numeric) {
            let judged = has_inner_capital(word) || !opens(context);
            match self.following(word, judged) {
                Following::Only(ids) if restriction.only.is_none() && !ids.is_empty() => {
                    restriction.only = Some(ids.to_vec());
                    return;
                }
                Following::Only(_) => {}
                Following::Except(letters) => restriction.except.extend(letters.iter()),
            }
        }
        restriction.except.extend(self.behind_word().iter());
    }

    /// What may follow this word: `judged`, one whose capital needs a reason.
    fn following(&self, word: &str, judged: bool) -> Following {
        let key = (judged, word.to_owned());
        if let Some(known) = locked(&self.following).get(&key) {
            return known.clone();
        }
        let mut next: Vec<u32> = Vec::new();
        for rest in self.source.beginning(word).take(MAX_TRIED).map(|known| &known.as_bytes()[word.len()..]) {
            next.extend((1..=rest.len()).filter_map(|length| self.classes.of_bytes(&rest[..length])));
        }
        next.sort_unstable();
        next.dedup();
        let others = |ids: &[u32]| ids.iter().copied().filter(|id| next.binary_search(id).is_err()).collect();
        let found = match judged {
            false => Following::Except(others(&self.classes.capital_letters)),
            true if self.source.has(word) => Following::Except(others(&self.classes.letters)),
            true => Following::Only(next.into()),
        };
        locked(&self.following).insert(key, found.clone());
        found
    }

    fn inside(&self) -> Arc<[u32]> {
        let found = self.inside.get_or_init(|| self.capitals(|lead, word| !opens_behind(lead) && !word.known));
        Arc::clone(found)
    }

    fn behind_word(&self) -> Arc<[u32]> {
        let refused = |lead: &str, word: FirstWord| !lead.is_empty() && !opens_behind(lead) && !word.known;
        let found = self.behind_word.get_or_init(|| self.capitals(refused));
        Arc::clone(found)
    }

    fn opening(&self) -> Arc<[u32]> {
        Arc::clone(self.opening.get_or_init(|| self.capitals(|_, word| word.inner_capital && !word.known)))
    }

    fn joined(&self) -> Arc<[u32]> {
        let refused = |lead: &str, word: FirstWord| !lead.starts_with(char::is_whitespace) && !word.known;
        Arc::clone(self.joined.get_or_init(|| self.capitals(refused)))
    }

    /// The tokens whose first word has a capital and is refused, by what stands before the word.
    fn capitals(&self, refused: impl Fn(&str, FirstWord) -> bool) -> Arc<[u32]> {
        let refused = |id: &u32| {
            let text = text_of(self.classes.detokeniser.bytes(*id));
            let lead = &text[..text.len() - text.trim_start_matches(|c: char| !c.is_alphanumeric()).len()];
            let word = &text[lead.len()..];
            let word = &word[..word.len() - word.trim_start_matches(char::is_alphanumeric).len()];
            let ends = lead.len() + word.len() < text.len();
            let known = self.source.has(word) || (!ends && self.source.beginning(word).next().is_some());
            refused(lead, FirstWord { known, inner_capital: has_inner_capital(word) })
        };
        self.classes.capitals.iter().copied().filter(refused).collect()
    }
}

/// The first word of a token.
#[derive(Debug, Clone, Copy)]
struct FirstWord {
    /// Whether the source has the word, or one that it may become.
    known: bool,
    inner_capital: bool,
}

fn is_capital(word: &str) -> bool {
    word.starts_with(char::is_uppercase)
}

fn has_inner_capital(word: &str) -> bool {
    word.chars().skip(1).any(char::is_uppercase)
}

/// Whether a sentence begins behind these marks, whatever word they follow: behind an initial a
/// full stop ends none.
fn opens_behind(lead: &str) -> bool {
    !lead.is_empty() && opens(&format!("M{lead}"))
}

/// Whether a capital behind this context says nothing.
fn opens(context: &str) -> bool {
    let from = context.ceil_char_boundary(context.len().saturating_sub(WINDOW_BYTES));
    // A context that is cut begins with a word, so that it is no line's beginning.
    if from == 0 { opens_sentence(context) } else { opens_sentence(&format!("word {}", &context[from..])) }
}

#[cfg(test)]
mod tests;
