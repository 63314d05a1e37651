#![allow(clippy::unwrap_used)]

use super::*;
use crate::error::Class;
use crate::log::ReadStart;

async fn log() -> (tempfile::TempDir, EmbeddedLog) {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(&EmbeddedConfig { path: folder.path().join("new folder/log.db") }).await.unwrap();
    let spec = TopicSpec {
        name: "t".to_owned(),
        partitions: 1,
        compacted: false,
        retention_ms: None,
        max_message_bytes: 1_000_000,
        replication: None,
    };
    log.ensure_topics(&[spec]).await.unwrap();
    (folder, log)
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_lost_by_it() {
    let (_folder, log) = log().await;
    let limit = |pages: i64| {
        log.database.write("limiting the file", move |transaction| {
            Ok(transaction.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?)
        })
    };
    log.publish(vec![Output::to("t").value("before")]).await.unwrap();
    limit(40).await.unwrap();
    let large = vec![Output::to("t").value("first of two"), Output::to("t").value(vec![7; 500_000])];
    let error = log.publish(large.clone()).await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("log_full", Class::Retry));
    assert!(error.to_string().contains("log.db"), "{error}");
    limit(1_000_000).await.unwrap();
    log.publish(large).await.unwrap();
    let mut reader = log.reader("t", ReadStart::Beginning).await.unwrap();
    let mut values = Vec::new();
    while !reader.caught_up() {
        values.extend(reader.next(Duration::ZERO).await.unwrap().map(|record| record.value.unwrap().len()));
    }
    assert_eq!(values, ["before".len(), "first of two".len(), 500_000]);
}

#[tokio::test]
async fn a_topic_that_makes_no_sense_is_refused() {
    let (_folder, log) = log().await;
    let spec = |name: &str, partitions: i32| TopicSpec {
        name: name.to_owned(),
        partitions,
        compacted: false,
        retention_ms: None,
        max_message_bytes: 1,
        replication: None,
    };
    for spec in [spec("", 1), spec("a/b", 1), spec("a", 0)] {
        assert_eq!(log.ensure_topics(&[spec]).await.unwrap_err().code(), "log_config");
    }
}

#[tokio::test]
async fn the_threads_end_with_the_last_handle() {
    let (_folder, log) = log().await;
    let mut changes = log.database.changes();
    drop(log);
    while changes.changed().await.is_ok() {}
}
