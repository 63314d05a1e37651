//! Records to bytes and back: Avro single-object encoding.
//!
//! ```text
//! C3 01 | 8 bytes: CRC-64-AVRO of the writer's schema in parsing canonical form, little-endian | datum
//! ```
//!
//! **Decoding** finds the writer's schema by its fingerprint and reads the datum straight into the
//! newest Rust type. A field that an older version lacks takes its default, and a field that the
//! newest version lacks is skipped. That is Avro's schema resolution under the rule that
//! `tests/suite/compatibility.rs` enforces: between versions a field is added or removed, with a
//! default, and never changes its type.
//!
//! Anyone who may write to a topic can send any bytes, so input is hostile until decoded. Decoding
//! never panics, trusts no length ([`MAX_ALLOCATION_BYTES`]) and no number of items
//! ([`AvroRecord::MAX_ITEMS`]), takes no byte beyond the datum (a longer input is malformed), and
//! names the fault without repeating its input.

use std::sync::Once;

use apache_avro::error::Details;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::registry::{self, Parsed};

mod items;

/// A record with a schema of its own.
///
/// Only records whose `.avsc` files this crate holds can be encoded.
pub trait AvroRecord: Serialize + DeserializeOwned + 'static {
    /// Name of the record, such as `document`: its folder under `schemas/avro`.
    const NAME: &'static str;
    /// The newest version of its schema, which [`encode`] writes.
    const VERSION: u32;
    /// The most items that all arrays and maps of one record may have together: a record with more
    /// is malformed. Many times what any record has that Précis writes.
    const MAX_ITEMS: usize = 10_000;

    /// Approximate size when encoded, bytes: the room that [`encode`] begins with.
    fn size_hint(&self) -> usize {
        512
    }
}

/// Name of the Kafka header with the schema of a value, for people and tools. Decoding goes by the
/// fingerprint alone.
pub const SCHEMA_HEADER: &str = "precis-schema";

/// Content of [`SCHEMA_HEADER`] for values that [`encode`] writes, such as `document.v1`.
pub fn schema_header<T: AvroRecord>() -> String {
    format!("{}.v{}", T::NAME, T::VERSION)
}

/// The same for a single object as it is, whichever version it was written with; `None` where this
/// build does not know its schema.
pub fn schema_header_of(bytes: &[u8]) -> Option<String> {
    let (header, _) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [_, _, fingerprint @ ..] = *header;
    let schema = registry::by_fingerprint(fingerprint).filter(|_| header.starts_with(&MAGIC))?;
    Some(format!("{}.v{}", schema.file.name, schema.file.version))
}

/// Upper bound on what one length prefix may make the decoder allocate. The largest record is 2
/// MiB; 64 MiB leaves room for records read from the object store and still fits many times into a
/// small machine.
pub const MAX_ALLOCATION_BYTES: usize = 64 * 1024 * 1024;

const MAGIC: [u8; 2] = [0xC3, 0x01];
const HEADER_BYTES: usize = 10;

/// Reason why bytes are no record. Every variant is the sender's fault, and no retry helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes do not start like a single object.
    #[error(
        "not an avro single object: a {record} must start with the bytes c3 01 and its schema's fingerprint; see \
         schemas/README.md"
    )]
    NotSingleObject {
        /// Name of the record expected.
        record: &'static str,
    },
    /// No schema of this build has that fingerprint.
    #[error(
        "unknown schema: no schema of this build has the fingerprint {fingerprint}, expected a {record}; use a released \
         .avsc file, or upgrade this service if the schema is newer"
    )]
    UnknownSchema {
        /// Name of the record expected.
        record: &'static str,
        /// The fingerprint found, hexadecimal in the order of the bytes.
        fingerprint: String,
    },
    /// The bytes are another record.
    #[error("wrong record: expected a {expected}, found a {found}; check which topic it was sent to")]
    WrongRecord {
        /// Name of the record expected.
        expected: &'static str,
        /// Name of the record found.
        found: &'static str,
    },
    /// The datum does not follow the schema that it claims.
    #[error("malformed record: not a valid {schema}: {problem}; write it with the schema whose fingerprint it carries")]
    Malformed {
        /// Record and version, such as `document.v1`.
        schema: String,
        /// The fault; never content of the record.
        problem: &'static str,
    },
}

