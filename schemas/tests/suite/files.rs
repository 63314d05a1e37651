//! The `.avsc` files themselves: complete, documented, consistent, with the fingerprints that
//! others compute.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use apache_avro::Schema;
use precis_schemas::{AvroRecord, CodecError, all, codec, schema_json};
use serde_json::Value;

use crate::samples::for_each_record;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_file_on_disk_is_compiled_in_and_versions_have_no_gaps() {
    let mut on_disk = BTreeSet::new();
    for folder in fs::read_dir(root().join("avro")).unwrap() {
        let folder = folder.unwrap();
        for file in fs::read_dir(folder.path()).unwrap() {
            on_disk.insert(format!("{}/{}", folder.file_name().display(), file.unwrap().file_name().display()));
        }
    }
    let compiled: BTreeSet<_> = all().iter().map(|file| format!("{}/v{}.avsc", file.name, file.version)).collect();
    assert_eq!(compiled, on_disk);

    let mut newest: BTreeMap<&str, u32> = BTreeMap::new();
    for file in all() {
        let version = newest.entry(file.name).or_default();
        assert_eq!(file.version, *version + 1, "{} is listed oldest first, without gaps", file.name);
        *version = file.version;
    }
}

#[test]
fn every_rust_type_writes_the_newest_version_of_its_schema() {
    fn check<T: AvroRecord>() {
        let newest = all().iter().rfind(|file| file.name == T::NAME).unwrap();
        assert_eq!(newest.version, T::VERSION, "{}", T::NAME);
        assert_eq!(schema_json(T::NAME), Some(newest.json));
        assert_eq!(codec::schema_header::<T>(), format!("{}.v{}", T::NAME, T::VERSION));
    }
    for_each_record!(check);
    assert_eq!(schema_json("no_such_record"), None);
}

#[test]
fn every_record_enum_and_field_has_a_doc() {
    fn check(schema: &Value, at: &str) {
        let documented = |value: &Value| value["doc"].as_str().is_some_and(|doc| doc.len() > 3 && doc.ends_with('.'));
        match schema {
            Value::Array(branches) => branches.iter().for_each(|branch| check(branch, at)),
            Value::Object(object) => match object["type"].as_str() {
                Some("record") => {
                    assert!(documented(schema), "{at}: record without a doc");
                    for field in object["fields"].as_array().unwrap() {
                        let at = format!("{at}.{}", field["name"].as_str().unwrap());
                        assert!(documented(field), "{at}: field without a doc");
                        check(&field["type"], &at);
                    }
                }
                Some("enum") => assert!(documented(schema), "{at}: enum without a doc"),
                Some("array") => check(&object["items"], at),
                Some("map") => check(&object["values"], at),
                _ => {}
            },
            _ => {}
        }
    }
    for file in all() {
        check(&serde_json::from_str(file.json).unwrap(), file.name);
    }
}

#[test]
fn a_type_in_several_files_is_the_same_in_all() {
    let mut seen: BTreeMap<String, (&str, Value)> = BTreeMap::new();
    for file in all().iter().filter(|file| schema_json(file.name) == Some(file.json)) {
        let schema: Value = serde_json::from_str(file.json).unwrap();
        let mut named = BTreeMap::new();
        collect_named(&schema, &mut named);
        let resolved: Vec<_> = named.iter().map(|(name, schema)| (name.clone(), resolve(schema, &named))).collect();
        for (name, schema) in resolved {
            let (first, expected) = seen.entry(name.clone()).or_insert_with(|| (file.name, schema.clone()));
            assert_eq!(&schema, expected, "{name} differs between {first} and {}", file.name);
        }
    }
    assert!(seen.contains_key("Trial") && seen.contains_key("Decision") && seen.contains_key("ModelIdentity"));
}

#[test]
fn all_types_live_in_the_namespace_precis() {
    for file in all() {
        let schema = Schema::parse_str(file.json).unwrap();
        assert_eq!(schema.name().unwrap().namespace(), Some("precis"), "{}", file.name);
        assert_eq!(file.json.matches("\"namespace\"").count(), 1, "{}: nested types inherit it", file.name);
    }
}

/// Money is never a float: those that have a cost have it as decimal(18, 9).
#[test]
fn amounts_are_decimals() {
    for file in all() {
        let schema: Value = serde_json::from_str(file.json).unwrap();
        for field in schema["fields"].as_array().unwrap() {
            if ["cost", "reserved"].contains(&field["name"].as_str().unwrap()) {
                assert_eq!(field["type"]["logicalType"], "decimal", "{}", file.name);
                assert_eq!((&field["type"]["precision"], &field["type"]["scale"]), (&18.into(), &9.into()));
            }
        }
    }
}

/// `golden/fingerprints.txt` was written by another Avro implementation. A header alone is a
/// truncated record of just the version that it names.
#[test]
fn fingerprints_are_those_of_another_implementation() {
    fn check<T: AvroRecord + Debug>() {
        let golden = golden_fingerprints();
        let ours = golden.lines().filter_map(|line| line.strip_prefix(T::NAME)?.strip_prefix(".v"));
        let mut versions = 0;
        for (version, fingerprint) in ours.map(|line| line.split_once(' ').unwrap()) {
            let fingerprint = u64::from_str_radix(fingerprint, 16).unwrap().to_be_bytes();
            let header = [&[0xC3, 0x01][..], &fingerprint].concat();
            match codec::decode::<T>(&header).unwrap_err() {
                CodecError::Malformed { schema, .. } => assert_eq!(schema, format!("{}.v{version}", T::NAME)),
                other => panic!("{}.v{version}: {other}", T::NAME),
            }
            versions += 1;
        }
        assert_eq!(versions, T::VERSION, "run tests/golden/make.py for a new version of {}", T::NAME);
    }
    for_each_record!(check);
}

fn golden_fingerprints() -> String {
    fs::read_to_string(root().join("tests/golden/fingerprints.txt")).unwrap()
}

fn collect_named(schema: &Value, out: &mut BTreeMap<String, Value>) {
    match schema {
        Value::Array(branches) => branches.iter().for_each(|branch| collect_named(branch, out)),
        Value::Object(object) => {
            if let Some(name) = object.get("name").and_then(Value::as_str)
                && object.contains_key("type")
                && (object.contains_key("fields") || object.contains_key("symbols"))
            {
                let mut bare = object.clone();
                bare.remove("namespace");
                out.insert(name.to_owned(), Value::Object(bare));
            }
            for key in ["fields", "type", "items", "values"] {
                if let Some(inner) = object.get(key) {
                    collect_named(inner, out);
                }
            }
        }
        _ => {}
    }
}

/// The schema with names of types replaced by the types.
fn resolve(schema: &Value, named: &BTreeMap<String, Value>) -> Value {
    match schema {
        Value::String(name) => named.get(name).map_or_else(|| schema.clone(), |inner| resolve(inner, named)),
        Value::Array(items) => items.iter().map(|item| resolve(item, named)).collect(),
        Value::Object(object) => {
            let resolve_field = |(key, value): (&String, &Value)| {
                let structural = ["type", "items", "values", "fields"].contains(&key.as_str());
                (key.clone(), if structural { resolve(value, named) } else { value.clone() })
            };
            Value::Object(object.iter().map(resolve_field).collect())
        }
        other => other.clone(),
    }
}
