//! Encoded records decode to themselves; fields that an older version lacks take the schema's
//! default.

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Schema, from_value};
use precis_schemas::codec::*;
use precis_schemas::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;

use crate::samples::{Sample, for_each_record};

/// Full: every field set. Bare: every optional field left out.
#[test]
fn every_record_survives_full_and_bare() {
    fn check<T: Sample>() {
        for record in [T::full(), T::bare()] {
            let bytes = encode(&record).unwrap();
            assert_eq!(decode::<T>(&bytes).unwrap(), record);
        }
        assert_ne!(T::full(), T::bare());
    }
    for_each_record!(check);
}

#[test]
fn every_record_survives_json() {
    fn check<T: Sample>() {
        for record in [T::full(), T::bare()] {
            let json = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<T>(&json).unwrap(), record);
        }
    }
    for_each_record!(check);
}

/// An imaginary older version: the schema without any field that has a default, in nested records
/// too.
#[test]
fn fields_that_a_writer_does_not_know_take_the_schemas_defaults() {
    fn check<T: Sample>() {
        let json: Value = serde_json::from_str(schema_json(T::NAME).unwrap()).unwrap();
        // Without logical types: the library cannot resolve a decimal of fewer bytes than its
        // precision could fill.
        let json = without_logical_types(&json);
        let new = Schema::parse_str(&json.to_string()).unwrap();
        let mut kept = Vec::new();
        let old = Schema::parse_str(&without_defaults(&json, &mut kept).to_string()).unwrap();
        for record in [T::full(), T::bare()] {
            let bytes = encode(&record).unwrap();
            let value = GenericDatumReader::builder(&new).build().unwrap().read_value(&mut &bytes[10..]).unwrap();
            let writer = GenericDatumWriter::builder(&old).build().unwrap();
            let datum = writer.write_value_to_vec(only(value, &kept)).unwrap();

            let ours: T = GenericDatumReader::builder(&old).build().unwrap().read_deser(&mut &datum[..]).unwrap();
            let avros = GenericDatumReader::builder(&old).reader_schema(&new).build().unwrap();
            let avros: T = from_value(&avros.read_value(&mut &datum[..]).unwrap()).unwrap();
            assert_eq!(ours, avros, "{}: serde's defaults differ from the schema's", T::NAME);
            if record == T::bare() {
                assert_eq!(ours, record, "{}: the bare sample has a default that differs", T::NAME);
            }
        }
    }
    for_each_record!(check);
}

/// A field without a default in the schema has none in Rust.
#[test]
fn fields_without_a_default_are_required() {
    fn check<T: Sample>() {
        let schema: Value = serde_json::from_str(schema_json(T::NAME).unwrap()).unwrap();
        for field in schema["fields"].as_array().unwrap() {
            let name = field["name"].as_str().unwrap();
            let mut record = serde_json::to_value(T::full()).unwrap();
            assert!(record.as_object_mut().unwrap().remove(name).is_some(), "{}.{name}", T::NAME);
            let read = serde_json::from_value::<T>(record);
            assert_eq!(read.is_ok(), field.get("default").is_some(), "{}.{name}", T::NAME);
        }
    }
    for_each_record!(check);
}

fn without_logical_types(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(without_logical_types).collect(),
        Value::Object(object) if object.contains_key("logicalType") => object["type"].clone(),
        Value::Object(object) => {
            Value::Object(object.iter().map(|(key, value)| (key.clone(), without_logical_types(value))).collect())
        }
        other => other.clone(),
    }
}

/// Records drop their fields with a default; `kept` collects the names of the others.
fn without_defaults(schema: &Value, kept: &mut Vec<String>) -> Value {
    match schema {
        Value::Array(branches) => branches.iter().map(|branch| without_defaults(branch, kept)).collect(),
        Value::Object(object) => {
            let mut object = object.clone();
            if let Some(fields) = object.get("fields").and_then(Value::as_array) {
                let fields: Vec<_> = fields.iter().filter(|field| field.get("default").is_none()).cloned().collect();
                kept.extend(fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()));
                object.insert("fields".to_owned(), fields.into());
            }
            for key in ["type", "items", "values", "fields"] {
                if let Some(inner) = object.get(key).filter(|inner| !inner.is_string()) {
                    let inner = without_defaults(inner, kept);
                    object.insert(key.to_owned(), inner);
                }
            }
            Value::Object(object)
        }
        other => other.clone(),
    }
}

fn only(value: Avro, kept: &[String]) -> Avro {
    match value {
        Avro::Record(fields) => Avro::Record(
            fields
                .into_iter()
                .filter(|(name, _)| kept.contains(name))
                .map(|(name, value)| (name, only(value, kept)))
                .collect(),
        ),
        Avro::Array(items) => Avro::Array(items.into_iter().map(|item| only(item, kept)).collect()),
        Avro::Union(branch, inner) => Avro::Union(branch, Box::new(only(*inner, kept))),
        other => other,
    }
}