impl CodecError {
    /// Stable name of the failure, for metrics, dead letters and runbooks.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotSingleObject { .. } => "not_single_object",
            Self::UnknownSchema { .. } => "unknown_schema",
            Self::WrongRecord { .. } => "wrong_record",
            Self::Malformed { .. } => "malformed_record",
        }
    }
}

/// `record` as a single object, written with the newest schema.
///
/// # Errors
/// [`CodecError::Malformed`] when a value does not fit its schema; with the types of this crate
/// that is a bug here.
pub fn encode<T: AvroRecord>(record: &T) -> Result<Vec<u8>, CodecError> {
    let schema = registry::by_version(T::NAME, T::VERSION).ok_or_else(|| CodecError::Malformed {
        schema: schema_header::<T>(),
        problem: "this build has no such schema",
    })?;
    let mut bytes = Vec::with_capacity(record.size_hint());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&schema.fingerprint);
    match schema.writer.write_ser(&mut bytes, record) {
        Ok(_) => Ok(bytes),
        Err(_) => Err(malformed(schema, "a value does not fit its field")),
    }
}

/// The record in `bytes`, written with any version of its schema that this build knows.
///
/// # Errors
/// See [`CodecError`]; `bytes` may be anything.
pub fn decode<T: AvroRecord>(bytes: &[u8]) -> Result<T, CodecError> {
    limit_allocations();
    let (header, mut datum) = bytes
        .split_first_chunk::<HEADER_BYTES>()
        .filter(|(header, _)| header.starts_with(&MAGIC))
        .ok_or(CodecError::NotSingleObject { record: T::NAME })?;
    let [_, _, fingerprint @ ..] = *header;
    let schema = registry::by_fingerprint(fingerprint)
        .ok_or_else(|| CodecError::UnknownSchema { record: T::NAME, fingerprint: hexadecimal(fingerprint) })?;
    if schema.file.name != T::NAME {
        return Err(CodecError::WrongRecord { expected: T::NAME, found: schema.file.name });
    }
    items::check(schema.schema, datum, T::MAX_ITEMS)
        .map_err(|items::TooMany| malformed(schema, "it has more items than a record may have"))?;
    let record = schema.reader.read_deser(&mut datum).map_err(|error| malformed(schema, problem(error.details())))?;
    if datum.is_empty() { Ok(record) } else { Err(malformed(schema, "bytes are left over after its last field")) }
}

/// Sets the allocation limit of the process, once. Avro's own limit is 512 MiB.
fn limit_allocations() {
    static LIMIT: Once = Once::new();
    LIMIT.call_once(|| {
        apache_avro::util::max_allocation_bytes(MAX_ALLOCATION_BYTES);
    });
}

fn malformed(schema: &Parsed, problem: &'static str) -> CodecError {
    CodecError::Malformed { schema: format!("{}.v{}", schema.file.name, schema.file.version), problem }
}

/// A fixed text for each kind of failure, since the library's own texts may quote the input.
fn problem(details: &Details) -> &'static str {
    match details {
        Details::ReadBytes(_)
        | Details::ReadVariableIntegerBytes(_)
        | Details::ReadFloat(_)
        | Details::ReadDouble(_) => "it ends too early",
        Details::ConvertToUtf8(_) => "a string is not utf-8",
        Details::MemoryAllocation { .. } => "a length is beyond the allocation limit",
        Details::IntegerOverflow | Details::ZagI32(..) | Details::ConvertI64ToUsize(..) => "a number is out of range",
        Details::GetUnionVariant { .. } | Details::ConvertI32ToUsize(..) | Details::EnumSymbolIndex { .. } => {
            "a branch or symbol that the schema does not have"
        }
        _ => "a value does not fit its field",
    }
}

fn hexadecimal(bytes: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(bytes))
}
