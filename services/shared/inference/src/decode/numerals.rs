//! No invented number: an answer may write the numerals of its source and no others.
//!
//! A numeral is a maximal run of letters and digits with a digit in it, with the marks between two
//! of its digits: `1,000`, `3.5`, `2019-20`, `5.1.2`, `12/03/2021`, `B12`, `30km`. Digits of every
//! script count. An answer's numeral must be one that the source has in the same spelling. Allowed
//! beside these, as derived:
//! - a part of a date, a time or a range (`2021` of `12/03/2021`, `10` of `10-20`), and the digits
//!   without the letters behind them (`30` of `30km`);
//! - the same number with or without the marks between thousands;
//! - the digits of a number up to a hundred that the source writes in words or in Roman numerals;
//! - the number of a list's item at the beginning of its line: 1, then one more than the item
//!   before.
//!
//! Every one of them is also accepted by the check `unsupported_numbers`, whose code is asked
//! ([`SourceNumbers`]): so a number keeps its unit and the month beside it, too. Numbers in words
//! are left to the check.
//!
//! Which token may come next is a function of source and answer alone:
//!
//! ```text
//! outside ──digit that begins a numeral──▶ begun ──digits, until it is a numeral──▶ whole ──anything else──▶ outside
//!    any token without a digit               only what goes on                       or what goes on
//! ```
//!
//! Outside of a numeral every token without a digit is allowed, and a numeral is begun only where
//! one of the source can be finished: decoding is never stuck.

mod runs;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock};

use precis_base::lock::locked;
use precis_quality::SourceNumbers;

use self::runs::{Run, is_divider, is_joiner, is_part, last_run, runs, runs_from};
use super::tokens::TokenClasses;
use crate::step::Restriction;
use crate::text::detokenise::{split, text_of};

/// Bytes of the longest numeral that an answer may take from its source. Longer ones are digests.
const MAX_NUMERAL_BYTES: usize = 40;
/// Numerals of a source that are kept; an answer cannot use those after them.
const MAX_NUMERALS: usize = 65_536;
/// Numerals with one beginning that are tried for a place where not each of them fits.
const MAX_TRIED: usize = 512;
/// Bytes before the end of an answer that decide whether a number is supported.
const WINDOW_BYTES: usize = 160;
/// Largest number in words or in Roman numerals whose digits are allowed.
const MAX_SPELLED: u64 = 100;
/// Signs that make a number an amount.
const CURRENCIES: [char; 4] = ['$', '€', '£', '¥'];

/// A word that begins no numeral.
const STRANGE_WORD: &str = "ꙮ";

/// The end of an answer.
#[derive(Debug, Clone, Copy)]
struct Tail<'a> {
    text: &'a str,
    /// Bytes of a character that is not finished, behind the text.
    begun: &'a [u8],
}

/// The numerals of one source.
#[derive(Debug)]
pub(crate) struct Numerals {
    classes: Arc<TokenClasses>,
    numbers: SourceNumbers,
    /// Every numeral that an answer may have, in ascending order.
    allowed: Vec<Box<str>>,
    /// Groups of three digits behind others that the source has: `1 000`.
    groups: HashSet<String>,
    /// Numeric tokens that may not come where neither a numeral nor a word goes on.
    refused_outside: OnceLock<Vec<u32>>,
    /// The same behind a word with which no numeral begins.
    refused_in_word: OnceLock<Vec<u32>>,
    /// Units that may not come directly behind a numeral.
    refused_units: Mutex<BTreeMap<String, Arc<[u32]>>>,
}

