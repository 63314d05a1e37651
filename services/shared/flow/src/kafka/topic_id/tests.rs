#![allow(clippy::unwrap_used)]

use super::*;

const ID: &str = "7QcY9yb/QzSZRiiIH8kxLg";

fn place(topic: &str, partition: i32) -> PartitionId {
    PartitionId { topic: topic.into(), partition }
}

#[test]
fn an_id_is_written_as_kafkas_tools_write_it() {
    let id = TopicId::parse("7QcY9yb/QzSZRiiIH8k+Lg").unwrap();
    assert_eq!(id.to_string(), "7QcY9yb_QzSZRiiIH8k-Lg");
    assert_eq!(TopicId::parse(&id.to_string()), Some(id));
    for text in ["", "short", NO_ID, "7QcY9yb QzSZRiiIH8kxLg", "7QcY9yb/QzSZRiiIH8kxLgg"] {
        assert_eq!(TopicId::parse(text), None, "{text}");
    }
}

#[test]
fn the_first_id_of_a_topic_is_no_change() {
    for (old, changed) in [(NO_ID, false), ("X4NjRhGnQiW4n+BJ+KiCiA", true)] {
        let line = format!("[thrd:main]: Topic documents.a changed id from {old} to {ID}");
        let (topic, id) = ("documents.a".to_owned(), TopicId::parse(ID).unwrap());
        assert_eq!(Line::read("METADATA", &line), Some(Line::Id { topic, id, changed }));
    }
    let without_thread = format!("Topic t changed id from {NO_ID} to {ID}");
    assert!(Line::read("METADATA", &without_thread).is_some());
}

#[test]
fn a_leader_that_is_ignored_names_its_topic() {
    let line = "[thrd:main]: t.x [12]: ignoring outdated metadata update with leader epoch 0 which is older than our \
                cached epoch 4";
    assert_eq!(Line::read("BROKER", line), Some(Line::LeaderIgnored { topic: "t.x".to_owned() }));
}

#[test]
fn a_position_out_of_range_names_its_partition() {
    let line = "[thrd:main]: t [3]: offset reset (at offset 12 (leader epoch 0), broker 1) to offset INVALID (leader \
                epoch -1): fetch failed due to requested offset not available on the broker: Broker: Offset out of range";
    let expected = OutOfRange { partition: place("t", 3), position: Some(12), is_truncated: false };
    assert_eq!(Line::read("OFFSET", line), Some(Line::OutOfRange(expected)));
    let line = "[thrd:main]: t [0]: offset reset (at offset 9 (leader epoch 1), broker 1) to offset INVALID (leader \
                epoch -1): Partition log truncation detected at offset 9 (leader epoch 1): broker end offset is 5";
    let expected = OutOfRange { partition: place("t", 0), position: Some(9), is_truncated: true };
    assert_eq!(Line::read("OFFSET", line), Some(Line::OutOfRange(expected)));
}

#[test]
fn brokers_are_told_to_be_there_or_not() {
    for (count, any) in [(0, false), (1, true), (12, true)] {
        let line = format!("[thrd:main]: 127.0.0.1:9092/1: {count} brokers, 4 topics");
        assert_eq!(Line::read("METADATA", &line), Some(Line::Brokers { any }), "{line}");
    }
}

#[test]
fn other_lines_say_nothing() {
    for (facility, message) in [
        ("METADATA", "[thrd:main]: Topic t [0] Leader 1 Epoch 4"),
        ("METADATA", "[thrd:main"),
        ("METADATA", "[thrd:main]: h:9092/1: Requesting metadata for 2/2 topics"),
        ("METADATA", "[thrd:main]: h:9092/1:   Topic #0/3: 0 brokers with 4 partitions"),
        ("BROKER", "[thrd:main]: t [0]: leader 1 epoch 0 -> leader 1 epoch 0"),
        ("OFFSET", "[thrd:main]: t [0]: offset reset to 0"),
        ("OFFSET", "[thrd:main]: t: offset reset (at offset 3"),
        ("FETCH", "Topic t changed id from a to b"),
    ] {
        assert_eq!(Line::read(facility, message), None, "{message}");
    }
}
