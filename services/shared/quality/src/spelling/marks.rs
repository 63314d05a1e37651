//! The second pass: marks whose meaning depends on their neighbours.
//!
//! * Quotation marks become `“` where they open and `”` where they close; single ones `‘` and `'`,
//!   which is the apostrophe too.
//! * Hyphens, minus signs and the dash of a range (`2019–2020`, `Franco–American`) become `-`; a
//!   dash between spaces becomes `–`, and `-` at the beginning of its line; what separates words
//!   without spaces becomes `—`.
//! * `½` becomes `1/2` and `2½` becomes `2 1/2`, a number apart from other digits.
//! * A lowered digit behind a letter is a digit (`CO₂`), a raised 2 or 3 behind a unit of length
//!   too (`m²`). Other raised digits stay as they are: powers and footnotes.
//! * A digit in a key's frame becomes `(1)`.

use std::borrow::Cow;

use crate::numbers::is_length;

/// The characters beside a mark.
#[derive(Clone, Copy)]
struct Neighbours {
    /// The character before, in plain spelling already.
    before: Option<char>,
    after: Option<char>,
    /// Only spaces stand before it on this line.
    opens_line: bool,
}

pub(super) fn rewritten(text: &str) -> Cow<'_, str> {
    if !text.contains(is_mark) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    let mut opens_line = true;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let neighbours = Neighbours { before: out.chars().next_back(), after: rest.clone().next(), opens_line };
        if is_mark(character) {
            take(&mut out, character, neighbours, &mut rest);
        } else {
            out.push(character);
        }
        opens_line =
            matches!(character, '\n' | '\r' | '\u{2028}' | '\u{2029}') || opens_line && matches!(character, ' ' | '\t');
    }
    if out == text { Cow::Borrowed(text) } else { Cow::Owned(out) }
}

fn take(out: &mut String, character: char, neighbours: Neighbours, rest: &mut std::str::Chars<'_>) {
    match character {
        '-' if neighbours.after == Some('-') => {
            let mut after = rest.clone();
            let dashes = 1 + after.by_ref().take_while(|next| *next == '-').count();
            double_hyphen(out, neighbours, dashes, rest);
        }
        '-' | '‐' | '‑' | '−' | '–' | '‒' | '—' | '―' => out.push(dash(character, neighbours)),
        '"' | '“' | '”' | '„' | '‟' | '«' | '»' | '‹' | '›' | '〝' | '〞' => {
            out.push(if opens(character, neighbours) { '“' } else { '”' });
        }
        '\'' | '’' | '‘' | '‚' | '‛' | 'ʼ' | 'ʻ' => {
            out.push(if is_opening(neighbours) { '‘' } else { '\'' });
        }
        '´' | '`' => {
            let between =
                [neighbours.before, neighbours.after].iter().all(|beside| beside.is_some_and(char::is_alphabetic));
            out.push(if between { '\'' } else { character });
        }
        '\u{20e3}' => frame(out),
        '²' | '³' if !neighbours.after.is_some_and(joins) => raised(out, character),
        '₀'..='₉' => lowered(out, character, rest),
        _ => match fraction(character) {
            Some(fraction) => apart(out, fraction, neighbours.after),
            None => out.push(character),
        },
    }
}

fn is_mark(character: char) -> bool {
    matches!(character,
        '"' | '\'' | '-' | '`' | '«' | '»' | '´' | '²' | '³' | '¼'..='¾' | 'ʻ' | 'ʼ' | '‐'..='―' | '‘'..='‟' | '‹' | '›'
        | '₀'..='₉' | '\u{20e3}' | '⅐'..='⅞' | '↉' | '−' | '〝' | '〞')
}

/// Whether the text goes on without a space; a fraction gets one.
fn joins(after: char) -> bool {
    after.is_alphanumeric() && fraction(after).is_none()
}

fn is_space(beside: Option<char>) -> bool {
    beside.is_none_or(char::is_whitespace)
}

fn is_opening(neighbours: Neighbours) -> bool {
    let outside = is_space(neighbours.before)
        || matches!(neighbours.before, Some('(' | '[' | '{' | '“' | '‘' | '—' | '–' | '*' | '_'));
    outside && !is_space(neighbours.after)
}

