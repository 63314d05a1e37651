//! The schema files, compiled in, and the parsed form of each with its fingerprint.
//!
//! A file once released is never edited: its fingerprint is in every record ever written with it. A
//! change is a new file with the next version number, added to [`all`].

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;

use crate::canonical;

/// One version of one record's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaFile {
    /// Name of the record, such as `document`.
    pub name: &'static str,
    /// Version, counted from 1.
    pub version: u32,
    /// The schema itself, as published.
    pub json: &'static str,
}

macro_rules! schema_files {
    ($(($name:literal, $version:literal)),* $(,)?) => {
        &[$(SchemaFile {
            name: $name,
            version: $version,
            json: include_str!(concat!("../avro/", $name, "/v", $version, ".avsc")),
        }),*]
    };
}

static FILES: &[SchemaFile] = schema_files![
    ("answer", 1),
    ("answer", 2),
    ("audit_record", 1),
    ("dead_letter", 1),
    ("dead_letter_action", 1),
    ("document", 1),
    ("escalation", 1),
    ("evaluation", 1),
    ("ledger_attempt", 1),
    ("ledger_attempt", 2),
    ("ledger_settlement", 1),
    ("outcome", 1),
    ("outcome", 2),
    ("policy_applied", 1),
    ("routed_document", 1),
    ("routed_document", 2),
    ("tier_switch", 1),
];

/// Every version of every schema, by name, oldest version first.
pub fn all() -> &'static [SchemaFile] {
    FILES
}

/// The newest schema of the record `name`, or `None` when there is no such record.
pub fn schema_json(name: &str) -> Option<&'static str> {
    FILES.iter().rev().find(|file| file.name == name).map(|file| file.json)
}

/// A schema ready for use: parsed, fingerprinted, names resolved.
pub(crate) struct Parsed {
    pub(crate) file: &'static SchemaFile,
    pub(crate) fingerprint: [u8; 8],
    pub(crate) schema: &'static Schema,
    pub(crate) reader: GenericDatumReader<'static>,
    pub(crate) writer: GenericDatumWriter<'static>,
}

static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|file| {
            Schema::parse_str(file.json).expect("every schema file parses: tests/suite/files.rs reads them all")
        })
        .collect()
});

static PARSED: LazyLock<Vec<Parsed>> = LazyLock::new(|| {
    let schemas: &'static [Schema] = &SCHEMAS;
    FILES.iter().zip(schemas).map(|(file, schema)| parse(file, schema)).collect()
});

fn parse(file: &'static SchemaFile, schema: &'static Schema) -> Parsed {
    let json = serde_json::from_str(file.json).expect("it has just been parsed as a schema");
    Parsed {
        file,
        fingerprint: canonical::fingerprint(&json),
        schema,
        reader: GenericDatumReader::builder(schema)
            .human_readable(false)
            .build()
            .expect("a self-contained schema resolves: tests/suite/files.rs reads them all"),
        writer: GenericDatumWriter::builder(schema)
            .human_readable(false)
            .build()
            .expect("a self-contained schema resolves: tests/suite/files.rs reads them all"),
    }
}

/// The schema with this fingerprint.
pub(crate) fn by_fingerprint(fingerprint: [u8; 8]) -> Option<&'static Parsed> {
    PARSED.iter().find(|parsed| parsed.fingerprint == fingerprint)
}

/// The schema of this name and version.
pub(crate) fn by_version(name: &str, version: u32) -> Option<&'static Parsed> {
    PARSED.iter().find(|parsed| parsed.file.name == name && parsed.file.version == version)
}
