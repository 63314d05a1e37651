//! What is done to the tables: functions of one transaction, no threads, no clock.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::{OptionalExtension, Transaction, named_params, params};

use super::database::StoreError;
use super::headers;
use crate::error::FlowError;
use crate::log::{PartitionLag, PartitionStatus, TopicSpec, TopicStatus};
use crate::member::{Epoch, OwnerMark};
use crate::values::{Output, PartitionId, Position, Record};

/// A topic as the records and offsets tables name it.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) id: i64,
    pub(super) name: Arc<str>,
    pub(super) partitions: i32,
}

/// Bounds one batch of records.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchLimit {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

pub(super) fn topics(transaction: &Transaction<'_>) -> Result<Vec<Topic>, StoreError> {
    let mut statement = transaction.prepare_cached("SELECT id, name, partitions FROM topics ORDER BY name")?;
    let topics = statement.query_map([], |row| {
        Ok(Topic { id: row.get(0)?, name: row.get::<_, String>(1)?.into(), partitions: row.get(2)? })
    })?;
    Ok(topics.collect::<Result<_, _>>()?)
}

/// The topic as specified when it was created; the embedded log has one copy of everything.
pub(super) fn topic_spec(transaction: &Transaction<'_>, name: &str) -> Result<Option<TopicSpec>, StoreError> {
    let mut statement = transaction
        .prepare_cached("SELECT partitions, compacted, retention_ms, max_message_bytes FROM topics WHERE name = ?")?;
    let spec = statement.query_row([name], |row| {
        Ok(TopicSpec {
            name: name.to_owned(),
            partitions: row.get(0)?,
            compacted: row.get(1)?,
            retention_ms: row.get(2)?,
            max_message_bytes: row.get(3)?,
            replication: None,
        })
    });
    Ok(spec.optional()?)
}

pub(super) fn create_topic(transaction: &Transaction<'_>, spec: &TopicSpec) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO topics (name, partitions, compacted, retention_ms, max_message_bytes) VALUES (?, ?, ?, ?, ?)",
        params![spec.name, spec.partitions, spec.compacted, spec.retention_ms, spec.max_message_bytes],
    )?;
    let id = transaction.last_insert_rowid();
    for partition in 0..spec.partitions {
        transaction.execute(
            "INSERT INTO partitions (topic, partition, low, next) VALUES (?, ?, 0, 0)",
            params![id, partition],
        )?;
    }
    Ok(())
}

pub(super) fn statuses(transaction: &Transaction<'_>) -> Result<Vec<TopicStatus>, StoreError> {
    let mut statement =
        transaction.prepare_cached("SELECT partition, low, next FROM partitions WHERE topic = ? ORDER BY partition")?;
    let mut statuses = Vec::new();
    for topic in topics(transaction)? {
        let partitions = statement.query_map([topic.id], |row| {
            Ok(PartitionStatus { partition: row.get(0)?, low: row.get(1)?, high: row.get(2)? })
        })?;
        statuses.push(TopicStatus { name: topic.name.to_string(), partitions: partitions.collect::<Result<_, _>>()? });
    }
    Ok(statuses)
}

/// Writes one record at the end of its partition.
pub(super) fn append(
    transaction: &Transaction<'_>,
    output: &Output,
    timestamp_ms: i64,
) -> Result<Position, StoreError> {
    let mut find =
        transaction.prepare_cached("SELECT id, partitions, max_message_bytes, compacted FROM topics WHERE name = ?")?;
    let topic = find.query_row([&output.topic], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i32>(1)?, row.get::<_, i64>(2)? as usize, row.get::<_, bool>(3)?))
    });
    let Some((topic, partitions, limit_bytes, compacted)) = topic.optional()? else {
        return Err(FlowError::UnknownTopic { topic: output.topic.clone() }.into());
    };
    if compacted && output.key.is_none() {
        let (topic, detail) = (output.topic.clone(), "it is compacted, and the record has no key".to_owned());
        return Err(FlowError::RecordRefused { topic, detail }.into());
    }
    let headers = headers::encode(&output.headers);
    let size_bytes =
        output.key.as_ref().map_or(0, Vec::len) + output.value.as_ref().map_or(0, Vec::len) + headers.len();
    if size_bytes > limit_bytes {
        let topic = output.topic.clone();
        return Err(FlowError::RecordTooLarge { topic, size_bytes, limit_bytes: Some(limit_bytes) }.into());
    }
    let partition = match output.partition {
        Some(partition) if (0..partitions).contains(&partition) => partition,
        Some(partition) => {
            return Err(FlowError::UnknownTopic { topic: format!("{}/{partition}", output.topic) }.into());
        }
        None => choose_partition(output.key.as_deref(), partitions),
    };
    let mut advance = transaction
        .prepare_cached("UPDATE partitions SET next = next + 1 WHERE topic = ? AND partition = ? RETURNING next - 1")?;
    let offset: i64 = advance.query_row(params![topic, partition], |row| row.get(0))?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO records (topic, partition, offset, timestamp_ms, key, value, headers)
         VALUES (:topic, :partition, :offset, :timestamp_ms, :key, :value, :headers)",
    )?;
    insert.execute(named_params! {
        ":topic": topic, ":partition": partition, ":offset": offset, ":timestamp_ms": timestamp_ms,
        ":key": output.key, ":value": output.value, ":headers": headers,
    })?;
    Ok(Position { topic: output.topic.as_str().into(), partition, offset })
}

