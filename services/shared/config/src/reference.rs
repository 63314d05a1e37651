//! The reference of settings, made from the types: texts, defaults and names cannot go stale.

use serde_json::Value;

use crate::environment::variable;
use crate::schema::{self, Shape};
use crate::settings::Section;

/// The section `name` as a Markdown table: key, type, default, meaning, environment variable.
pub fn markdown<T: Section>(name: &str) -> String {
    let defaults = serde_json::to_value(T::default()).unwrap_or_default();
    let rows = rows(name, &schema::of::<T>(), Some(&defaults));
    let head = [
        "| key | type | default | meaning | environment variable |".to_owned(),
        "| --- | --- | --- | --- | --- |".to_owned(),
    ];
    head.into_iter().chain(rows.into_iter().map(KeyRow::markdown)).map(|line| line + "\n").collect()
}

struct KeyRow {
    key: String,
    kind: String,
    default: Option<String>,
    meaning: String,
    variable: Option<String>,
}

impl KeyRow {
    fn markdown(self) -> String {
        let code = |text: Option<String>| text.map_or_else(String::new, |text| format!("`{text}`"));
        let cells = [code(Some(self.key)), self.kind, code(self.default), self.meaning, code(self.variable)];
        format!("| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
    }
}

/// The keys at and below `key`. `default` is the value of an unset key, where that is known.
fn rows(key: &str, schema: &Value, default: Option<&Value>) -> Vec<KeyRow> {
    let default = default.or_else(|| schema.get("default")).filter(|default| !default.is_null());
    match Shape::of(schema) {
        Shape::Table { keys: Some(keys), .. } => keys
            .iter()
            .flat_map(|(name, inner)| rows(&format!("{key}.{name}"), inner, default.and_then(|value| value.get(name))))
            .collect(),
        Shape::List(Some(items)) if is_table(items) => {
            let mut list = vec![row(key, schema, default)];
            list.extend(rows(&format!("{key}[]"), items, None));
            list
        }
        _ => vec![row(key, schema, default)],
    }
}

fn row(key: &str, schema: &Value, default: Option<&Value>) -> KeyRow {
    // A list's items have no variable of their own, since a variable sets the whole list.
    let variable = (!key.contains("[]")).then(|| variable(key));
    KeyRow { key: key.to_owned(), kind: kind(schema), default: default.map(plain), meaning: meaning(schema), variable }
}

fn is_table(schema: &Value) -> bool {
    matches!(Shape::of(schema), Shape::Table { keys: Some(_), .. })
}

/// A schema's type in words.
fn kind(schema: &Value) -> String {
    match Shape::of(schema) {
        Shape::Choice(choices) => choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(" or "),
        Shape::Scalar(_) if schema.get("format").is_some_and(|format| format == "secret") => "secret".to_owned(),
        Shape::Scalar(types) => types.join(" or "),
        Shape::List(items) if items.is_some_and(is_table) => "list of tables".to_owned(),
        Shape::List(items) => format!("list of {}", items.map_or_else(|| "anything".to_owned(), kind)),
        Shape::Table { keys: None, others: Some(others) } => format!("table of {}", kind(others)),
        Shape::Table { .. } => "table".to_owned(),
        Shape::Either(branches) => branches.into_iter().map(kind).collect::<Vec<_>>().join(" or "),
        Shape::Anything => "anything".to_owned(),
    }
}

fn meaning(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{text}\""),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