impl Numerals {
    /// Reads the source.
    pub(crate) fn of(source: &str, classes: Arc<TokenClasses>) -> Self {
        let numbers = SourceNumbers::read(source);
        let mut found = HashSet::new();
        let mut groups = HashSet::new();
        let mut before: Option<Run> = None;
        for run in runs(source) {
            if let Some(before) = before
                && is_group(&source[before.start..before.end], &source[before.end..run.start], run.text(source))
            {
                groups.insert(format!("{} {}", before.text(source), run.text(source)));
            }
            before = Some(run);
            let text = run.text(source);
            if text.len() <= MAX_NUMERAL_BYTES && found.len() < MAX_NUMERALS && !found.contains(text) {
                derive(text, &mut found);
            }
        }
        found.extend((2..=MAX_SPELLED).filter(|value| numbers.has(*value)).map(|value| value.to_string()));
        let mut allowed: Vec<Box<str>> =
            found.into_iter().filter(|text| numbers.support(text)).map(String::into_boxed_str).collect();
        allowed.sort_unstable();
        Self {
            classes,
            numbers,
            allowed,
            groups,
            refused_outside: OnceLock::new(),
            refused_in_word: OnceLock::new(),
            refused_units: Mutex::default(),
        }
    }

    /// Which tokens may follow the answer.
    pub(crate) fn restriction(&self, answer: &[u32]) -> Restriction {
        let bytes = self.classes.detokeniser.joined(answer);
        let (text, begun) = split(&bytes);
        let tail = Tail { text: &text, begun };
        let mut restriction = Restriction::default();
        let last = last_run(&text);
        match last {
            Some(run) if run.end == text.len() => self.after_digit(tail, run, &mut restriction),
            Some(run) if is_pending(&text, run) => self.after_mark(tail, run, &mut restriction),
            _ => restriction.except = self.outside(tail),
        }
        if let Some(run) = last
            && restriction.only.is_none()
        {
            self.refuse_units(&text, run, &mut restriction.except);
        }
        restriction
    }

    /// How many of the answer's first tokens end outside of a numeral, or with a whole one.
    pub(crate) fn whole(&self, answer: &[u32]) -> usize {
        let is_whole = |keep: usize| {
            let text = self.classes.detokeniser.text(&answer[..keep]);
            last_run(&text).is_none_or(|run| {
                let ends = run.end == text.len() || is_pending(&text, run);
                !ends || self.closes(&text, run)
            })
        };
        (0..=answer.len()).rev().find(|keep| is_whole(*keep)).unwrap_or(0)
    }

    /// How many of the answer's first tokens the source supports as a whole. The rule for the next
    /// token looks at what is next to a number; a unit that is built from several words may still
    /// make it another one, and is cut off here.
    pub(crate) fn supported(&self, answer: &[u32]) -> usize {
        let is_supported = |keep: usize| self.numbers.support(&self.classes.detokeniser.text(&answer[..keep]));
        if is_supported(answer.len()) {
            return answer.len();
        }
        (0..answer.len()).rev().find(|keep| is_supported(*keep) && self.whole(&answer[..*keep]) == *keep).unwrap_or(0)
    }

    /// Whether the token may follow.
    fn permits(&self, tail: Tail<'_>, token: u32) -> bool {
        let text = tail.text;
        let whole = text_of(&[text.as_bytes(), tail.begun, self.classes.detokeniser.bytes(token)].concat());
        // Numerals have no spaces, so that only the last word before the token can go on in it.
        let from = text.rfind(char::is_whitespace).unwrap_or(0);
        runs_from(&whole, from).filter(|run| run.end >= text.len()).all(|run| {
            let context = &whole[..run.start];
            if run.end == whole.len() {
                self.can_become(context, run.text(&whole)) || self.numbers_item(context, run.text(&whole))
            } else {
                // What follows in the same token may be a unit.
                (self.closes(&whole, run) && self.supports(&whole))
                    || (is_pending(&whole, run) && self.can_become(context, &whole[run.start..]))
            }
        })
    }

    /// Whether a numeral of the text is done: it is one that may stand there.
    fn closes(&self, text: &str, run: Run) -> bool {
        let (context, numeral) = (&text[..run.start], run.text(text));
        (self.has(numeral) && self.fits(context, numeral)) || is_marker(text, run)
    }

    /// Whether these are the first digits of a list marker. A month at the end of the line before
    /// would take the marker for its day.
    fn numbers_item(&self, context: &str, digits: &str) -> bool {
        marker_digits(context, digits) && self.supports(&format!("{context}{}.", next_item(context)))
    }

