//! Versions of one record read each other, both ways: services are upgraded one at a time, and
//! records stay for months.
//!
//! Two rules, held over every pair of versions: Avro's own compatibility check, and the codec's
//! stricter one (module docs of `codec`): a field that two versions share has the same type in
//! both, one that they do not share has a default.

use apache_avro::schema::{Schema, UnionSchema};
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use precis_schemas::all;
use serde_json::{Value, json};

#[test]
fn every_version_reads_every_other() {
    for old in all() {
        for new in all().iter().filter(|new| new.name == old.name && new.version > old.version) {
            let problems = problems(old.json, new.json);
            assert_eq!(problems, Vec::<String>::new(), "{} v{} and v{}", old.name, old.version, new.version);
        }
    }
}

/// The rules bite: the history is short, so they are tried on changes to the newest schemas.
#[test]
fn changes_that_break_a_reader_are_found() {
    let document: Value = serde_json::from_str(precis_schemas::schema_json("document").unwrap()).unwrap();
    let old = document.to_string();
    let changed = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut new = document.clone();
        change(new["fields"].as_array_mut().unwrap());
        problems(&old, &new.to_string())
    };
    let field = |fields: &[Value], name: &str| fields.iter().position(|field| field["name"] == name).unwrap();

    assert_eq!(changed(&|_| {}), Vec::<String>::new());
    assert_eq!(
        changed(&|fields| fields.push(json!({"name": "extra", "type": "string", "default": "", "doc": "More."}))),
        Vec::<String>::new(),
        "a new field with a default is fine"
    );
    assert_ne!(
        changed(&|fields| fields.push(json!({"name": "extra", "type": "string", "doc": "More."}))),
        Vec::<String>::new(),
        "a new field without a default"
    );
    assert_ne!(
        changed(&|fields| {
            let position = field(fields, "document_id");
            fields.remove(position);
        }),
        Vec::<String>::new(),
        "a field gone that had no default"
    );
    assert_ne!(
        changed(&|fields| {
            let position = field(fields, "priority");
            fields[position]["type"] = json!("long");
        }),
        Vec::<String>::new(),
        "a type changed, though Avro can promote it one way"
    );
    assert_ne!(
        changed(&|fields| {
            let position = field(fields, "purpose");
            fields[position]["type"]["symbols"].as_array_mut().unwrap().push(json!("rehearsal"));
        }),
        Vec::<String>::new(),
        "a symbol that old readers do not know"
    );
}

fn problems(old: &str, new: &str) -> Vec<String> {
    let (old, new) = (Schema::parse_str(old).unwrap(), Schema::parse_str(new).unwrap());
    let mut problems = Vec::new();
    match SchemaCompatibility::mutual_read(&old, &new) {
        Ok(Compatibility::Full) => {}
        Ok(Compatibility::Partial) => problems.push("avro: some values cannot be read".to_owned()),
        Err(error) => problems.push(format!("avro: {error}")),
    }
    compare(&old, &new, "", &mut problems);
    problems
}

/// The codec's own rule.
fn compare(old: &Schema, new: &Schema, at: &str, problems: &mut Vec<String>) {
    match (old, new) {
        (Schema::Record(old), Schema::Record(new)) => {
            for field in &old.fields {
                let at = format!("{at}.{}", field.name);
                match new.fields.iter().find(|other| other.name == field.name) {
                    Some(other) => compare(&field.schema, &other.schema, &at, problems),
                    None if field.default.is_none() => problems.push(format!("{at} was removed and had no default")),
                    None => {}
                }
            }
            for field in &new.fields {
                if field.default.is_none() && !old.fields.iter().any(|other| other.name == field.name) {
                    problems.push(format!("{at}.{} was added without a default", field.name));
                }
            }
        }
        (Schema::Array(old), Schema::Array(new)) => compare(&old.items, &new.items, at, problems),
        (Schema::Map(old), Schema::Map(new)) => compare(&old.types, &new.types, at, problems),
        (Schema::Union(old), Schema::Union(new)) if same_length(old, new) => {
            for (old, new) in old.variants().iter().zip(new.variants()) {
                compare(old, new, at, problems);
            }
        }
        (Schema::Enum(old), Schema::Enum(new)) if old.symbols == new.symbols => {}
        (Schema::Ref { name: old }, Schema::Ref { name: new }) if old == new => {}
        (old, new) if old == new && !matches!(old, Schema::Enum(_)) => {}
        _ => problems.push(format!("{at} changed its type")),
    }
}

fn same_length(old: &UnionSchema, new: &UnionSchema) -> bool {
    old.variants().len() == new.variants().len()
}
