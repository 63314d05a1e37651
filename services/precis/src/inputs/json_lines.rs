//! JSON Lines: one object a line with a text, and optionally `id`, `title` and `language`. Lines are independent of each other.

use std::io::{BufRead, BufReader, Read};

use precis_pipeline::source;
use serde_json::{Map, Value};

use super::{Input, Inputs, Problem, ReadOptions, TextError, problem};

/// A line holds a text with its escapes and some fields: six bytes for each of the text (`\u00e9`) and a little.
const LINE_BYTES_PER_TEXT_BYTE: u64 = 6;

pub(super) fn read(inputs: &mut Inputs, name: &str, stem: &str, stream: &mut dyn Read, options: &ReadOptions) {
    let mut reader = BufReader::new(stream);
    let limit = options.max_bytes * LINE_BYTES_PER_TEXT_BYTE;
    for number in 1_usize.. {
        let at = format!("{name}:{number}");
        let mut line = Vec::new();
        match (&mut reader).take(limit).read_until(b'\n', &mut line) {
            Ok(0) => {
                if number == 1 {
                    inputs.problems.push(problem(name, &TextError::Empty));
                }
                return;
            }
            Ok(_) => {}
            Err(error) => return inputs.problems.push(problem(&at, &TextError::Unreadable(error))),
        }
        if line.len() as u64 == limit && !line.ends_with(b"\n") {
            // Where the next line starts is unknown from here without reading on: stop at this one.
            return inputs.problems.push(problem(&at, &TextError::TooLarge { limit: options.max_bytes }));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match document(&line, &format!("{stem}-{number}"), &at, options) {
            Ok(document) => inputs.documents.push(document),
            Err(problem) => inputs.problems.push(problem),
        }
    }
}

fn document(line: &[u8], stem: &str, name: &str, options: &ReadOptions) -> Result<Input, Problem> {
    let line = std::str::from_utf8(line)
        .map_err(|error| problem(name, &TextError::NotUtf8 { at: error.valid_up_to(), guess: "iso-8859-1" }))?;
    let bad = |code, message: String| Problem { name: name.to_owned(), code, message };
    let mut object: Map<String, Value> =
        serde_json::from_str(line.trim_start_matches('\u{FEFF}')).map_err(|error| {
            bad("not_json", format!("is not a JSON object: error at column {} of the line", error.column()))
        })?;
    let Some(Value::String(text)) = object.remove(&options.text_field) else {
        let field = &options.text_field;
        return Err(bad(
            "no_text_field",
            format!("has no text in the field {field:?}; name the right one with --text-field"),
        ));
    };
    if text.len() as u64 > options.max_bytes {
        return Err(problem(name, &TextError::TooLarge { limit: options.max_bytes }));
    }
    if source::words(&text) == 0 {
        return Err(problem(name, &TextError::Empty));
    }
    let mut string = |field: &str| match object.remove(field) {
        Some(Value::String(value)) if !value.trim().is_empty() => Some(value),
        Some(Value::Number(value)) => Some(value.to_string()),
        _ => None,
    };
    let stated_id = string("id").or_else(|| string("document_id"));
    Ok(Input {
        name: name.to_owned(),
        stem: stated_id.clone().unwrap_or_else(|| stem.to_owned()),
        stated_id,
        title: string("title"),
        language: string("language"),
        text,
    })
}
