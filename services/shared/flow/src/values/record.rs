//! The values that go through the log: records read, outputs written, and the headers both carry.
//!
//! Bytes are never interpreted here, only made. A header without a value and one with an empty
//! value are the same thing to this crate, and a null value is a tombstone, which is not the same
//! as an empty one.

use std::fmt;
use std::sync::Arc;

use precis_schemas::codec::{self, AvroRecord, CodecError};

/// Header with the number of earlier deliveries of a re-enqueued record.
pub const ATTEMPTS_HEADER: &str = "precis-attempts";
/// Header with the position of the first copy of a re-enqueued or replayed record:
/// `topic/partition/offset`.
pub const ORIGIN_HEADER: &str = "precis-origin";
/// How the names of the headers begin that say how a record is treated. They are believed only on
/// records of topics that nobody else writes. `precis-schema` is none of them: anybody may write
/// it.
pub const CONTROL_HEADER_PREFIX: &str = "precis-";

/// What one record costs in memory beside its key, value and headers: an estimate that keeps many
/// tiny records from being free.
const RECORD_OVERHEAD_BYTES: usize = 128;

/// What one header costs in memory beside its bytes: two allocations and where they are. A record
/// of one mebibyte can have a quarter of a million empty ones.
const HEADER_OVERHEAD_BYTES: usize = 64;

/// Longest name of a topic, bytes.
const MAX_TOPIC_BYTES: usize = 249;

/// Ordered headers; a name may occur more than once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header at the end, also when the name is there already.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.0.push((name.into(), value.into()));
    }

    /// The same headers and one more: for building in one expression.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.push(name, value);
        self
    }

    /// Replaces every header of this name by one.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        let name = name.into();
        self.remove(&name);
        self.push(name, value);
    }

    /// Removes every header of this name.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(existing, _)| existing != name);
    }

    /// The same headers without those that say how a record is treated: for the copy of a record
    /// that others wrote, where such headers would be believed.
    #[must_use]
    pub fn without_control(&self) -> Self {
        let is_control = |name: &str| name.starts_with(CONTROL_HEADER_PREFIX) && name != codec::SCHEMA_HEADER;
        Self(self.0.iter().filter(|(name, _)| !is_control(name)).cloned().collect())
    }

    /// The last header of this name, since whoever forwards a record appends.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().rev().find(|(existing, _)| existing == name).map(|(_, value)| value.as_slice())
    }

    /// The last header of this name when it is UTF-8.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All headers in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// How many headers there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn size_bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

impl fmt::Debug for Headers {
    /// Names and sizes only: header values may hold what a log line must not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, value)| (name, value.len()))).finish()
    }
}

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId {
    /// Topic name.
    pub topic: Arc<str>,
    /// Partition number.
    pub partition: i32,
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// Where a record lies: the name by which it is known for ever. Displayed and parsed as
/// `topic/partition/offset`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Topic name.
    pub topic: Arc<str>,
    /// Partition number.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
}

impl Position {
    /// Reads `topic/partition/offset`; by Kafka's rules a topic name has no slash in it and at most
    /// 249 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, offset) = text.rsplit_once('/')?;
        let (topic, partition) = rest.rsplit_once('/')?;
        let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
        ((1..=MAX_TOPIC_BYTES).contains(&topic.len()) && partition >= 0 && offset >= 0).then(|| Self {
            topic: topic.into(),
            partition,
            offset,
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// A record as it lies in the log.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Topic name.
    pub topic: Arc<str>,
    /// Partition number.
    pub partition: i32,
    /// Offset in the partition. Offsets rise but are not dense.
    pub offset: i64,
    /// When the record was written: milliseconds since 1970 UTC.
    pub timestamp_ms: i64,
    /// Records of one topic with one key keep their order.
    pub key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Ordered headers.
    pub headers: Headers,
}

impl Record {
    /// The partition it lies in.
    pub fn partition_id(&self) -> PartitionId {
        PartitionId { topic: Arc::clone(&self.topic), partition: self.partition }
    }

    /// Where it lies.
    pub fn position(&self) -> Position {
        Position { topic: Arc::clone(&self.topic), partition: self.partition, offset: self.offset }
    }

    /// Where its first copy lay, as its header `precis-origin` says; its own position when the
    /// header is absent or no position. To be believed only where nobody else writes the topic.
    pub fn claimed_origin(&self) -> Position {
        self.headers.get_str(ORIGIN_HEADER).and_then(Position::parse).unwrap_or_else(|| self.position())
    }

    /// Earlier deliveries, as its header `precis-attempts` says; 0 when the header is absent or no
    /// number. To be believed only where nobody else writes the topic.
    pub fn claimed_attempts(&self) -> u32 {
        self.headers.get_str(ATTEMPTS_HEADER).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// What it takes in memory, roughly.
    pub fn size_bytes(&self) -> usize {
        size_bytes(self.key.as_deref(), self.value.as_deref(), &self.headers)
            + self.headers.len() * HEADER_OVERHEAD_BYTES
    }
}

impl fmt::Debug for Record {
    /// Sizes instead of bytes: a document must not end up in a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("position", &format_args!("{}", self.position()))
            .field("key_bytes", &self.key.as_ref().map(Vec::len))
            .field("value_bytes", &self.value.as_ref().map(Vec::len))
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// A record to be written.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Topic name; the topic must exist.
    pub topic: String,
    /// Chooses the partition (murmur2, as Java clients do) unless `partition` does. Without either,
    /// any partition.
    pub key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Ordered headers.
    pub headers: Headers,
    /// The partition, when the key must not choose: a re-enqueued record stays in its own,
    /// whichever partitioner its publisher used.
    pub partition: Option<i32>,
}

impl Output {
    /// An output without key, value and headers.
    pub fn to(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), ..Self::default() }
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the value.
    #[must_use]
    pub fn value(mut self, value: impl Into<Vec<u8>>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Sets the value, and the header that names its schema.
    ///
    /// # Errors
    /// The codec's.
    pub fn record<T: AvroRecord>(self, record: &T) -> Result<Self, CodecError> {
        Ok(self.value(codec::encode(record)?).header(codec::SCHEMA_HEADER, codec::schema_header::<T>()))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// What it takes in memory, and, within a few bytes a header, as a record in the log.
    pub fn size_bytes(&self) -> usize {
        size_bytes(self.key.as_deref(), self.value.as_deref(), &self.headers)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("key_bytes", &self.key.as_ref().map(Vec::len))
            .field("value_bytes", &self.value.as_ref().map(Vec::len))
            .field("headers", &self.headers)
            .finish()
    }
}

fn size_bytes(key: Option<&[u8]>, value: Option<&[u8]>, headers: &Headers) -> usize {
    RECORD_OVERHEAD_BYTES + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers.size_bytes()
}

#[cfg(test)]
mod tests;
