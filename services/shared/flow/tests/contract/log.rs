//! What is published is read, whole and in order; what is committed is visible all at once or
//! never.

use std::time::Duration;

use precis_flow::{Change, Class, Headers, Output, Position, ReadStart, TopicSpec};
use tokio::time::Instant;

use crate::support::{World, assert_each_once, assert_ordered_by_key, publish_numbers, read_all, text, within};

contract! {
    published_records_are_read_once_and_in_order_of_their_key,
    keys_values_and_headers_come_back_byte_for_byte,
    a_chosen_partition_is_kept,
    a_topic_that_does_not_exist_is_named,
    ensuring_topics_creates_leaves_alone_and_reports_differences,
    a_record_over_its_topics_limit_is_refused_and_harms_nothing,
    a_reader_from_the_end_sees_only_what_comes_after_it,
    a_reader_knows_when_it_has_everything,
    an_exclusive_writer_commits_all_or_nothing,
    a_newer_exclusive_writer_fences_the_older_one,
    commits_leave_gaps_between_offsets,
    another_handle_sees_what_was_published,
    a_record_is_found_by_its_position_and_nowhere_else,
}

async fn a_record_is_found_by_its_position_and_nowhere_else(world: World) {
    let log = world.open().await;
    let topic = world.topic(&log, "t", 2).await;
    publish_numbers(&log, &topic, 20, 7).await;
    let records = read_all(&log, &topic).await;
    for record in &records {
        assert_eq!(log.record_at(&record.position()).await.unwrap().as_ref(), Some(record));
    }
    let at = |topic: &str, partition, offset| Position { topic: topic.into(), partition, offset };
    for nowhere in [at(&topic, 0, 1_000_000), at(&topic, 7, 0), at("no-such-topic", 0, 0)] {
        assert_eq!(log.record_at(&nowhere).await.unwrap(), None, "{nowhere}");
    }
    // Behind a transaction lies no record.
    let mut writer = log.exclusive(&topic).await.unwrap();
    writer.commit(vec![Output { partition: Some(0), ..Output::to(&topic).value("last") }]).await.unwrap();
    let last = read_all(&log, &topic).await.into_iter().filter(|record| record.partition == 0).last().unwrap();
    let behind = Position { offset: last.offset + 1, ..last.position() };
    assert_eq!(log.record_at(&behind).await.unwrap(), None);
    assert_eq!(log.record_at(&last.position()).await.unwrap(), Some(last));
}

/// Key and value of a record.
type Entry<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

async fn published_records_are_read_once_and_in_order_of_their_key(world: World) {
    let log = world.open().await;
    let topic = world.topic(&log, "t", 3).await;
    publish_numbers(&log, &topic, 60, 7).await;
    let records = read_all(&log, &topic).await;
    assert_each_once(&records, 60);
    assert_ordered_by_key(&records);
    assert!(records.iter().any(|record| record.partition != records[0].partition), "keys spread over partitions");
}

async fn keys_values_and_headers_come_back_byte_for_byte(world: World) {
    let log = world.open().await;
    let topic = world.topic(&log, "t", 1).await;
    let headers = Headers::new().with("a", vec![0, 255]).with("b", "").with("a", "again").with("é", "ü");
    let outputs = vec![
        Output { headers: headers.clone(), ..Output::to(&topic).key(vec![0, 1, 255]).value(vec![255, 0]) },
        Output::to(&topic).key("tombstone"),
        Output::to(&topic).key("empty").value(Vec::new()),
        Output::to(&topic).value("no key"),
    ];
    let positions = log.publish(outputs).await.unwrap();
    let records = read_all(&log, &topic).await;
    assert_eq!(records.iter().map(precis_flow::Record::position).collect::<Vec<_>>(), positions);
    let found: Vec<_> = records.iter().map(|record| (record.key.as_deref(), record.value.as_deref())).collect();
    let expected: [Entry<'_>; 4] = [
        (Some(&[0, 1, 255]), Some(&[255, 0])),
        (Some(b"tombstone"), None),
        (Some(b"empty"), Some(b"")),
        (None, Some(b"no key")),
    ];
    assert_eq!(found, expected);
    assert_eq!(records[0].headers, headers);
    assert!(records[1].headers.is_empty());
    assert!(records.iter().all(|record| record.timestamp_ms > 1_600_000_000_000));
}

