//! One record as a document.
//!
//! Values stay as they are written until it is known which are needed: a number keeps its digits,
//! so that two ids are never one, and a field that nobody reads cannot fail. What Python and
//! JavaScript write although RFC 8259 has no meaning for it is read: halves of surrogate pairs
//! become U+FFFD, NaN and Infinity are no values.

use std::fmt;

use precis_pipeline::source;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_bytes::ByteBuf;
use serde_json::value::RawValue;

use super::super::encoding::Legacy;
use super::super::notes::{MAX_REFERENCE_BYTES, Note};
use super::super::{Input, Inputs, Problem, ReadOptions, TextError, file, metadata, problem, terminal};

/// Fields of a record that are read.
const NAMES: usize = 6;

/// Reads a record and adds what it is: a document with its notes, or a problem.
pub(super) fn add(
    inputs: &mut Inputs,
    bytes: &[u8],
    stem: &str,
    name: &str,
    options: &ReadOptions,
    legacy: &mut Legacy,
) {
    match document(bytes, stem, name, options, legacy) {
        Ok((document, notes)) => {
            for note in notes {
                inputs.notes.add(note, name);
            }
            inputs.documents.push(document);
        }
        Err(problem) => inputs.problems.push(problem),
    }
}

fn document(
    bytes: &[u8],
    stem: &str,
    name: &str,
    options: &ReadOptions,
    legacy: &mut Legacy,
) -> Result<(Input, Vec<Note>), Problem> {
    let line = std::str::from_utf8(bytes).map_err(|error| problem(name, &legacy.error(bytes, error.valid_up_to())))?;
    legacy.beside_utf8 |= !line.is_ascii();
    let line = line.trim_start_matches('\u{FEFF}');
    let reference_field = options.reference_field.as_deref().unwrap_or_default();
    let names = [options.text_field.as_str(), "id", "document_id", "title", "language", reference_field];
    let finite;
    let [text, id, document_id, title, language, reference] = match fields(line, names) {
        Ok(found) => found,
        Err(error) => {
            finite = finite_numbers(line);
            fields(&finite, names).map_err(|_| not_json(name, &error))?
        }
    };
    let mut notes = Vec::new();
    let text = text.and_then(string).ok_or_else(|| no_text_field(name, &options.text_field))?;
    notes.extend(text.broken.then_some(Note::Surrogates));
    // A text in JSON is text, whatever control characters it has.
    let text = file::readable(text.text.replace('\0', "")).map_err(|error| problem(name, &error))?;
    notes.extend(&text.notes);
    let text = text.text;
    if text.len() as u64 > options.max_bytes {
        return Err(problem(name, &TextError::TooLarge { limit: options.max_bytes }));
    }
    if source::words(&text) == 0 {
        return Err(problem(name, &TextError::Empty));
    }
    let mut stated = |value: Option<&RawValue>, read: fn(&RawValue) -> Option<String>, note| {
        let value = value.filter(|value| !is_blank(value))?;
        let read = read(value);
        notes.extend(read.is_none().then_some(note));
        read
    };
    let stated_id = stated(id, self::id, Note::Id).or_else(|| stated(document_id, self::id, Note::Id));
    let title = stated(title, self::title, Note::Title);
    let language = stated(language, self::language, Note::Language);
    // A field without a name is a field, too, and is none that was asked for.
    let reference = reference.filter(|_| options.reference_field.is_some());
    let reference = stated(reference, self::reference, Note::Reference);
    let stem = stated_id.clone().unwrap_or_else(|| stem.to_owned());
    Ok((Input { name: name.to_owned(), stem, stated_id, title, language, reference, text }, notes))
}

fn not_json(name: &str, error: &serde_json::Error) -> Problem {
    let at = match error.line() {
        1 => format!("column {} of the line", error.column()),
        line => format!("line {line}, column {} of the object", error.column()),
    };
    Problem { name: name.to_owned(), code: "not_json", message: format!("is not a JSON object: error at {at}") }
}

fn no_text_field(name: &str, field: &str) -> Problem {
    let message = format!("has no text in the field {field:?}; name the right one with --text-field");
    Problem { name: name.to_owned(), code: "no_text_field", message }
}

/// A text, or a number in its own digits. Half a surrogate pair would make two ids one.
fn id(value: &RawValue) -> Option<String> {
    number(value).or_else(|| string(value).filter(|id| !id.broken).map(|id| id.text))
}

fn title(value: &RawValue) -> Option<String> {
    let title = number(value).or_else(|| string(value).map(|title| title.text))?;
    let title = terminal::plain(title).text;
    (title.len() <= precis_router::MAX_TITLE_BYTES).then_some(title)
}

fn language(value: &RawValue) -> Option<String> {
    string(value).and_then(|language| metadata::language_tag(&language.text))
}

fn reference(value: &RawValue) -> Option<String> {
    string(value).map(|reference| reference.text).filter(|reference| reference.len() <= MAX_REFERENCE_BYTES)
}

/// Whether a field says nothing: no value, or a text of blanks.
fn is_blank(value: &RawValue) -> bool {
    value.get() == "null" || string(value).is_some_and(|text| text.text.trim().is_empty())
}

fn number(value: &RawValue) -> Option<String> {
    let digits = value.get();
    digits.starts_with(|first: char| first == '-' || first.is_ascii_digit()).then(|| digits.to_owned())
}

struct JsonString {
    text: String,
    /// Whether halves of surrogate pairs were in it.
    broken: bool,
}

fn string(value: &RawValue) -> Option<JsonString> {
    if !value.get().starts_with('"') {
        return None;
    }
    // As bytes, since serde_json refuses halves of pairs in a `String` and gives them here: three
    // bytes, ED A0 80 to ED BF BF.
    let bytes = serde_json::from_str::<ByteBuf>(value.get()).ok()?.into_vec();
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Some(JsonString { text, broken: false }),
        Err(error) => error.into_bytes(),
    };
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let valid = match std::str::from_utf8(rest) {
            Ok(valid) => valid,
            Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default(),
        };
        text.push_str(valid);
        rest = &rest[valid.len()..];
        if !rest.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            rest = rest.get(3..).unwrap_or_default();
        }
    }
    Some(JsonString { text, broken: true })
}

/// The values of the fields that have these names. Of a repeated field the last one counts, as in
/// Python and JavaScript.
fn fields<'a>(line: &'a str, names: [&str; NAMES]) -> Result<[Option<&'a RawValue>; NAMES], serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(line);
    let found = Fields { names }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(found)
}

struct Fields<'n> {
    names: [&'n str; NAMES],
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = [Option<&'de RawValue>; NAMES];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = [Option<&'de RawValue>; NAMES];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; NAMES];
        while let Some(key) = map.next_key::<ByteBuf>()? {
            let value = map.next_value::<&RawValue>()?;
            if let Some(place) = self.names.iter().position(|name| name.as_bytes() == key.as_slice()) {
                found[place] = Some(value);
            }
        }
        Ok(found)
    }
}

/// The line with `null` for NaN and infinite numbers, which `json.dumps` of Python writes.
fn finite_numbers(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let (mut in_string, mut escaped) = (false, false);
    let mut rest = line;
    while let Some(character) = rest.chars().next() {
        if !in_string {
            let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| rest.starts_with(word));
            if let Some(word) = word {
                out.push_str("null");
                rest = &rest[word.len()..];
                continue;
            }
        }
        match character {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        out.push(character);
        rest = &rest[character.len_utf8()..];
    }
    out
}
