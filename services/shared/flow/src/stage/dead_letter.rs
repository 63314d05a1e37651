//! What a rejected record becomes: a dead letter with its raw bytes and where they came from.

use precis_schemas::{BodyReference, DeadLetter, RecordHeader};
use precis_telemetry::trace::TRACEPARENT;

use super::processor::{Delivery, Rejection};
use crate::error::FlowError;
use crate::values::{ATTEMPTS_HEADER, CONTROL_HEADER_PREFIX, ORIGIN_HEADER, Output, Record};

/// Header of a dead letter: the stable code of the rejection.
pub const CODE_HEADER: &str = "precis-code";
/// Header of a dead letter: the stage that rejected the record.
pub const STAGE_HEADER: &str = "precis-stage";
/// Header of a dead letter: the topic in which the record lies.
pub const TOPIC_HEADER: &str = "precis-topic";
/// Header of a dead letter: the partition in which the record lies.
pub const PARTITION_HEADER: &str = "precis-partition";
/// Header of a dead letter: the offset at which the record lies.
pub const OFFSET_HEADER: &str = "precis-offset";

/// Most headers of a rejected record that its dead letter keeps. A record of one mebibyte may have
/// a quarter of a million empty ones, each of which costs a reader more than it costs the sender.
pub(crate) const MAX_KEPT_HEADERS: usize = 1_000;
/// Longest message of a dead letter, bytes.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// Longest name of a tenant in a dead letter, bytes: nobody has a longer one.
const MAX_TENANT_BYTES: usize = 64;

/// What one header may take beside its name and its value, bytes: two lengths.
const HEADER_FRAMING_BYTES: usize = 10;

/// How much of a rejected record its dead letter holds.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// Where the value lies instead; with an empty key, nowhere but in its topic.
    value_ref: Option<BodyReference>,
    /// Whether the key is kept.
    key: bool,
    /// Which headers are kept, in their order.
    headers: Vec<usize>,
}

impl Kept {
    /// Everything; of endless headers the first.
    pub(crate) fn all(record: &Record) -> Self {
        Self { value_ref: None, key: true, headers: headers_within(record, usize::MAX) }
    }

    /// The same, but for the value, which lies elsewhere.
    pub(crate) fn but_for_value(record: &Record, value_ref: Option<BodyReference>) -> Self {
        Self { value_ref, ..Self::all(record) }
    }

    /// Of key and headers what so many bytes hold: the key goes before the headers.
    #[must_use]
    pub(crate) fn within(self, record: &Record, room: usize) -> Self {
        let key_bytes = record.key.as_ref().map_or(0, Vec::len);
        let key = key_bytes <= room;
        let room = if key { room - key_bytes } else { room };
        Self { key, headers: headers_within(record, room), ..self }
    }

    /// Nothing of key and headers.
    #[must_use]
    pub(crate) fn bare(self) -> Self {
        Self { key: false, headers: Vec::new(), ..self }
    }

    /// A value that no store takes.
    pub(crate) fn nowhere(size: usize) -> BodyReference {
        let size_bytes = i64::try_from(size).unwrap_or(i64::MAX);
        BodyReference { key: String::new(), sha256: String::new(), size_bytes }
    }

    /// What people should know of what is missing.
    fn note(&self, record: &Record) -> String {
        let value = self.value_ref.as_ref().filter(|reference| reference.key.is_empty());
        let value = value.map(|reference| {
            format!("; its value of {} bytes is too large for the store: only its topic has it", reference.size_bytes)
        });
        let key = record.key.as_ref().filter(|_| !self.key);
        let key = key.map(|key| format!("; its key of {} bytes is left out", key.len()));
        let (kept, all) = (self.headers.len(), record.headers.len());
        let headers = (kept < all).then(|| format!("; {} of its {all} headers are left out", all - kept));
        [value, key, headers].into_iter().flatten().collect()
    }
}