    fn has(&self, numeral: &str) -> bool {
        self.allowed.binary_search_by(|allowed| (**allowed).cmp(numeral)).is_ok()
    }

    /// The numerals that begin so, in ascending order.
    fn beginning<'a>(&'a self, begun: &'a str) -> impl Iterator<Item = &'a str> {
        let from = self.allowed.partition_point(|allowed| **allowed < *begun);
        self.allowed[from..].iter().map(|allowed| &**allowed).take_while(move |allowed| allowed.starts_with(begun))
    }

    /// Whether a numeral that fits behind the context begins so.
    fn can_become(&self, context: &str, begun: &str) -> bool {
        let mut candidates = self.beginning(begun);
        if is_plain(context) {
            return candidates.next().is_some();
        }
        candidates.take(MAX_TRIED).any(|numeral| self.fits(context, numeral))
    }

    /// Whether a numeral of the source may stand behind this context: its sign, the month or the
    /// number before it may make it another number.
    fn fits(&self, context: &str, numeral: &str) -> bool {
        if is_plain(context) {
            return true;
        }
        if let Some(before) = last_run(context)
            && is_group(before.text(context), &context[before.end..], numeral)
            && !self.groups.contains(&format!("{} {numeral}", before.text(context)))
        {
            return false;
        }
        self.supports(&format!("{context}{numeral}"))
    }

    /// Whether the source supports the numbers at the end of the text.
    fn supports(&self, text: &str) -> bool {
        let from = text.ceil_char_boundary(text.len().saturating_sub(WINDOW_BYTES));
        if from == 0 {
            return self.numbers.support(text);
        }
        // From between two words on, so that no number is read in part. The letter before it keeps
        // what opens no line from being read as if it did.
        let from = text[from..].find(char::is_whitespace).map_or(from, |at| from + at);
        self.numbers.support(&format!("x{}", &text[from..]))
    }

    /// The text ends with a letter or digit of a numeral.
    fn after_digit(&self, tail: Tail<'_>, run: Run, restriction: &mut Restriction) {
        let (context, numeral) = (&tail.text[..run.start], run.text(tail.text));
        let next = self.continuations(context, numeral, tail.begun);
        if self.has(numeral) && self.fits(context, numeral) {
            // Whole. Neither other digits nor letters may change it.
            self.refuse_numeric(tail, &mut restriction.except);
            restriction.except.extend(self.classes.letters.iter().filter(|id| !next.contains(id)));
            return;
        }
        let mut only = next;
        if self.numbers_item(context, numeral) {
            let expected = next_item(context).to_string();
            let more = &expected.as_bytes()[numeral.len()..];
            let ends: &[&[u8]] = if more.is_empty() { &[b".", b")"] } else { &[] };
            only.extend(ends.iter().filter_map(|mark| self.classes.of_bytes(mark)));
            only.extend((1..=more.len()).filter_map(|length| self.classes.of_bytes(&more[..length])));
        }
        self.only(only, restriction);
    }

    /// The text ends with a mark behind a digit.
    fn after_mark(&self, tail: Tail<'_>, run: Run, restriction: &mut Restriction) {
        let context = &tail.text[..run.start];
        if self.has(run.text(tail.text)) && self.fits(context, run.text(tail.text)) {
            self.refuse_numeric(tail, &mut restriction.except);
        } else if is_marker(tail.text, run) {
            restriction.except.clone_from(&self.classes.solid);
            self.refuse_numeric(tail, &mut restriction.except);
        } else {
            self.only(self.continuations(context, &tail.text[run.start..], tail.begun), restriction);
        }
    }

    fn refuse_numeric(&self, tail: Tail<'_>, refused: &mut Vec<u32>) {
        refused.extend(self.classes.numeric.iter().filter(|id| !self.permits(tail, **id)));
    }

