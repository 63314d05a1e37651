//! Between this crate's values and librdkafka's.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message, OwnedHeaders};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use tracing::warn;

use super::start::Committed;
use super::topic_id::TopicId;
use crate::member::OwnerMark;
use crate::values::{Headers, Output, PartitionId, Record};

/// Makes records from messages; keeps one copy of each topic's name.
#[derive(Debug, Default)]
pub(super) struct Records {
    topics: HashSet<Arc<str>>,
}

impl Records {
    pub(super) fn record(&mut self, message: &BorrowedMessage<'_>) -> Record {
        Record {
            topic: self.topic(message.topic()),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: message_headers(message),
        }
    }

    fn topic(&mut self, name: &str) -> Arc<str> {
        if let Some(topic) = self.topics.get(name) {
            return Arc::clone(topic);
        }
        let topic: Arc<str> = name.into();
        self.topics.insert(Arc::clone(&topic));
        topic
    }
}

/// The headers that can be read. rdkafka 0.39 panics on a header whose name is not UTF-8, and
/// anybody who may publish can send one: it is left out, since losing it is better than losing the
/// process at every restart.
fn message_headers(message: &BorrowedMessage<'_>) -> Headers {
    let mut headers = Headers::new();
    let Some(borrowed) = message.headers() else { return headers };
    for index in 0..borrowed.count() {
        match catch_unwind(AssertUnwindSafe(|| borrowed.try_get(index))) {
            Ok(Some(header)) => headers.push(header.key, header.value.unwrap_or_default()),
            Ok(None) => {}
            Err(_) => warn!(
                topic = message.topic(),
                partition = message.partition(),
                offset = message.offset(),
                "a header's name is not UTF-8: left out"
            ),
        }
    }
    headers
}

/// The headers of an output, when it has any.
pub(super) fn output_headers(output: &Output) -> Option<OwnedHeaders> {
    if output.headers.is_empty() {
        return None;
    }
    let headers = OwnedHeaders::new_with_capacity(output.headers.len());
    Some(
        output.headers.iter().fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value) })),
    )
}

/// The partitions that a list names.
pub(super) fn partition_ids(list: &TopicPartitionList) -> Vec<PartitionId> {
    // rdkafka's `elements` of an empty list was undefined behaviour once (rust-rdkafka#681).
    if list.count() == 0 {
        return Vec::new();
    }
    list.elements()
        .iter()
        .map(|element| PartitionId { topic: element.topic().into(), partition: element.partition() })
        .collect()
}

/// A list that names these partitions.
pub(super) fn partition_list<'a>(partitions: impl IntoIterator<Item = &'a PartitionId>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    list
}

/// Stands between the mark and the topic's id in what is committed beside an offset.
const TOPIC_ID: &str = " topic=";

/// What is committed beside an offset.
pub(super) fn metadata(mark: OwnerMark, topic_id: Option<&TopicId>) -> String {
    topic_id.map_or_else(|| mark.to_string(), |id| format!("{mark}{TOPIC_ID}{id}"))
}

/// Reads what [`metadata`] wrote, and what this program wrote before topics' ids.
fn read_metadata(text: &str) -> (OwnerMark, Option<TopicId>) {
    let (mark, id) = text.rsplit_once(TOPIC_ID).unwrap_or((text, ""));
    (OwnerMark::parse(mark), TopicId::parse(id))
}

/// What was committed, if anything was. rdkafka 0.39 panics on metadata that is not UTF-8, and any
/// tool may have committed it.
pub(super) fn committed(element: &TopicPartitionListElem<'_>) -> Option<Committed> {
    let Offset::Offset(offset) = element.offset() else { return None };
    let (mark, topic_id) = catch_unwind(AssertUnwindSafe(|| read_metadata(element.metadata()))).unwrap_or_default();
    Some(Committed { offset, mark, topic_id })
}

#[cfg(test)]
mod tests;