#[test]
fn symbols_are_named_alike_in_rust_json_and_avro() {
    macro_rules! check {
        ($record:literal, $($variant:expr),*) => {{
            let schema = schema_json($record).unwrap();
            $(
                let name = $variant.as_str();
                assert_eq!(serde_json::to_string(&$variant).unwrap(), format!("\"{name}\""));
                assert!(schema.contains(&format!("\"{name}\"")), "{name} in {}", $record);
            )*
        }};
    }
    check!("document", Format::Paragraph, Format::Bullets);
    check!("document", Purpose::Production, Purpose::Shadow, Purpose::Evaluation, Purpose::Canary);
    check!("document", Sensitivity::Public, Sensitivity::Internal, Sensitivity::Confidential, Sensitivity::Restricted);
    check!("outcome", Status::Answered, Status::Flagged, Status::Failed, CacheLayer::None, CacheLayer::Exact);
    check!("escalation", TrialResult::FailedChecks, TrialResult::Refused);
    check!("tier_switch", SwitchState::On, SwitchState::Off, SwitchState::Drain);
    check!("ledger_settlement", SettlementResult::Billed, SettlementResult::NotBilled, SettlementResult::Unknown);
}

#[test]
fn more_restricted_labels_are_greater() {
    assert!(Sensitivity::Public < Sensitivity::Internal);
    assert!(Sensitivity::Internal < Sensitivity::Confidential);
    assert!(Sensitivity::Confidential < Sensitivity::Restricted);
}

prop_compose! {
    fn document()(
        (document_id, tenant, text, title) in (any::<String>(), any::<Option<String>>(), any::<Option<String>>(), any::<Option<String>>()),
        (revision, submitted_at, deadline, priority) in (any::<i64>(), any::<i64>(), any::<Option<i64>>(), any::<i32>()),
        sensitivity in option::of(prop_oneof![Just(Sensitivity::Public), Just(Sensitivity::Restricted)]),
        (subject_ids, critical, max_words) in (vec(any::<String>(), 0..4), any::<bool>(), any::<Option<i32>>()),
        body in option::of((any::<String>(), any::<String>(), any::<i64>())),
        format in prop_oneof![Just(Format::Paragraph), Just(Format::Bullets)],
    ) -> Document {
        let body = body.map(|(key, sha256, size_bytes)| BodyReference { key, sha256, size_bytes });
        Document {
            revision, tenant, text, title, deadline, priority, sensitivity, subject_ids, critical, max_words, body, format,
            ..Document::new(document_id, submitted_at)
        }
    }
}

prop_compose! {
    fn checks()(checks in vec((any::<String>(), any::<bool>(), any::<Option<f64>>(), any::<String>()), 0..5)) -> Vec<CheckResult> {
        checks.into_iter().map(|(name, passed, value, detail)| CheckResult { name, passed, value, detail }).collect()
    }
}

prop_compose! {
    fn outcome()(
        status in prop_oneof![Just(Status::Answered), Just(Status::Flagged), Just(Status::Failed)],
        (summary, code, tier, has_model) in (any::<Option<String>>(), any::<Option<String>>(), any::<Option<String>>(), any::<bool>()),
        (words_in, input_tokens, nanos) in (any::<i32>(), any::<i64>(), -999_999_999_999_999_999_i64..=999_999_999_999_999_999),
        (checks, trials, thresholds) in (checks(), 0..3_usize, prop::collection::btree_map(any::<String>(), any::<f64>(), 0..4)),
        (has_decision, critical, score) in (any::<bool>(), any::<bool>(), any::<f64>()),
    ) -> Outcome {
        let full = Outcome::full();
        Outcome {
            status, summary, code, tier, words_in, input_tokens, checks, critical,
            model: full.model.filter(|_| has_model),
            trail: std::iter::repeat_n(full.trail[0].clone(), trials).collect(),
            decision: full.decision.filter(|_| has_decision).map(|decision| Decision { score, thresholds, ..decision }),
            cost: Usd::from_nanos(nanos).unwrap(),
            ..full
        }
    }
}

proptest! {
    #[test]
    fn any_document_survives(document in document()) {
        prop_assert_eq!(decode::<Document>(&encode(&document).unwrap()).unwrap(), document);
    }

    #[test]
    fn any_outcome_survives(outcome in outcome()) {
        prop_assert_eq!(decode::<Outcome>(&encode(&outcome).unwrap()).unwrap(), outcome);
    }

    /// Two encodings of one record are the same bytes: results in the object store and on the topic
    /// are compared so.
    #[test]
    fn encoding_is_deterministic(outcome in outcome()) {
        prop_assert_eq!(encode(&outcome).unwrap(), encode(&outcome.clone()).unwrap());
    }
}
