//! Settings from environment variables.

use serde_json::Value;

use crate::schema::{self, Shape};

/// Prefix of every environment variable of Précis.
pub const ENV_PREFIX: &str = "PRECIS_";

const TABLE_SEPARATOR: &str = "__";

/// One variable that sets one key.
#[derive(Clone)]
pub(crate) struct Override {
    /// The variable's name.
    pub(crate) variable: String,
    /// Section, then keys.
    pub(crate) path: Vec<String>,
    /// Its text.
    pub(crate) text: String,
}

impl Override {
    /// The variable as a setting, or `None` when it is not meant as one.
    pub(crate) fn parse(variable: String, text: String) -> Option<Self> {
        let rest = variable.strip_prefix(ENV_PREFIX)?;
        if !rest.contains(TABLE_SEPARATOR) {
            return None;
        }
        let path = rest.split(TABLE_SEPARATOR).map(str::to_lowercase).collect();
        Some(Self { variable, path, text })
    }

    /// The key it sets, such as `log.kafka.brokers`.
    pub(crate) fn key(&self) -> String {
        self.path.join(".")
    }

    /// Sets its key in `section`, whose schema says how to read the text.
    pub(crate) fn apply(&self, schema: &Value, section: &mut toml::Table) {
        let path = &self.path[1..];
        let candidates = schema::at(schema, path);
        set(section, path, read(candidates.first().copied(), &self.text));
    }
}

/// The variable that sets `key`, such as `PRECIS_LOG__KAFKA__BROKERS` for `log.kafka.brokers`.
pub(crate) fn variable(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', TABLE_SEPARATOR).to_uppercase())
}

fn set(table: &mut toml::Table, path: &[String], value: toml::Value) {
    match path {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let entry = table.entry(key.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if !entry.is_table() {
                *entry = toml::Value::Table(toml::Table::new());
            }
            if let toml::Value::Table(inner) = entry {
                set(inner, rest, value);
            }
        }
    }
}

/// Reads `text` as the schema's type. Other text stays a string, and the check that follows names
/// the expected type.
fn read(schema: Option<&Value>, text: &str) -> toml::Value {
    let as_text = || toml::Value::String(text.to_owned());
    match schema.map_or(Shape::Anything, Shape::of) {
        Shape::Choice(_) => as_text(),
        Shape::Scalar(types) if types.contains(&"string") => as_text(),
        Shape::List(items) if !text.trim_start().starts_with('[') => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            toml::Value::Array(parts.map(|part| read(items, part)).collect())
        }
        _ => literal(text.trim()).unwrap_or_else(as_text),
    }
}

/// `text` as the right-hand side of a TOML assignment.
fn literal(text: &str) -> Option<toml::Value> {
    let mut table = format!("value = {text}").parse::<toml::Table>().ok()?;
    let value = table.remove("value")?;
    table.is_empty().then_some(value)
}
