//! Dead letters, and operators' actions on them.

use serde::{Deserialize, Serialize};

use super::document::BodyReference;
use crate::{AvroRecord, Millis};

/// A record that a stage could not process, kept with its raw bytes for operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// stage/topic/partition/offset of the record; the same failure has the same id however often
    /// it is delivered.
    pub id: String,
    /// Stage that rejected it.
    pub stage: String,
    /// Stable code of the reason.
    pub code: String,
    /// The reason for people; holds no document text.
    #[serde(default)]
    pub message: String,
    /// Topic the record was read from.
    pub topic: String,
    /// Partition it was read from.
    pub partition: i32,
    /// Offset it was read at.
    pub offset: i64,
    /// Its key, byte for byte.
    #[serde(default, with = "serde_bytes")]
    pub key: Option<Vec<u8>>,
    /// Its value, byte for byte; `None` when it had none or when `value_ref` is set.
    #[serde(default, with = "serde_bytes")]
    pub value: Option<Vec<u8>>,
    /// Reference to its value, when too large for this message.
    #[serde(default)]
    pub value_ref: Option<BodyReference>,
    /// Its headers in order.
    #[serde(default)]
    pub headers: Vec<RecordHeader>,
    /// Attempts at the record.
    #[serde(default = "one")]
    pub attempts: i32,
    /// Owner, when it could be told.
    #[serde(default)]
    pub tenant: Option<String>,
    /// When it was rejected, UTC.
    pub failed_at: Millis,
}

/// One header of a Kafka record; names may repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordHeader {
    /// Header name.
    pub name: String,
    /// Header value.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
}

/// What an operator did about a dead letter, on dead-letter-actions, compacted by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterAction {
    /// The dead letter's id.
    pub id: String,
    /// What was done: replayed.
    pub action: String,
    /// Who did it.
    pub by: String,
    /// When, UTC.
    pub at: Millis,
    /// Why, in the operator's words.
    #[serde(default)]
    pub reason: String,
}

impl AvroRecord for DeadLetter {
    const NAME: &'static str = "dead_letter";
    const VERSION: u32 = 1;
    // Letters of older versions keep every header of a record.
    const MAX_ITEMS: usize = 1 << 20;
}

impl AvroRecord for DeadLetterAction {
    const NAME: &'static str = "dead_letter_action";
    const VERSION: u32 = 1;
}

fn one() -> i32 {
    1
}