    fn only(&self, mut ids: Vec<u32>, restriction: &mut Restriction) {
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            // No token spells what is missing: such a vocabulary has not every byte.
            restriction.except.clone_from(&self.classes.numeric);
        } else {
            restriction.only = Some(ids);
        }
    }

    /// The tokens that bring the numeral nearer to one that fits behind the context. Of its next
    /// character some bytes may be there already.
    fn continuations(&self, context: &str, numeral: &str, begun: &[u8]) -> Vec<u32> {
        let mut ids = Vec::new();
        let fitting = self.beginning(numeral).filter(|whole| self.fits(context, whole));
        let rests = fitting.filter_map(|whole| whole.as_bytes()[numeral.len()..].strip_prefix(begun));
        for rest in rests.take(MAX_TRIED) {
            ids.extend((1..=rest.len()).filter_map(|length| self.classes.of_bytes(&rest[..length])));
        }
        ids
    }

    /// The numeric tokens that may not follow a text that ends outside of a numeral.
    fn outside(&self, tail: Tail<'_>) -> Vec<u32> {
        let text = tail.text;
        let word_at = text.trim_end_matches(is_part).len();
        let word = &text[word_at..];
        let beside = if word.is_empty() { is_plain(text) } else { !precis_quality::is_unit_link(&word.to_lowercase()) };
        let known = !word.is_empty() && self.beginning(word).next().is_some();
        let mut refused = Vec::new();
        if !tail.begun.is_empty() || opens_line(text) || known || !beside {
            self.refuse_numeric(tail, &mut refused);
            return refused;
        }
        let (cached, like) = match word.is_empty() {
            true => (&self.refused_outside, "x "),
            false => (&self.refused_in_word, STRANGE_WORD),
        };
        cached
            .get_or_init(|| {
                self.refuse_numeric(Tail { text: like, begun: &[] }, &mut refused);
                refused
            })
            .clone()
    }

    /// Refuses the units that would make the last numeral another number.
    fn refuse_units(&self, text: &str, run: Run, refused: &mut Vec<u32>) {
        let behind = &text[run.end..];
        let context = &text[..run.start];
        let near = context.ceil_char_boundary(context.len().saturating_sub(WINDOW_BYTES / 2));
        if behind.is_empty() && is_plain(context) && !context[near..].contains(CURRENCIES) {
            refused.extend(self.units_behind(run.text(text)).iter());
            return;
        }
        let word = behind.trim_start_matches([' ', '-', ')', ']', '\u{a0}', '\n', ',', '.']);
        if word.len() > MAX_NUMERAL_BYTES || word.contains(['.', ',', ';', '!', '?', '\n']) {
            return;
        }
        let last = word.rsplit([' ', '-']).next().unwrap_or_default();
        if word.is_empty() || precis_quality::is_unit_link(&word.to_lowercase()) {
            let units = self.classes.units.iter();
            refused.extend(units.filter(|id| !self.supports(&self.followed(text, **id))));
        }
        let rest = |unit: &'static str| unit.strip_prefix(last.to_lowercase().as_str()).filter(|rest| !rest.is_empty());
        if !last.is_empty() {
            let pieces =
                precis_quality::unit_words().filter_map(rest).filter_map(|rest| self.classes.of_bytes(rest.as_bytes()));
            refused.extend(pieces.filter(|id| !self.supports(&self.followed(text, *id))));
        }
    }

    /// The units that may not come directly behind this numeral.
    fn units_behind(&self, numeral: &str) -> Arc<[u32]> {
        if let Some(known) = locked(&self.refused_units).get(numeral) {
            return Arc::clone(known);
        }
        let text = format!("x {numeral}");
        let units = self.classes.units.iter().copied();
        let refused: Arc<[u32]> = units.filter(|id| !self.supports(&self.followed(&text, *id))).collect();
        locked(&self.refused_units).insert(numeral.to_owned(), Arc::clone(&refused));
        refused
    }

    fn followed(&self, text: &str, token: u32) -> String {
        text_of(&[text.as_bytes(), self.classes.detokeniser.bytes(token)].concat())
    }
}

