//! The log, the stage and the table.
//!
//! - [`Log`]: topics, partitions and groups, embedded in this machine or on Kafka, behind one small
//!   trait; [`open`] gives the one that the configuration names.
//! - [`run_stage`]: consume → process → produce, exactly once: a service writes a [`Processor`].
//! - [`Table`]: a compacted topic, followed, with its age.
//!
//! This is the only crate that knows rdkafka and SQLite, and nothing but its committers commits an
//! offset or a transaction. One contract suite, in `tests/`, runs on both logs.

mod config;
mod embedded;
mod error;
mod kafka;
mod log;
pub mod member;
mod open;
mod stage;
mod table;
mod values;

pub use config::{
    Compression, EmbeddedConfig, GroupProtocol, KafkaConfig, LogConfig, LogKind, Protocol, SaslMechanism,
    SecurityConfig,
};
pub use precis_schemas::codes::Fault;

pub use error::{Class, FlowError};
pub use log::{
    Change, ExclusiveWriter, Log, PartitionLag, PartitionStatus, ReadStart, Reader, TopicChange, TopicSpec, TopicStatus,
};
pub use open::open;
pub use stage::{
    Attempt, AttemptMarkers, CODE_HEADER, CRASH_SUSPECT, DeadLetterStore, Delivery, MAX_OUTPUT_BYTES, OFFSET_HEADER,
    PARTITION_HEADER, Processor, RejectBreaker, Rejection, Returns, STAGE_HEADER, Scope, StageConfig, StageError,
    TOPIC_HEADER, run_stage,
};
pub use table::{Table, TableChanges};
pub use values::{
    ATTEMPTS_HEADER, CONTROL_HEADER_PREFIX, Headers, MAX_RECORD_BYTES, ORIGIN_HEADER, Output, PartitionId, Position,
    Record, Subscription,
};
