//! Numerals in a text: where they begin and end.

/// A numeral's place in its text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Run {
    pub(super) fn text(self, text: &str) -> &str {
        &text[self.start..self.end]
    }
}

/// Letters and digits, and what counts as a digit in any script. In scripts without spaces letters
/// are words of their own: `2019年` is a number and a word.
pub(super) fn is_part(character: char) -> bool {
    character.is_numeric() || (character.is_alphanumeric() && !precis_quality::is_unspaced(character))
}

/// Marks that belong to a numeral between two of its digits.
pub(super) fn is_joiner(character: char) -> bool {
    matches!(character, '.' | ',' | '\'' | '’' | '/' | ':' | '-' | '–' | '‑' | '−' | '⁄' | '٫' | '٬')
}

/// Those of them that stand between numbers and not within one.
pub(super) fn is_divider(character: char) -> bool {
    is_joiner(character) && !matches!(character, '.' | ',' | '\'' | '’' | '٫' | '٬')
}

/// Every numeral of a text, in order.
pub(super) fn runs(text: &str) -> impl Iterator<Item = Run> {
    runs_from(text, 0)
}

/// The numerals from a byte on that lies between two words.
pub(super) fn runs_from(text: &str, from: usize) -> impl Iterator<Item = Run> {
    let mut at = from;
    std::iter::from_fn(move || {
        while at < text.len() {
            let rest = &text[at..];
            let start = at + rest.find(is_part)?;
            let (end, numeric) = word(text, start);
            at = end;
            if numeric {
                return Some(Run { start, end });
            }
        }
        None
    })
}

/// The last numeral of a text.
pub(super) fn last_run(text: &str) -> Option<Run> {
    // From the last word that has a digit, back to the blank before it: no numeral holds one.
    let digit = text.rfind(char::is_numeric)?;
    let from = text[..digit].rfind(char::is_whitespace).unwrap_or(0);
    runs_from(text, from).last()
}

/// End of the run of letters, digits and marks that begins at `start`, and whether it has a digit.
fn word(text: &str, start: usize) -> (usize, bool) {
    let (mut end, mut numeric, mut after_digit) = (start, false, false);
    let mut rest = text[start..].chars().peekable();
    while let Some(character) = rest.next() {
        let joins = after_digit && is_joiner(character) && rest.peek().is_some_and(|next| next.is_numeric());
        if !is_part(character) && !joins {
            break;
        }
        after_digit = character.is_numeric();
        numeric |= after_digit;
        end += character.len_utf8();
    }
    (end, numeric)
}
