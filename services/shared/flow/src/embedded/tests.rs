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

/// Copies each record to `out`.
struct Copy;

#[async_trait]
impl crate::Processor for Copy {
    async fn process(&self, delivery: &crate::Delivery) -> Result<Vec<Output>, crate::StageError> {
        let value = delivery.record.value.clone();
        Ok(vec![Output { topic: "out".to_owned(), value, ..Output::default() }])
    }
}

/// The other processes of the machine are not limited: what they published is there, acknowledged,
/// all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_whose_disk_is_full_waits_and_loses_nothing() {
    let (folder, log) = log().await;
    let out = TopicSpec {
        name: "out".to_owned(),
        partitions: 1,
        compacted: false,
        retention_ms: None,
        max_message_bytes: 1_000_000,
        replication: None,
    };
    log.ensure_topics(&[out]).await.unwrap();
    log.publish((0..100).map(|n| Output::to("t").value(format!("{n:05000}"))).collect()).await.unwrap();
    let stages = EmbeddedLog::open(&EmbeddedConfig { path: folder.path().join("new folder/log.db") }).await.unwrap();
    let database = stages.database.clone();
    let limit = |more: Option<i64>| {
        database.write("limiting the file", move |transaction| {
            let pages: i64 = transaction.pragma_query_value(None, "page_count", |row| row.get(0))?;
            let limit = more.map_or(1_000_000, |more| pages + more);
            Ok(transaction.pragma_update_and_check(None, "max_page_count", limit, |_| Ok(()))?)
        })
    };
    limit(Some(30)).await.unwrap();
    let config = crate::StageConfig {
        commit_interval: Duration::from_millis(5),
        backoff: Duration::from_millis(5),
        max_backoff: Duration::from_millis(20),
        ..crate::StageConfig::new("test", "group", crate::Subscription::topics(["t"]))
    };
    let shutdown = tokio_util::sync::CancellationToken::new();
    let health = precis_telemetry::Health::new();
    let running = tokio::spawn(crate::run_stage(
        std::sync::Arc::new(stages),
        config,
        std::sync::Arc::new(Copy),
        health.clone(),
        shutdown.clone(),
    ));
    let written = || async {
        let topics = log.topics().await.unwrap();
        let out = topics.into_iter().find(|topic| topic.name == "out").unwrap();
        out.partitions[0].high
    };
    // Its transactions fail by now, whatever size they have; it is still there, and says that it is
    // alive.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!running.is_finished() && health.report().live);
    assert!(written().await < 100, "the limit is too high to show anything");
    limit(None).await.unwrap();
    while written().await < 100 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shutdown.cancel();
    running.await.unwrap().unwrap();
    let mut reader = log.reader("out", ReadStart::Beginning).await.unwrap();
    let mut values = Vec::new();
    while !reader.caught_up() {
        let found = reader.next(Duration::ZERO).await.unwrap();
        values.extend(found.map(|record| String::from_utf8(record.value.unwrap()).unwrap().parse::<usize>().unwrap()));
    }
    assert_eq!(values, (0..100).collect::<Vec<_>>());
}

/// Documents lie in these files: the log, what SQLite keeps beside it, and the groups' locks.
#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_a_new_log() {
    let (folder, log) = log().await;
    log.publish(vec![Output::to("t").value("a document")]).await.unwrap();
    let _lock = lock::GroupLock::take(&folder.path().join("new folder/log.db"), "group").unwrap();
    let new = folder.path().join("new folder");
    assert_eq!(precis_base::private::wider_mode(&new), None);
    let files: Vec<_> = std::fs::read_dir(&new).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        assert_eq!(precis_base::private::wider_mode(&file), None, "{}", file.display());
    }
}
