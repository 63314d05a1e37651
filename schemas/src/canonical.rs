//! Parsing canonical form of a schema and its fingerprint, by the Avro specification.
//!
//! Implementations disagree on the form of a primitive type with a logical type. The specification
//! strips every other attribute and then writes primitives in their simple form, `"long"`; so do
//! Java, the reference, and fastavro. Apache's Rust and Python libraries stop half-way at
//! `{"type": "long"}`, and compute other fingerprints for most of our schemas. Hence this module,
//! which `tests/golden/fingerprints.txt` compares with fastavro.
//!
//! <https://avro.apache.org/docs/1.12.0/specification/#parsing-canonical-form-for-schemas>

use serde_json::Value;

const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// CRC-64-AVRO of the empty input, and the polynomial.
const EMPTY: u64 = 0xC15D_213A_A4D7_A795;

/// Fingerprint of a schema, in the byte order of the single-object header.
pub(crate) fn fingerprint(schema: &Value) -> [u8; 8] {
    crc_64_avro(form(schema, "").as_bytes()).to_le_bytes()
}

/// The canonical form of a schema inside of `namespace`.
fn form(schema: &Value, namespace: &str) -> String {
    match schema {
        Value::String(name) if PRIMITIVES.contains(&name.as_str()) => quoted(name),
        Value::String(name) => quoted(&full_name(name, namespace)),
        Value::Array(branches) => format!("[{}]", joined(branches, |branch| form(branch, namespace))),
        object => match object["type"].as_str() {
            Some("array") => format!(r#"{{"type":"array","items":{}}}"#, form(&object["items"], namespace)),
            Some("map") => format!(r#"{{"type":"map","values":{}}}"#, form(&object["values"], namespace)),
            Some(kind @ ("record" | "enum" | "fixed")) => named(object, kind, namespace),
            // A primitive with attributes, a reference by name, or a union in `type`.
            _ => form(&object["type"], namespace),
        },
    }
}

fn named(object: &Value, kind: &str, namespace: &str) -> String {
    let namespace = object["namespace"].as_str().unwrap_or(namespace);
    let name = full_name(text(&object["name"]), namespace);
    // Types inside belong to the namespace of the full name.
    let inner = name.rsplit_once('.').map_or("", |(namespace, _)| namespace);
    let rest = match kind {
        "record" => format!(r#""fields":[{}]"#, joined(items(&object["fields"]), |field| member(field, inner))),
        "enum" => format!(r#""symbols":[{}]"#, joined(items(&object["symbols"]), |symbol| quoted(text(symbol)))),
        _ => format!(r#""size":{}"#, object["size"]),
    };
    format!(r#"{{"name":{},"type":"{kind}",{rest}}}"#, quoted(&name))
}

fn member(field: &Value, namespace: &str) -> String {
    format!(r#"{{"name":{},"type":{}}}"#, quoted(text(&field["name"])), form(&field["type"], namespace))
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

/// Quotes a name. Names are of letters, digits, underscores and dots, so nothing is escaped.
fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn joined(items: &[Value], each: impl Fn(&Value) -> String) -> String {
    items.iter().map(each).collect::<Vec<_>>().join(",")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn crc_64_avro(bytes: &[u8]) -> u64 {
    bytes.iter().fold(EMPTY, |crc, byte| {
        // One byte of the table that the specification computes up front.
        let entry = (0..8)
            .fold((crc ^ u64::from(*byte)) & 0xFF, |entry, _| (entry >> 1) ^ (EMPTY & (entry & 1).wrapping_neg()));
        (crc >> 8) ^ entry
    })
}

#[cfg(test)]
mod tests;
