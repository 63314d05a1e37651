//! Checks a section against its JSON schema: keys and their types.
//!
//! serde stops at the first mistake. A walk over schema and values finds all mistakes, and names
//! keys instead of Rust types. Patterns and custom formats are left to serde.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::Violations;

/// The schema of `T` without references, so that it can be walked.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// What a schema allows. `null` is left out everywhere, since TOML says it by an absent key.
pub(crate) enum Shape<'a> {
    /// A table: its keys, and the schema of other keys where these are allowed.
    Table { keys: Option<&'a Map<String, Value>>, others: Option<&'a Value> },
    /// A list, with the schema of its items.
    List(Option<&'a Value>),
    /// One of these texts.
    Choice(Vec<&'a str>),
    /// One of these JSON types: `string`, `integer`, `number`, `boolean`.
    Scalar(Vec<&'a str>),
    /// One of these schemas.
    Either(Vec<&'a Value>),
    /// Anything at all.
    Anything,
}

impl<'a> Shape<'a> {
    pub(crate) fn of(schema: &'a Value) -> Self {
        if let Some(branches) = ["anyOf", "oneOf"].into_iter().find_map(|key| schema.get(key)?.as_array()) {
            return Self::of_branches(branches);
        }
        if let Some(choices) = choices(schema) {
            return Self::Choice(choices);
        }
        let types = types(schema);
        match types.as_slice() {
            ["object"] => {
                let keys = schema.get("properties").and_then(Value::as_object);
                let others = match schema.get("additionalProperties") {
                    // A schema that does not mention other keys allows none to a struct, and any to
                    // a map, which has no keys of its own.
                    None => keys.is_none().then_some(&Value::Bool(true)),
                    Some(Value::Bool(false)) => None,
                    Some(others) => Some(others),
                };
                Self::Table { keys, others }
            }
            ["array"] => Self::List(schema.get("items")),
            [] => Self::Anything,
            _ => Self::Scalar(types),
        }
    }

    fn of_branches(branches: &'a [Value]) -> Self {
        let branches: Vec<_> = branches.iter().filter(|branch| branch["type"] != "null").collect();
        if let [only] = branches.as_slice() {
            return Self::of(only);
        }
        match branches.iter().map(|branch| choices(branch)).collect::<Option<Vec<_>>>() {
            Some(choices) => Self::Choice(choices.concat()),
            None => Self::Either(branches),
        }
    }
}

/// The schemas that may stand at `path` below `schema`; empty when no such key is known.
pub(crate) fn at<'a>(schema: &'a Value, path: &[String]) -> Vec<&'a Value> {
    let Some((key, rest)) = path.split_first() else { return vec![schema] };
    match Shape::of(schema) {
        Shape::Table { keys, others } => {
            keys.and_then(|keys| keys.get(key)).or(others).map_or_else(Vec::new, |next| at(next, rest))
        }
        Shape::Either(branches) => branches.into_iter().flat_map(|branch| at(branch, path)).collect(),
        _ => Vec::new(),
    }
}

/// Reports the parts of `value` that do not follow `schema` and removes them, so that the rest can
/// still be read and checked. False when `value` itself does not follow it.
pub(crate) fn prune(schema: &Value, value: &mut toml::Value, key: &str, out: &mut Violations) -> bool {
    let before = out.len();
    match Shape::of(schema) {
        Shape::Table { keys, others } => {
            let toml::Value::Table(table) = value else {
                out.push(key, format!("must be a table, not {}", a(value)));
                return false;
            };
            prune_table(schema, keys, others, table, key, out);
            return true;
        }
        Shape::List(items) => match (value.as_array_mut(), items) {
            (Some(list), Some(items)) => {
                for (index, item) in list.iter_mut().enumerate() {
                    prune(items, item, &format!("{key}[{index}]"), out);
                }
            }
            (Some(_), None) => {}
            (None, _) => out.push(key, format!("must be a list, not {}", a(value))),
        },
        Shape::Choice(choices) => {
            if !value.as_str().is_some_and(|text| choices.contains(&text)) {
                out.push(key, format!("must be one of {}", quoted(&choices)));
            }
        }
        Shape::Scalar(types) => prune_scalar(schema, &types, value, key, out),
        Shape::Either(branches) => {
            if let Some(branch) = branch(&branches, value, key, out) {
                return prune(branch, value, key, out);
            }
        }
        Shape::Anything => {}
    }
    out.len() == before
}

fn prune_table(
    schema: &Value,
    keys: Option<&Map<String, Value>>,
    others: Option<&Value>,
    table: &mut toml::Table,
    at: &str,
    out: &mut Violations,
) {
    let known = |name: &str| keys.and_then(|keys| keys.get(name)).or(others);
    table.retain(|name, value| {
        let key = format!("{at}.{name}");
        if let Some(schema) = known(name) {
            return prune(schema, value, &key, out);
        }
        let names: Vec<_> = keys.into_iter().flat_map(Map::keys).map(String::as_str).collect();
        out.push(key, format!("is not a known key; known here: {}", names.join(", ")));
        false
    });
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !table.contains_key(name) && !out.iter().any(|violation| violation.at == format!("{at}.{name}")) {
            out.push(format!("{at}.{name}"), "is missing; set it");
        }
    }
}

