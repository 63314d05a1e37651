//! Retention and compaction of the embedded log.
//!
//! Unlike Kafka, it never removes what a group that reads the topic has not processed: on one
//! machine there is nobody who would rather lose documents than disk space. Compacted topics keep
//! the newest record of each key; tombstones stay.

use rusqlite::{Transaction, params};

use super::database::StoreError;
use super::store;

/// Removes what is over its time or superseded; returns how many records that were.
pub(super) fn trim(transaction: &Transaction<'_>, now_ms: i64) -> Result<usize, StoreError> {
    let mut removed = 0;
    for topic in store::topics(transaction)? {
        let Some(spec) = store::topic_spec(transaction, &topic.name)? else { continue };
        for partition in 0..topic.partitions {
            if spec.compacted {
                removed += compact(transaction, topic.id, partition)?;
            }
            if let Some(retention_ms) = spec.retention_ms {
                removed += expire(transaction, topic.id, partition, now_ms - retention_ms)?;
            }
        }
    }
    Ok(removed)
}

fn compact(transaction: &Transaction<'_>, topic: i64, partition: i32) -> Result<usize, StoreError> {
    Ok(transaction.execute(
        "DELETE FROM records WHERE topic = ?1 AND partition = ?2 AND key IS NOT NULL AND offset NOT IN
            (SELECT max(offset) FROM records WHERE topic = ?1 AND partition = ?2 AND key IS NOT NULL GROUP BY key)",
        params![topic, partition],
    )?)
}

/// Removes the records before the first one that is young enough or not yet processed by every
/// group.
fn expire(transaction: &Transaction<'_>, topic: i64, partition: i32, before_ms: i64) -> Result<usize, StoreError> {
    let (low, next) = store::ends(transaction, topic, partition)?;
    let young: Option<i64> = transaction.query_row(
        "SELECT min(offset) FROM records WHERE topic = ? AND partition = ? AND timestamp_ms >= ?",
        params![topic, partition, before_ms],
        |row| row.get(0),
    )?;
    let unprocessed: Option<i64> = transaction.query_row(
        "SELECT min(next) FROM offsets WHERE topic = ? AND partition = ?",
        params![topic, partition],
        |row| row.get(0),
    )?;
    let keep_from = young.unwrap_or(next).min(unprocessed.unwrap_or(next));
    if keep_from <= low {
        return Ok(0);
    }
    transaction.execute(
        "UPDATE partitions SET low = ? WHERE topic = ? AND partition = ?",
        params![keep_from, topic, partition],
    )?;
    Ok(transaction.execute(
        "DELETE FROM records WHERE topic = ? AND partition = ? AND offset < ?",
        params![topic, partition, keep_from],
    )?)
}
