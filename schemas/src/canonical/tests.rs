use serde_json::json;

use super::*;

/// From the specification's own test data (`schema-tests.txt`): the fingerprint as a signed
/// integer.
#[test]
fn fingerprints_are_those_of_the_specification() {
    for (schema, expected) in [
        (json!("null"), 7_195_948_357_588_979_594_i64),
        (json!("int"), 8_247_732_601_305_521_295),
        (json!({"type": "int"}), 8_247_732_601_305_521_295),
        (json!("string"), -8_142_146_995_180_207_161),
        (json!([]), -1_241_056_759_729_112_623),
    ] {
        assert_eq!(i64::from_le_bytes(fingerprint(&schema)), expected, "{schema}");
    }
}

#[test]
fn everything_but_structure_is_stripped_and_names_are_full() {
    let schema = json!({
        "type": "record", "name": "Outer", "namespace": "a.b", "doc": "Words.", "aliases": ["Old"],
        "fields": [
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 0, "doc": "When."},
            {"name": "cost", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 9}},
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["x", "y"], "default": "x"}},
            {"name": "other", "type": ["null", "Kind"], "order": "ignore"},
            {"name": "far", "type": {"type": "fixed", "name": "c.Far", "size": 16}},
            {"name": "many", "type": {"type": "array", "items": {"type": "map", "values": "a.b.Kind"}}},
        ],
    });
    assert_eq!(
        form(&schema, ""),
        concat!(
            r#"{"name":"a.b.Outer","type":"record","fields":["#,
            r#"{"name":"at","type":"long"},"#,
            r#"{"name":"cost","type":"bytes"},"#,
            r#"{"name":"kind","type":{"name":"a.b.Kind","type":"enum","symbols":["x","y"]}},"#,
            r#"{"name":"other","type":["null","a.b.Kind"]},"#,
            r#"{"name":"far","type":{"name":"c.Far","type":"fixed","size":16}},"#,
            r#"{"name":"many","type":{"type":"array","items":{"type":"map","values":"a.b.Kind"}}}"#,
            "]}"
        )
    );
}