fn prune_scalar(schema: &Value, types: &[&str], value: &toml::Value, key: &str, out: &mut Violations) {
    let fits = types.iter().any(|wanted| match *wanted {
        "string" => value.is_str(),
        "boolean" => value.is_bool(),
        "integer" => value.is_integer(),
        "number" => value.is_integer() || value.is_float(),
        _ => true,
    });
    if !fits {
        out.push(key, format!("must be {}, not {}", types.join(" or "), a(value)));
        return;
    }
    let Some(number) = value.as_float().or(value.as_integer().map(|integer| integer as f64)) else { return };
    if let Some(least) = schema["minimum"].as_f64().filter(|least| number < *least) {
        out.push(key, format!("must be at least {least}, not {number}"));
    }
    if let Some(most) = schema["maximum"].as_f64().filter(|most| number > *most) {
        out.push(key, format!("must be at most {most}, not {number}"));
    }
}

/// The branch that the table's own tag chooses, such as `kind = "kafka"`. Without a tag, or where
/// the tag fits several branches, serde chooses.
fn branch<'a>(branches: &[&'a Value], value: &toml::Value, key: &str, out: &mut Violations) -> Option<&'a Value> {
    let table = value.as_table()?;
    let tag = branches.iter().find_map(|branch| tags(branch).next().map(|(name, _)| name))?;
    let choices: Vec<_> = branches.iter().flat_map(|branch| tags(branch)).filter(|(name, _)| *name == tag).collect();
    let chosen = table.get(tag).and_then(toml::Value::as_str);
    let fitting: Vec<_> = branches
        .iter()
        .filter(|branch| tags(branch).any(|(name, value)| name == tag && Some(value) == chosen))
        .collect();
    match fitting.as_slice() {
        [only] => Some(only),
        [] => {
            let values: Vec<_> = choices.into_iter().map(|(_, value)| value).collect();
            out.push(format!("{key}.{tag}"), format!("must be one of {}", quoted(&values)));
            None
        }
        _ => None,
    }
}

/// Keys of a table that may have one text only.
fn tags(schema: &Value) -> impl Iterator<Item = (&str, &str)> {
    let keys = schema["properties"].as_object().into_iter().flatten();
    keys.filter_map(|(name, schema)| Some((name.as_str(), schema.get("const")?.as_str()?)))
}

fn choices(schema: &Value) -> Option<Vec<&str>> {
    if let Some(only) = schema.get("const") {
        return only.as_str().map(|only| vec![only]);
    }
    let choices = schema.get("enum")?.as_array()?;
    Some(choices.iter().filter_map(Value::as_str).collect())
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => {
            several.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect()
        }
        _ => Vec::new(),
    }
}

fn quoted(texts: &[&str]) -> String {
    texts.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", ")
}

/// A value's type with its article. The value itself is never told: it may be a secret in the wrong
/// place.
fn a(value: &toml::Value) -> &'static str {
    match value {
        toml::Value::String(_) => "a string",
        toml::Value::Integer(_) => "an integer",
        toml::Value::Float(_) => "a number",
        toml::Value::Boolean(_) => "a boolean",
        toml::Value::Datetime(_) => "a date",
        toml::Value::Array(_) => "a list",
        toml::Value::Table(_) => "a table",
    }
}
