//! Folding: words that a reader takes for the same one become equal.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Lower case, no diacritics, ligatures spelt out: `Œuvre` and `oeuvre`, `Élysée` and `elysee` fold
/// alike.
pub(crate) fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(word.len());
    for character in word.nfd().filter(|character| !is_combining_mark(*character)) {
        match character {
            'œ' | 'Œ' => folded.push_str("oe"),
            'æ' | 'Æ' => folded.push_str("ae"),
            'ß' | 'ẞ' => folded.push_str("ss"),
            'ø' | 'Ø' => folded.push('o'),
            'ł' | 'Ł' => folded.push('l'),
            _ => folded.extend(character.to_lowercase()),
        }
    }
    folded
}
