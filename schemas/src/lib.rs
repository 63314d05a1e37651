//! Every record that crosses a topic or is kept in the object store: its Avro schema, its Rust type
//! and the codec between the two.
//!
//! The `.avsc` files under `schemas/avro` are the contract with other Kafka clients; the Rust types
//! follow them. On the wire a record is an Avro *single object*: `C3 01`, the CRC-64-AVRO
//! fingerprint of its writer's schema, the datum. No registry is needed to read one, and a record
//! of any version that this build knows decodes into the newest type.
//!
//! How schemas may change, and how a client in another language writes one: `schemas/README.md`.

mod canonical;
pub mod codec;
pub mod codes;
mod records;
mod registry;
mod usd;

pub use codec::{AvroRecord, CodecError};
pub use records::{
    Answer, AuditRecord, BodyReference, CacheLayer, CheckResult, DeadLetter, DeadLetterAction, Decision, Document,
    Escalation, Evaluation, EvaluationRequest, EvaluationStatus, Exclusion, Format, JudgeScores, LedgerAttempt,
    LedgerSettlement, ModelIdentity, Origin, Outcome, PolicyApplied, PrecisionRecall, Purpose, RecordHeader,
    ReferenceScores, Rouge, RoutedDocument, Scores, Sensitivity, SettlementResult, Status, SwitchState, TierSwitch,
    Trial, TrialResult,
};
pub use registry::{SchemaFile, all, schema_json};
pub use usd::Usd;

/// A point in time: milliseconds since 1970-01-01 00:00 UTC, as Avro's `timestamp-millis`.
pub type Millis = i64;