/// Whether a quotation mark opens: by its neighbours, and between two spaces by its shape.
fn opens(character: char, neighbours: Neighbours) -> bool {
    if is_space(neighbours.before) && is_space(neighbours.after) {
        return matches!(character, '“' | '„' | '‟' | '«' | '‹' | '〝');
    }
    let inside = |beside: Option<char>| beside.is_some_and(char::is_alphanumeric);
    is_opening(neighbours) || (!is_space(neighbours.before) && !inside(neighbours.before) && inside(neighbours.after))
}

fn dash(character: char, neighbours: Neighbours) -> char {
    if is_space(neighbours.after) && neighbours.opens_line {
        return '-';
    }
    if is_space(neighbours.before) && is_space(neighbours.after) {
        return '–';
    }
    let both = |is: fn(char) -> bool| [neighbours.before, neighbours.after].iter().all(|beside| beside.is_some_and(is));
    match character {
        '–' | '‒' if !both(char::is_alphanumeric) => '–',
        '—' | '―' if !both(char::is_numeric) => '—',
        _ => '-',
    }
}

/// Writes a run of hyphens. Two are a dash, or between numbers the hyphen of a range; two before a
/// word are an option of a command, and more are a line, so both stay.
fn double_hyphen(out: &mut String, neighbours: Neighbours, hyphens: usize, rest: &mut std::str::Chars<'_>) {
    for _ in 1..hyphens {
        rest.next();
    }
    let after = rest.clone().next();
    let spaces = neighbours.before == Some(' ') && after == Some(' ') && !neighbours.opens_line;
    let both = |is: fn(char) -> bool| [neighbours.before, after].iter().all(|beside| beside.is_some_and(is));
    match hyphens {
        2 if spaces => out.push('–'),
        2 if both(char::is_numeric) => out.push('-'),
        2 if both(char::is_alphanumeric) => out.push('—'),
        _ => out.extend(std::iter::repeat_n('-', hyphens)),
    }
}

/// Puts the digit before a key's frame in parentheses.
fn frame(out: &mut String) {
    if let Some(digit) = out.chars().next_back().filter(char::is_ascii_digit) {
        out.pop();
        out.extend(['(', digit, ')']);
    }
}

/// A raised 2 or 3: a digit behind a unit of length.
fn raised(out: &mut String, character: char) {
    let start = out.trim_end_matches(|c: char| c.is_ascii_lowercase()).len();
    if !is_length(&out[start..]) || out[..start].ends_with(char::is_alphabetic) {
        return out.push(character);
    }
    if out[..start].ends_with(char::is_numeric) {
        out.insert(start, ' ');
    }
    out.push(if character == '²' { '2' } else { '3' });
}

/// Lowered digits: digits where a formula goes on.
fn lowered(out: &mut String, first: char, rest: &mut std::str::Chars<'_>) {
    let in_formula = out.ends_with(char::is_alphabetic);
    let mut next = Some(first);
    while let Some(lowered) = next.filter(|next| matches!(next, '₀'..='₉')) {
        let digit = char::from_digit(u32::from(lowered) - u32::from('₀'), 10);
        out.push(digit.filter(|_| in_formula).unwrap_or(lowered));
        let ahead = rest.clone().next().filter(|ahead| matches!(ahead, '₀'..='₉'));
        if ahead.is_some() {
            rest.next();
        }
        next = ahead;
    }
}

fn apart(out: &mut String, fraction: &str, after: Option<char>) {
    if out.ends_with(char::is_alphanumeric) {
        out.push(' ');
    }
    out.push_str(fraction);
    if after.is_some_and(char::is_alphanumeric) {
        out.push(' ');
    }
}

fn fraction(character: char) -> Option<&'static str> {
    Some(match character {
        '¼' => "1/4",
        '½' => "1/2",
        '¾' => "3/4",
        '⅐' => "1/7",
        '⅑' => "1/9",
        '⅒' => "1/10",
        '⅓' => "1/3",
        '⅔' => "2/3",
        '⅕' => "1/5",
        '⅖' => "2/5",
        '⅗' => "3/5",
        '⅘' => "4/5",
        '⅙' => "1/6",
        '⅚' => "5/6",
        '⅛' => "1/8",
        '⅜' => "3/8",
        '⅝' => "5/8",
        '⅞' => "7/8",
        '↉' => "0/3",
        _ => return None,
    })
}