async fn a_chosen_partition_is_kept(world: World) {
    let log = world.open().await;
    let topic = world.topic(&log, "t", 4).await;
    let outputs = (0..4).map(|n| Output { partition: Some(n), ..Output::to(&topic).key("same").value("x") });
    let positions = log.publish(outputs.collect()).await.unwrap();
    assert_eq!(positions.iter().map(|position| position.partition).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

async fn a_topic_that_does_not_exist_is_named(world: World) {
    let log = world.open().await;
    let absent = world.name("absent");
    let failures = [
        log.publish(vec![Output::to(&absent).value("x")]).await.map(drop).unwrap_err(),
        log.reader(&absent, ReadStart::Beginning).await.map(drop).unwrap_err(),
    ];
    for error in failures {
        assert_eq!(error.code(), "unknown_topic");
        assert!(error.to_string().contains(&absent), "{error}");
    }
}

async fn ensuring_topics_creates_leaves_alone_and_reports_differences(world: World) {
    let log = world.open().await;
    let spec = world.spec("t", 2);
    let compacted = TopicSpec { compacted: true, retention_ms: None, ..world.spec("c", 1) };
    let specs = [spec.clone(), compacted.clone()];
    let changes = log.ensure_topics(&specs).await.unwrap();
    assert!(changes.iter().all(|change| change.change == Change::Created), "{changes:?}");
    let changes = log.ensure_topics(&specs).await.unwrap();
    assert!(changes.iter().all(|change| change.change == Change::Unchanged), "{changes:?}");
    let other = TopicSpec { partitions: 3, max_message_bytes: 1_000_000, ..spec };
    let changes = log.ensure_topics(&[other, compacted]).await.unwrap();
    let Change::Differs(differences) = &changes[0].change else { panic!("{changes:?}") };
    assert_eq!(differences, &["partitions: is 2, should be 3", "largest record: is 2097152, should be 1000000"]);
    assert_eq!(changes[1].change, Change::Unchanged);
    let topics = log.topics().await.unwrap();
    let found = topics.iter().find(|topic| topic.name == world.name("t")).unwrap();
    assert_eq!(
        found.partitions.iter().map(|p| (p.partition, p.low, p.high)).collect::<Vec<_>>(),
        [(0, 0, 0), (1, 0, 0)]
    );
}

async fn a_record_over_its_topics_limit_is_refused_and_harms_nothing(world: World) {
    let log = world.open().await;
    let spec = TopicSpec { max_message_bytes: 10_000, ..world.spec("t", 1) };
    log.ensure_topics(std::slice::from_ref(&spec)).await.unwrap();
    // Random, so that no compression makes it small.
    let large: Vec<u8> = (0..50_000).map(|_| rand::random()).collect();
    let error = log.publish(vec![Output::to(&spec.name).value(large)]).await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("record_too_large", Class::Reject));
    log.publish(vec![Output::to(&spec.name).value("small")]).await.unwrap();
    assert_eq!(read_all(&log, &spec.name).await.len(), 1);
}

async fn a_reader_from_the_end_sees_only_what_comes_after_it(world: World) {
    let log = world.open().await;
    let topic = world.topic(&log, "t", 2).await;
    publish_numbers(&log, &topic, 10, 3).await;
    let mut reader = log.reader(&topic, ReadStart::End).await.unwrap();
    log.publish(vec![Output::to(&topic).value("after")]).await.unwrap();
    let record = within(async {
        loop {
            if let Some(record) = reader.next(Duration::from_secs(1)).await.unwrap() {
                return record;
            }
        }
    });
    assert_eq!(text(&record.await), "after");
}

async fn a_reader_knows_when_it_has_everything(world: World) {
    let log = world.open().await;
    let topic = world.topic(&log, "t", 3).await;
    let mut writer = log.exclusive(&world.name("writer")).await.unwrap();
    // Committed in transactions, so that on Kafka markers lie behind the last records.
    for n in 0..5 {
        writer.commit(vec![Output::to(&topic).key(format!("{n}")).value(format!("{n}"))]).await.unwrap();
    }
    let mut reader = log.reader(&topic, ReadStart::Beginning).await.unwrap();
    let mut records = Vec::new();
    within(async {
        while !reader.caught_up() {
            records.extend(reader.next(Duration::from_secs(1)).await.unwrap());
        }
    })
    .await;
    assert_each_once(&records, 5);
    // Idle: the moment moves on when it is asked for.
    let asked = Instant::now();
    reader.recheck_end();
    within(async {
        while reader.end_reached().unwrap() < asked {
            assert_eq!(reader.next(Duration::from_secs(1)).await.unwrap(), None);
        }
    })
    .await;
    // Something new: everything committed before the moment has been returned once the moment is
    // reached.
    writer.commit(vec![Output::to(&topic).value("5")]).await.unwrap();
    let asked = Instant::now();
    reader.recheck_end();
    within(async {
        while reader.end_reached().unwrap() < asked {
            records.extend(reader.next(Duration::from_secs(1)).await.unwrap());
        }
    })
    .await;
    assert_each_once(&records, 6);
}

async fn an_exclusive_writer_commits_all_or_nothing(world: World) {
    let log = world.open().await;
    let (one, two) = (world.topic(&log, "one", 1).await, world.topic(&log, "two", 2).await);
    let mut writer = log.exclusive(&world.name("writer")).await.unwrap();
    let absent = world.name("absent");
    let outputs = vec![Output::to(&one).value("0"), Output::to(&two).value("0"), Output::to(&absent).value("0")];
    assert_eq!(writer.commit(outputs).await.unwrap_err().code(), "unknown_topic");
    assert!(read_all(&log, &one).await.is_empty() && read_all(&log, &two).await.is_empty(), "aborted is invisible");
    writer.commit(vec![Output::to(&one).value("0"), Output::to(&two).value("0")]).await.unwrap();
    assert_each_once(&read_all(&log, &one).await, 1);
    assert_each_once(&read_all(&log, &two).await, 1);
}

async fn a_newer_exclusive_writer_fences_the_older_one(world: World) {
    let log = world.open().await;
    let topic = world.topic(&log, "t", 1).await;
    let name = world.name("writer");
    let mut older = log.exclusive(&name).await.unwrap();
    older.commit(vec![Output::to(&topic).value("0")]).await.unwrap();
    let mut newer = world.open().await.exclusive(&name).await.unwrap();
    let error = older.commit(vec![Output::to(&topic).value("9")]).await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("fenced", Class::Fatal), "{error}");
    newer.commit(vec![Output::to(&topic).value("1")]).await.unwrap();
    let mut unrelated = log.exclusive(&world.name("another")).await.unwrap();
    unrelated.commit(vec![Output::to(&topic).value("2")]).await.unwrap();
    assert_each_once(&read_all(&log, &topic).await, 3);
}

async fn commits_leave_gaps_between_offsets(world: World) {
    let log = world.open().await;
    let topic = world.topic(&log, "t", 1).await;
    let mut writer = log.exclusive(&world.name("writer")).await.unwrap();
    for n in 0..3 {
        writer.commit(vec![Output::to(&topic).value(n.to_string()), Output::to(&topic).value("x")]).await.unwrap();
    }
    let offsets: Vec<_> = read_all(&log, &topic).await.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [0, 1, 3, 4, 6, 7]);
}

async fn another_handle_sees_what_was_published(world: World) {
    let (one, two) = (world.open().await, world.open().await);
    let topic = world.topic(&one, "t", 1).await;
    let mut reader = two.reader(&topic, ReadStart::Beginning).await.unwrap();
    assert_eq!(within(reader.next(Duration::from_secs(20))).await.unwrap(), None, "at its end, and says so at once");
    one.publish(vec![Output::to(&topic).value("0")]).await.unwrap();
    let record = within(async {
        loop {
            if let Some(record) = reader.next(Duration::from_secs(1)).await.unwrap() {
                return record;
            }
        }
    });
    assert_eq!(text(&record.await), "0");
}
