//! No phrase twice: a token that would write the same run of tokens again may not come.
//!
//! Small models fall into loops, and greedy decoding has no other way out. A run counts the tokens
//! of ordinary words and marks; names and numbers within it do not count and are never broken, so
//! that `the GNU Lesser General Public License` can be written as often as a text needs it. Words
//! are not broken either: the token that may not come is one that begins a word, or a mark.

use crate::text::detokenise::Detokeniser;

/// What a token is to its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    /// It goes on with the word before it.
    inside: bool,
    /// It belongs to a name or a number.
    proper: bool,
}

/// The tokens that would make a run of `limit` counted tokens stand in the answer a second time.
/// `limit` is at least 2.
pub(crate) fn refused(answer: &[u32], limit: usize, detokeniser: &Detokeniser) -> Vec<u32> {
    let pieces = pieces(answer, detokeniser);
    let mut refused = Vec::new();
    for (at, id) in answer.iter().enumerate().skip(1) {
        if pieces[at].inside || pieces[at].proper || refused.contains(id) {
            continue;
        }
        let same = answer[..at].iter().rev().zip(answer.iter().rev()).take_while(|(earlier, now)| earlier == now);
        let counted = same.zip(pieces[..at].iter().rev()).filter(|(_, piece)| !piece.proper);
        if counted.take(limit - 1).count() == limit - 1 {
            refused.push(*id);
        }
    }
    refused
}

fn pieces(answer: &[u32], detokeniser: &Detokeniser) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(answer.len());
    let mut opens_sentence = true;
    for id in answer {
        let bytes = detokeniser.bytes(*id);
        let text = String::from_utf8_lossy(bytes);
        let word = text.trim_start();
        // A token that begins within a character goes on with a word, too.
        let joined = text.starts_with(|c: char| c.is_alphanumeric() || c == '\u{fffd}');
        let before = pieces.last().copied();
        let inside = joined && before.is_some_and(|_| !opens_word(answer, pieces.len(), detokeniser));
        let capital = word.starts_with(char::is_uppercase) && !opens_sentence;
        let numeric = word.contains(char::is_numeric);
        let proper = capital || numeric || (inside && before.is_some_and(|before| before.proper));
        pieces.push(Piece { inside, proper });
        if !word.is_empty() {
            opens_sentence = word.trim_end().ends_with(['.', '!', '?', ':', '…']);
        }
    }
    pieces
}

/// Whether the token at this place begins a word although it has no space: the one before it ends
/// with none of its letters.
fn opens_word(answer: &[u32], at: usize, detokeniser: &Detokeniser) -> bool {
    let before = detokeniser.bytes(answer[at - 1]);
    before.last().is_some_and(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests;
