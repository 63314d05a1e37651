//! The filter `tojson` as transformers defines it: Python's `json.dumps`, and not Jinja's own,
//! which writes HTML's characters as escapes.
//!
//! A small value can be a large text: a list that holds another twice, which holds another twice.
//! So the filter pays fuel while it writes, and its depth is bounded.

use std::cell::Cell;
use std::fmt::Write as _;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// Levels of lists and maps in each other.
const MAX_DEPTH: usize = 100;
/// Characters that one level is indented by.
const MAX_INDENT: usize = 64;
/// Bytes that one unit of fuel pays for, as in minijinja.
const BYTES_PER_FUEL: usize = 64;

/// The options of `json.dumps`, and who pays.
struct Style<'a> {
    state: &'a State<'a, 'a>,
    /// Bytes that are paid for.
    paid: Cell<usize>,
    ensure_ascii: bool,
    /// Indentation of a level; `None` writes all on one line.
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    sort_keys: bool,
}

/// `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
#[expect(clippy::needless_pass_by_value, reason = "filters of minijinja take their arguments by value")]
pub(super) fn tojson(
    state: &State<'_, '_>,
    value: &Value,
    ensure_ascii: Option<Value>,
    indent: Option<Value>,
    arguments: Kwargs,
) -> Result<Value, Error> {
    let named = |name: &str| arguments.get::<Option<Value>>(name);
    let ensure_ascii = ensure_ascii.or(named("ensure_ascii")?);
    let indent = indent.or(named("indent")?).filter(|indent| !indent.is_none());
    let indent = match indent {
        None => None,
        Some(indent) => Some(match indent.as_str() {
            Some(text) if text.len() > MAX_INDENT => {
                return Err(Error::new(ErrorKind::InvalidOperation, "the indentation of `tojson` is too wide"));
            }
            Some(text) => text.to_owned(),
            None => {
                let wide = i64::try_from(indent)?.clamp(0, MAX_INDENT as i64);
                " ".repeat(usize::try_from(wide).unwrap_or_default())
            }
        }),
    };
    let separators = named("separators")?.filter(|separators| !separators.is_none());
    let (item_separator, key_separator) = match separators {
        Some(pair) => (pair.get_item_by_index(0)?.to_string(), pair.get_item_by_index(1)?.to_string()),
        None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        None => (", ".to_owned(), ": ".to_owned()),
    };
    let sort_keys = named("sort_keys")?.is_some_and(|sort| sort.is_true());
    arguments.assert_all_used()?;
    let ensure_ascii = ensure_ascii.is_some_and(|only| only.is_true());
    let style = Style { state, paid: Cell::new(0), ensure_ascii, indent, item_separator, key_separator, sort_keys };
    let mut out = String::new();
    style.write(value, 0, &mut out)?;
    Ok(Value::from_safe_string(out))
}

impl Style<'_> {
    /// Pays for what was written since, and for one value more.
    fn pay(&self, out: &str) -> Result<(), Error> {
        let written = out.len() - self.paid.replace(out.len());
        self.state.consume_fuel(1 + (written / BYTES_PER_FUEL) as u64)
    }

    fn write(&self, value: &Value, level: usize, out: &mut String) -> Result<(), Error> {
        self.pay(out)?;
        if level > MAX_DEPTH {
            return Err(Error::new(ErrorKind::InvalidOperation, "a value is too deep for `tojson`"));
        }
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => number(value, out),
            ValueKind::String => self.string(value.as_str().unwrap_or_default(), out),
            ValueKind::Seq | ValueKind::Iterable => {
                let mut items = Vec::new();
                for item in value.try_iter()? {
                    self.state.consume_fuel(1)?;
                    items.push(item);
                }
                self.all(['[', ']'], &items, level, out, |item, out| self.write(item, level + 1, out))?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort();
                }
                self.all(['{', '}'], &keys, level, out, |key, out| {
                    self.key(key, out)?;
                    out.push_str(&self.key_separator);
                    self.write(&value.get_item(key)?, level + 1, out)
                })?;
            }
            kind => return Err(Error::new(ErrorKind::InvalidOperation, format!("a value of kind {kind} is no JSON"))),
        }
        Ok(())
    }

    fn all<T>(
        &self,
        [open, close]: [char; 2],
        items: &[T],
        level: usize,
        out: &mut String,
        mut write: impl FnMut(&T, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        out.push(open);
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                out.push_str(&self.item_separator);
            }
            self.new_line(level + 1, out);
            write(item, out)?;
        }
        if !items.is_empty() {
            self.new_line(level, out);
        }
        out.push(close);
        Ok(())
    }

    fn new_line(&self, level: usize, out: &mut String) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            out.push_str(&indent.repeat(level));
        }
    }

    /// Python writes keys that are no strings as their JSON in quotes.
    fn key(&self, key: &Value, out: &mut String) -> Result<(), Error> {
        if let Some(text) = key.as_str() {
            self.string(text, out);
            return Ok(());
        }
        out.push('"');
        self.write(key, MAX_DEPTH, out)?;
        out.push('"');
        Ok(())
    }

    fn string(&self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                character if character < ' ' || (self.ensure_ascii && !(' '..='~').contains(&character)) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                character => out.push(character),
            }
        }
        out.push('"');
    }
}

/// A number as Python writes it: a float always has a point or an exponent.
fn number(value: &Value, out: &mut String) {
    if value.is_integer() {
        out.push_str(&value.to_string());
        return;
    }
    let number = f64::try_from(value.clone()).unwrap_or(f64::NAN);
    let _ = match number {
        number if number.is_nan() => write!(out, "NaN"),
        number if number.is_infinite() => write!(out, "{}Infinity", if number < 0.0 { "-" } else { "" }),
        number => write!(out, "{number:?}"),
    };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::environment;

    /// As `json.dumps` wrote them in Python 3.
    #[test]
    fn values_are_written_as_python_writes_them() {
        let environment = environment::new().unwrap();
        for (expression, expected) in [
            ("{'b': [1, 2.0, none], 'a': true}|tojson", r#"{"b": [1, 2.0, null], "a": true}"#),
            ("{'b': 1, 'a': 2}|tojson(sort_keys=true)", r#"{"a": 2, "b": 1}"#),
            ("{'b': [1, {}], 'a': []}|tojson(indent=2)", "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": []\n}"),
            ("[1, 2]|tojson(separators=(',', ':'))", "[1,2]"),
            ("{'a': 1}|tojson(indent=4, separators=(';', '='))", "{\n    \"a\"=1\n}"),
            ("'<b> & \"é\" it\\'s\n'|tojson", r#""<b> & \"é\" it's\n""#),
            ("'é\u{1f600}\u{7f}'|tojson(ensure_ascii=true)", r#""\u00e9\ud83d\ude00\u007f""#),
            ("'é'|tojson(true)", r#""\u00e9""#),
            ("[1]|tojson(false, 1)", "[\n 1\n]"),
            ("{1: 'a'}|tojson", r#"{"1": "a"}"#),
            ("[1]|tojson(indent=none)", "[1]"),
        ] {
            let source = format!("{{{{ {expression} }}}}");
            let rendered = environment.render_str(&source, ()).unwrap();
            assert_eq!(rendered, expected, "{expression}");
        }
        for refused in ["{{ missing|tojson }}", "{{ [1]|tojson(sorted=true) }}"] {
            assert!(environment.render_str(refused, ()).is_err(), "{refused}");
        }
    }
}
