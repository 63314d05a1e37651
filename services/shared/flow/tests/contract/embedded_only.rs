//! What only the embedded log can show: one file, several processes, damaged and full disks.

use std::sync::Arc;

use precis_flow::{Class, Output, StageConfig, TopicSpec};

use crate::support::{Running, World, assert_each_once, copy_to, publish_numbers, read_all, read_count, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_member_of_a_group_is_told_who_holds_it() {
    let world = World::embedded();
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    let first = Running::start(&log, world.stage(&input), copy_to(&output));
    until(|| async { first.health.report().ready }).await;
    let error = Running::start(&world.open().await, world.stage(&input), copy_to(&output)).ended().await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("group_held", Class::Fatal));
    assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
    // Another group is no trouble, and the lock goes with its holder.
    let config = StageConfig { group: world.name("other/group"), ..world.stage(&input) };
    Running::start(&log, config, copy_to(&output)).stop().await.unwrap();
    first.stop().await.unwrap();
    Running::start(&log, world.stage(&input), copy_to(&output)).stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_handles_publish_at_once_without_losing_anything() {
    let world = World::embedded();
    let log = world.open().await;
    let topic = world.topic(&log, "t", 2).await;
    let mut publishers = Vec::new();
    for n in 0..4 {
        let (log, topic) = (world.open().await, topic.clone());
        publishers.push(tokio::spawn(async move {
            for m in 0..25 {
                log.publish(vec![Output::to(&topic).value((n * 25 + m).to_string())]).await.unwrap();
            }
        }));
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
    assert_each_once(&read_all(&log, &topic).await, 100);
}

#[tokio::test]
async fn a_file_that_is_no_log_is_refused_and_left_alone() {
    let world = World::embedded();
    let path = &world.config.embedded.path;
    std::fs::write(path, b"This is a text file, and its author wants to keep it. ".repeat(100)).unwrap();
    let before = std::fs::read(path).unwrap();
    let error = precis_flow::open(&world.config).await.map(drop).unwrap_err();
    assert_eq!((error.code(), error.class()), ("log_corrupt", Class::Fatal));
    assert!(error.to_string().contains("log.db"), "{error}");
    assert_eq!(std::fs::read(path).unwrap(), before);
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_alone() {
    let world = World::embedded();
    let other = rusqlite::Connection::open(&world.config.embedded.path).unwrap();
    other.execute_batch("CREATE TABLE topics (theirs INTEGER)").unwrap();
    drop(other);
    let error = precis_flow::open(&world.config).await.map(drop).unwrap_err();
    assert_eq!(error.code(), "log_corrupt");
    assert!(error.to_string().contains("another program"), "{error}");
}

#[tokio::test]
async fn a_log_of_a_newer_format_is_refused() {
    let world = World::embedded();
    drop(world.open().await);
    let newer = rusqlite::Connection::open(&world.config.embedded.path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let error = precis_flow::open(&world.config).await.map(drop).unwrap_err();
    assert_eq!(error.code(), "log_format");
    assert!(error.to_string().contains("99"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_page_is_reported_as_damage() {
    let world = World::embedded();
    let log = world.open().await;
    let topic = world.topic(&log, "t", 1).await;
    log.publish((0..200).map(|n| Output::to(&topic).value(format!("{n:01000}"))).collect()).await.unwrap();
    drop(log);
    // The last handle's threads put everything into the file, then it can be damaged.
    let connection = rusqlite::Connection::open(&world.config.embedded.path).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(connection);
    let path = &world.config.embedded.path;
    let mut bytes = std::fs::read(path).unwrap();
    bytes[4096..].fill(0xAA);
    std::fs::write(path, bytes).unwrap();
    let error = precis_flow::open(&world.config).await.map(drop).unwrap_err();
    assert_eq!(error.code(), "log_corrupt", "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_records_go_unless_a_group_has_still_to_process_them() {
    let world = World::embedded();
    let log = world.open().await;
    let short = |name: &str| TopicSpec { retention_ms: Some(1), ..world.spec(name, 1) };
    let (unread, read) = (short("unread"), short("read"));
    log.ensure_topics(&[unread.clone(), read.clone()]).await.unwrap();
    let output = world.topic(&log, "out", 1).await;
    let stage = Running::start(&log, world.stage(&read.name), copy_to(&output));
    publish_numbers(&log, &read.name, 3, 1).await;
    read_count(&log, &output, 3).await;
    stage.stop().await.unwrap();
    log.publish(vec![Output::to(&read.name).value("3")]).await.unwrap();
    publish_numbers(&log, &unread.name, 3, 1).await;
    let log = world.forget_old_records(&unread.name).await;
    assert!(read_all(&log, &unread.name).await.is_empty());
    assert_eq!(read_all(&log, &read.name).await.len(), 1, "the one that the group has not processed");
    let stage = Running::start(&log, world.stage(&read.name), copy_to(&output));
    assert_each_once(&read_count(&log, &output, 4).await, 4);
    stage.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compacted_topic_keeps_the_newest_of_each_key() {
    let world = World::embedded();
    let log = world.open().await;
    let spec = TopicSpec { compacted: true, retention_ms: None, ..world.spec("t", 1) };
    log.ensure_topics(std::slice::from_ref(&spec)).await.unwrap();
    publish_numbers(&log, &spec.name, 30, 3).await;
    let log: Arc<_> = world.open().await;
    let mut records = read_all(&log, &spec.name).await;
    records.sort_by_key(|record| record.offset);
    assert_eq!(records.iter().map(crate::support::text).collect::<Vec<_>>(), ["27", "28", "29"]);
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [27, 28, 29]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_the_first_format_is_taken_over_with_its_offsets() {
    let world = World::embedded();
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 3, 1).await;
    let stage = Running::start(&log, world.stage(&input), copy_to(&output));
    read_count(&log, &output, 3).await;
    stage.stop().await.unwrap();
    drop(log);
    // What format 2 added, taken away again.
    let older = rusqlite::Connection::open(&world.config.embedded.path).unwrap();
    older.execute_batch("ALTER TABLE offsets DROP COLUMN mark").unwrap();
    older.pragma_update(None, "user_version", 1).unwrap();
    drop(older);
    let log = world.open().await;
    log.publish(vec![Output::to(&input).value("3")]).await.unwrap();
    let stage = Running::start(&log, world.stage(&input), copy_to(&output));
    assert_each_once(&read_count(&log, &output, 4).await, 4);
    stage.stop().await.unwrap();
}
