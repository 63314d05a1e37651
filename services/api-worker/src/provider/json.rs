//! Lenient reader of a provider's JSON: an answer that was paid for is not lost to a small mistake.
//!
//! A body is read strictly first. Where that fails, it is read once more with the known mistakes of
//! servers corrected: half of a surrogate pair (a model's token may end in the middle of a
//! character), bytes that are no UTF-8, line ends and other control characters in a string, escapes
//! that JSON does not have, `NaN` and `Infinity`, a byte order mark, the prefix of an event stream,
//! and bytes after the first value. Time is linear.

use serde_json::Value;

/// The first value of the body; `None` where there is none.
pub(super) fn read(body: &[u8]) -> Option<Value> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Some(first_of_list(value));
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let mended = mend(text.strip_prefix("data:").unwrap_or(text));
    let mut values = serde_json::Deserializer::from_str(&mended).into_iter::<Value>();
    values.next().and_then(Result::ok).map(first_of_list)
}

/// A number of tokens, written as an integer, as a float or as text.
pub(super) fn tokens(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => text.trim().parse().ok().or_else(|| text.trim().parse().ok().and_then(whole)),
        _ => None,
    }
}

/// The same for a field that may be missing or null, which counts as 0.
pub(super) fn tokens_or_none(value: &Value) -> Option<u64> {
    if value.is_null() { Some(0) } else { tokens(value) }
}

/// A float as a count, rounded up, since a fraction of a token is billed too. Beyond 2^53 a float
/// is no count.
fn whole(number: f64) -> Option<u64> {
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range of exact integers")]
    (0.0..=MAX_EXACT).contains(&number).then(|| number.ceil() as u64)
}

/// Some gateways put their one answer or error into a list.
fn first_of_list(value: Value) -> Value {
    match value {
        Value::Array(mut list) if !list.is_empty() => list.swap_remove(0),
        value => value,
    }
}

/// The text as strict JSON, if it has no other mistakes than the module lists.
fn mend(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if character == '"' {
            rest = string(rest, &mut out);
            continue;
        }
        let word = ["-Infinity", "Infinity", "NaN"].into_iter().find(|word| rest.starts_with(word));
        out.push_str(if word.is_some() { "null" } else { &rest[..character.len_utf8()] });
        rest = &rest[word.map_or(character.len_utf8(), str::len)..];
    }
    out
}

/// Copies the string that `text` begins with; returns the text after it.
fn string<'a>(text: &'a str, out: &mut String) -> &'a str {
    out.push('"');
    let mut rest = &text[1..];
    while let Some(character) = rest.chars().next() {
        let mut taken = character.len_utf8();
        match character {
            '"' => {
                out.push('"');
                return &rest[1..];
            }
            '\\' => taken = escape(rest, out),
            '\n' => out.push_str("\\n"),
            control if control < ' ' => out.push(' '),
            character => out.push(character),
        }
        rest = &rest[taken..];
    }
    rest
}

/// Copies the escape that `text` begins with; returns its length in bytes.
fn escape(text: &str, out: &mut String) -> usize {
    const REPLACEMENT: &str = "\\ufffd";
    match text[1..].chars().next() {
        Some('u') => {}
        Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => {
            out.push_str(&text[..2]);
            return 2;
        }
        _ => {
            out.push_str("\\\\");
            return 1;
        }
    }
    match (unit(text), text.get(6..).and_then(unit)) {
        (None, _) => {
            out.push_str("\\\\");
            1
        }
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => {
            out.push_str(&text[..12]);
            12
        }
        (Some(0xd800..=0xdfff), _) => {
            out.push_str(REPLACEMENT);
            6
        }
        (Some(_), _) => {
            out.push_str(&text[..6]);
            6
        }
    }
}

/// The UTF-16 unit of an escape `\uXXXX` that the text begins with.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests;