/// Which headers so many bytes hold. Ours go before those of others: the origin of a returned
/// record says whose it is.
fn headers_within(record: &Record, mut room: usize) -> Vec<usize> {
    let mut kept = Vec::new();
    for ours in [true, false] {
        for (index, (name, value)) in record.headers.iter().enumerate() {
            let bytes = name.len() + value.len() + HEADER_FRAMING_BYTES;
            let wanted = name.starts_with(CONTROL_HEADER_PREFIX) == ours && kept.len() < MAX_KEPT_HEADERS;
            if wanted && bytes <= room {
                room -= bytes;
                kept.push(index);
            }
        }
    }
    kept.sort_unstable();
    kept
}

/// The output for a rejected record. The same rejection gives the same id, however often the record
/// is delivered.
pub(crate) fn output(
    stage: &str,
    topic: &str,
    delivery: &Delivery,
    rejection: &Rejection,
    kept: Kept,
    failed_at: i64,
) -> Result<Output, FlowError> {
    let record = &delivery.record;
    let deliveries = delivery.attempts.saturating_add(1);
    let id = format!("{stage}/{}", record.position());
    let letter = DeadLetter {
        id: id.clone(),
        stage: stage.to_owned(),
        code: rejection.code.to_owned(),
        message: shortened(&rejection.message) + &kept.note(record),
        topic: record.topic.to_string(),
        partition: record.partition,
        offset: record.offset,
        key: record.key.clone().filter(|_| kept.key),
        value: if kept.value_ref.is_some() { None } else { record.value.clone() },
        value_ref: kept.value_ref,
        headers: record
            .headers
            .iter()
            .enumerate()
            .filter(|(index, _)| kept.headers.binary_search(index).is_ok())
            .map(|(_, (name, value))| RecordHeader { name: name.to_owned(), value: value.to_vec() })
            .collect(),
        attempts: i32::try_from(deliveries).unwrap_or(i32::MAX),
        tenant: rejection.tenant.clone().filter(|tenant| tenant.len() <= MAX_TENANT_BYTES),
        failed_at,
    };
    let output = Output::to(topic)
        .key(id)
        .record(&letter)
        .map_err(|error| FlowError::Internal { detail: format!("a dead letter does not encode: {error}") })?;
    Ok(output
        .header(STAGE_HEADER, stage)
        .header(CODE_HEADER, rejection.code)
        .header(TOPIC_HEADER, record.topic.as_bytes())
        .header(PARTITION_HEADER, record.partition.to_string())
        .header(OFFSET_HEADER, record.offset.to_string())
        .header(ATTEMPTS_HEADER, deliveries.to_string())
        .header(ORIGIN_HEADER, delivery.origin().to_string())
        .header(TRACEPARENT, delivery.trace.to_header()))
}

/// The message, as far as a dead letter keeps it.
fn shortened(message: &str) -> String {
    let kept = &message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)];
    if kept.len() == message.len() { message.to_owned() } else { format!("{kept}…") }
}

/// A copy of the record with one delivery more and its origin kept: for the tail of its own topic
/// and partition, or of the topic of returns, where the key chooses the partition.
pub(crate) fn requeued(delivery: &Delivery, returned_to: Option<&str>) -> Output {
    let record = &delivery.record;
    let mut headers = match returned_to {
        Some(_) => record.headers.without_control(),
        None => record.headers.clone(),
    };
    headers.set(ATTEMPTS_HEADER, delivery.attempts.saturating_add(1).to_string());
    headers.set(ORIGIN_HEADER, delivery.origin().to_string());
    headers.set(TRACEPARENT, delivery.trace.to_header());
    Output {
        topic: returned_to.map_or_else(|| record.topic.to_string(), str::to_owned),
        key: record.key.clone(),
        value: record.value.clone(),
        headers,
        partition: returned_to.is_none().then_some(record.partition),
    }
}

#[cfg(test)]
mod tests;