/// Leaves one unused offset after what a transaction wrote, as Kafka's markers do: whoever counts
/// with offsets fails here too.
pub(super) fn leave_gaps(transaction: &Transaction<'_>, written: &[Position]) -> Result<(), StoreError> {
    let touched: BTreeSet<_> = written.iter().map(|position| (&position.topic, position.partition)).collect();
    let mut advance = transaction.prepare_cached(
        "UPDATE partitions SET next = next + 1
         WHERE topic = (SELECT id FROM topics WHERE name = ?) AND partition = ?",
    )?;
    for (topic, partition) in touched {
        advance.execute(params![topic.as_ref(), partition])?;
    }
    Ok(())
}

/// Records from an offset on, in order. One record is always let in, however large.
pub(super) fn read(
    transaction: &Transaction<'_>,
    topic: &Topic,
    partition: i32,
    from: i64,
    limit: BatchLimit,
) -> Result<Vec<Record>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT offset, timestamp_ms, key, value, headers FROM records
         WHERE topic = ? AND partition = ? AND offset >= ? ORDER BY offset LIMIT ?",
    )?;
    let mut rows = statement.query(params![topic.id, partition, from, limit.records as i64])?;
    let mut records = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let record = Record {
            topic: Arc::clone(&topic.name),
            partition,
            offset: row.get(0)?,
            timestamp_ms: row.get(1)?,
            key: row.get(2)?,
            value: row.get(3)?,
            headers: headers::decode(row.get_ref(4)?.as_blob().map_err(rusqlite::Error::from)?)?,
        };
        bytes += record.size_bytes();
        if bytes > limit.bytes && !records.is_empty() {
            break;
        }
        records.push(record);
    }
    Ok(records)
}

/// The first offset still there and one past the last.
pub(super) fn ends(transaction: &Transaction<'_>, topic: i64, partition: i32) -> Result<(i64, i64), StoreError> {
    let mut statement =
        transaction.prepare_cached("SELECT low, next FROM partitions WHERE topic = ? AND partition = ?")?;
    Ok(statement.query_row(params![topic, partition], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

pub(super) fn committed(
    transaction: &Transaction<'_>,
    group: &str,
    topic: i64,
    partition: i32,
) -> Result<Option<(i64, OwnerMark)>, StoreError> {
    let mut statement = transaction
        .prepare_cached("SELECT next, mark FROM offsets WHERE group_name = ? AND topic = ? AND partition = ?")?;
    let committed = statement.query_row(params![group, topic, partition], |row| {
        Ok((row.get(0)?, OwnerMark::parse(row.get_ref(1)?.as_str()?)))
    });
    Ok(committed.optional()?)
}

pub(super) fn set_committed(
    transaction: &Transaction<'_>,
    group: &str,
    partition: &PartitionId,
    next: i64,
    mark: OwnerMark,
) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO offsets (group_name, topic, partition, next, mark)
         SELECT ?, id, ?, ?, ? FROM topics WHERE name = ?
         ON CONFLICT (group_name, topic, partition) DO UPDATE SET next = excluded.next, mark = excluded.mark",
    )?;
    statement.execute(params![group, partition.partition, next, mark.to_string(), partition.topic.as_ref()])?;
    Ok(())
}

/// How far a group is behind. Counts records, not offsets: gaps are no work.
pub(super) fn lag(transaction: &Transaction<'_>, group: &str) -> Result<Vec<PartitionLag>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT topics.name, offsets.partition, offsets.next, partitions.next,
            (SELECT count(*) FROM records WHERE records.topic = offsets.topic
                AND records.partition = offsets.partition AND records.offset >= offsets.next)
         FROM offsets
         JOIN topics ON topics.id = offsets.topic
         JOIN partitions ON partitions.topic = offsets.topic AND partitions.partition = offsets.partition
         WHERE offsets.group_name = ? ORDER BY topics.name, offsets.partition",
    )?;
    let lags = statement.query_map([group], |row| {
        Ok(PartitionLag {
            partition: PartitionId { topic: row.get::<_, String>(0)?.into(), partition: row.get(1)? },
            committed: row.get(2)?,
            end: row.get(3)?,
            lag: row.get(4)?,
        })
    })?;
    Ok(lags.collect::<Result<_, _>>()?)
}

/// What names an epoch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holder {
    Group,
    Writer,
}

impl Holder {
    fn table(self) -> &'static str {
        match self {
            Self::Group => "groups",
            Self::Writer => "writers",
        }
    }
}

/// Starts the next epoch of a name: from this commit on, the older ones are over.
pub(super) fn raise_epoch(transaction: &Transaction<'_>, holder: Holder, name: &str) -> Result<Epoch, StoreError> {
    let sql = format!(
        "INSERT INTO {} (name, epoch) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
        holder.table()
    );
    Ok(transaction.prepare_cached(&sql)?.query_row([name], |row| row.get(0))?)
}

/// Fails when the epoch is over.
pub(super) fn check_epoch(
    transaction: &Transaction<'_>,
    holder: Holder,
    name: &str,
    epoch: Epoch,
) -> Result<(), StoreError> {
    let sql = format!("SELECT epoch FROM {} WHERE name = ?", holder.table());
    let current: Option<Epoch> = transaction.prepare_cached(&sql)?.query_row([name], |row| row.get(0)).optional()?;
    if current == Some(epoch) { Ok(()) } else { Err(FlowError::Fenced { name: name.to_owned() }.into()) }
}

/// The same key always takes the same partition, in every version of this crate. FNV-1a.
fn choose_partition(key: Option<&[u8]>, partitions: i32) -> i32 {
    let hash = match key {
        Some(key) => key
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)),
        None => rand::random(),
    };
    // The low bits of FNV are the well mixed ones.
    (hash % u64::from(partitions.unsigned_abs().max(1))) as i32
}
