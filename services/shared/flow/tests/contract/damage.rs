//! The embedded log's file after something else wrote to it: the error says so and names the file,
//! the file stays as it is, and no record is made up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use precis_flow::{Class, FlowError, Log, Output, ReadStart};

use crate::support::{Running, World, copy_to, counts, publish_numbers, read_all, until};

const RECORDS: usize = 200;
const PAGE: usize = 4096;

/// A log of [`RECORDS`] records in one topic, closed, everything of it in its one file.
async fn closed(world: &World) -> (PathBuf, String) {
    let log = world.open().await;
    let topic = world.topic(&log, "t", 1).await;
    log.publish((0..RECORDS).map(|n| Output::to(&topic).value(format!("{n:01000}"))).collect()).await.unwrap();
    drop(log);
    let path = world.config.embedded.path.clone();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    (path, topic)
}

/// Opens the log and reads all that it gives.
async fn read(world: &World, topic: &str) -> Result<usize, FlowError> {
    let log = precis_flow::open(&world.config).await?;
    let mut reader = log.reader(topic, ReadStart::Beginning).await?;
    let mut found = 0;
    while !reader.caught_up() {
        found += usize::from(reader.next(Duration::from_secs(1)).await?.is_some());
    }
    Ok(found)
}

/// Asserts that the file as it is now is told to be damaged, by name, and left alone.
async fn assert_told(world: &World, topic: &str, what: &str) {
    let path = &world.config.embedded.path;
    let before = std::fs::read(path).unwrap();
    let error = read(world, topic).await.expect_err(what);
    assert_eq!((error.code(), error.class()), ("log_corrupt", Class::Fatal), "{what}: {error}");
    assert!(error.to_string().contains("log.db"), "{what}: {error}");
    assert_eq!(std::fs::read(path).unwrap(), before, "{what}: the file was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_header_is_told() {
    let world = World::embedded();
    let (path, topic) = closed(&world).await;
    let whole = std::fs::read(&path).unwrap();
    // The magic string; the page size; who may read; how pages are filled; how many there are.
    for at in [0, 5, 16, 17, 19, 21, 28] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xFF;
        std::fs::write(&path, bytes).unwrap();
        assert_told(&world, &topic, &format!("byte {at}")).await;
    }
    std::fs::write(&path, whole).unwrap();
    assert_eq!(read(&world, &topic).await.unwrap(), RECORDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_page_in_the_middle_is_told() {
    let world = World::embedded();
    let (path, topic) = closed(&world).await;
    let whole = std::fs::read(&path).unwrap();
    let pages = whole.len() / PAGE;
    for page in [pages / 4, pages / 2, pages - 2] {
        let mut bytes = whole.clone();
        // The head of the page: what it is, how many entries it has and where they are.
        for byte in &mut bytes[page * PAGE..page * PAGE + 64] {
            *byte ^= 0xFF;
        }
        std::fs::write(&path, bytes).unwrap();
        assert_told(&world, &topic, &format!("page {page} of {pages}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_cut_is_told() {
    let world = World::embedded();
    let (path, topic) = closed(&world).await;
    let whole = std::fs::read(&path).unwrap();
    for part in [4, 2] {
        std::fs::write(&path, &whole[..whole.len() / part]).unwrap();
        assert_told(&world, &topic, &format!("one part of {part}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_nobody_wrote_are_told() {
    let world = World::embedded();
    let (path, topic) = closed(&world).await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute("UPDATE records SET headers = x'FFFFFFFF00' WHERE offset = 7", []).unwrap();
    drop(connection);
    let error = read(&world, &topic).await.unwrap_err();
    assert_eq!(error.code(), "log_corrupt", "{error}");
}

/// The write-ahead log is read up to the last commit that is whole: what was cut off is as if it
/// had not been.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_ahead_log_that_was_cut_gives_what_is_whole_of_it() {
    let world = World::embedded();
    let log = world.open().await;
    let topic = world.topic(&log, "t", 1).await;
    for n in 0..RECORDS {
        log.publish(vec![Output::to(&topic).value(n.to_string())]).await.unwrap();
    }
    // As a machine that lost its power leaves them: nobody closed the file.
    let folder = tempfile::tempdir().unwrap();
    let mut other = World::embedded();
    other.config.embedded.path = folder.path().join("log.db");
    let wal = |path: &PathBuf| PathBuf::from(format!("{}-wal", path.display()));
    std::fs::copy(&world.config.embedded.path, &other.config.embedded.path).unwrap();
    let frames = std::fs::read(wal(&world.config.embedded.path)).unwrap();
    std::fs::write(wal(&other.config.embedded.path), &frames[..frames.len() / 2 + 17]).unwrap();
    let found = counts(&read_all(&other.open().await, &topic).await);
    assert!(!found.is_empty() && found.len() < RECORDS, "{} records", found.len());
    assert!(found.keys().copied().eq(0..found.len()), "the first ones, without a gap");
    drop(log);
}

/// Damage under a stage that runs: it ends with the error instead of going on with what it makes of
/// the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_over_a_damaged_file_ends_and_says_why() {
    let world = World::embedded();
    let log: Arc<dyn Log> = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    let stage = Running::start(&log, world.stage(&input), copy_to(&output));
    until(|| async { stage.health.report().ready }).await;
    let connection = rusqlite::Connection::open(&world.config.embedded.path).unwrap();
    connection
        .execute_batch(
            "CREATE TRIGGER damage AFTER INSERT ON records BEGIN
            UPDATE records SET headers = x'FF' WHERE offset = new.offset AND partition = new.partition; END",
        )
        .unwrap();
    publish_numbers(&log, &input, 1, 1).await;
    let error = stage.ended().await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("log_corrupt", Class::Fatal), "{error}");
}