/// The numeral, and what may be derived from its spelling.
fn derive(numeral: &str, found: &mut HashSet<String>) {
    for piece in numeral.split(is_divider) {
        found.insert(piece.to_owned());
        let digits = piece.trim_end_matches(char::is_alphabetic);
        if digits.starts_with(char::is_numeric) && !digits.contains(char::is_alphabetic) {
            found.insert(digits.to_owned());
        }
    }
    found.insert(numeral.to_owned());
    let groups: Vec<&str> = numeral.split(is_joiner).collect();
    let is_digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    if let [first, rest @ ..] = groups.as_slice()
        && !rest.is_empty()
        && groups.iter().all(is_digits)
        && (1..=3).contains(&first.len())
        && rest.iter().all(|group| group.len() == 3)
    {
        found.insert(groups.concat());
    } else if (4..=12).contains(&numeral.len()) && is_digits(&numeral) && !numeral.starts_with('0') {
        let mut grouped = String::new();
        for (at, digit) in numeral.chars().enumerate() {
            if at > 0 && (numeral.len() - at).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        found.insert(grouped);
    }
}

/// Whether three digits behind a space would be read as thousands of the number before it.
fn is_group(before: &str, gap: &str, numeral: &str) -> bool {
    let digits = |text: &str| text.chars().all(char::is_numeric);
    let mut gap = gap.chars();
    let spaced = gap.next().is_some_and(char::is_whitespace) && gap.next().is_none();
    spaced && digits(before) && before.chars().count() <= 3 && digits(numeral) && numeral.chars().count() == 3
}

/// Whether nothing before a number can change what the number means.
fn is_plain(context: &str) -> bool {
    let text = context.trim_end();
    if text.ends_with(CURRENCIES) {
        return false;
    }
    let word_end = text.trim_end_matches(|c: char| !is_part(c));
    // Marks that end a sentence part the number from the word before; a comma and a full stop do
    // not: `March 12, 2021`.
    if text[word_end.len()..].chars().count() > 2 {
        return true;
    }
    let word = word_end.rsplit(|c: char| !is_part(c)).next().unwrap_or_default();
    !word.contains(char::is_numeric) && !precis_quality::is_unit_link(&word.to_lowercase())
}

/// Whether a mark stands behind the numeral, at the end of the text, and digits may go on behind
/// it.
fn is_pending(text: &str, run: Run) -> bool {
    let mut behind = text[run.end..].chars();
    behind.next().is_some_and(is_joiner) && behind.next().is_none() && text[..run.end].ends_with(char::is_numeric)
}

/// Whether a number that follows the text stands at the beginning of a line.
fn opens_line(text: &str) -> bool {
    let line = text.rfind('\n').map_or(text, |at| &text[at + 1..]);
    line.chars().all(|c| matches!(c, ' ' | '\t' | '*'))
}

/// The number of the list's next item.
fn next_item(text: &str) -> u32 {
    let number = |line: &str| -> Option<u32> {
        let line = line.trim_start_matches([' ', '\t', '*']);
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        line[digits..].starts_with(['.', ')']).then(|| line[..digits].parse().ok()).flatten()
    };
    let items = text.rfind('\n').map_or("", |at| &text[..at]);
    items.lines().rev().find_map(number).filter(|item| *item < 99).map_or(1, |item| item + 1)
}

/// Whether these are the first digits of a list marker.
fn marker_digits(context: &str, digits: &str) -> bool {
    opens_line(context) && next_item(context).to_string().starts_with(digits)
}

/// Whether a numeral is a list marker: `1.` or `1)` at the beginning of its line.
fn is_marker(text: &str, run: Run) -> bool {
    let context = &text[..run.start];
    let mut behind = text[run.end..].chars();
    opens_line(context)
        && next_item(context).to_string() == run.text(text)
        && matches!(behind.next(), Some('.' | ')'))
        && behind.next().is_none_or(char::is_whitespace)
}

#[cfg(test)]
mod tests;
