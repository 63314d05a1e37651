#![allow(clippy::unwrap_used)]

use super::*;

fn place(topic: &str, partition: i32) -> PartitionId {
    PartitionId { topic: topic.into(), partition }
}

fn id(last: char) -> TopicId {
    TopicId::parse(&format!("7QcY9yb_QzSZRiiIH8kxL{last}")).unwrap()
}

fn told(topic: &str, id: TopicId, changed: bool) -> Line {
    Line::Id { topic: topic.to_owned(), id, changed }
}

#[test]
fn the_id_of_a_topic_counts_while_it_is_read() {
    let mut reading = Reading::default();
    reading.note(told("a", id('x'), false));
    assert_eq!(reading.id("a"), None, "an id from before may be old");
    reading.assigned.extend([place("a", 0), place("a", 1)]);
    assert_eq!(reading.id("a"), Some(id('x')));
    reading.forget(&[place("a", 0)]);
    assert_eq!(reading.id("a"), Some(id('x')));
    reading.forget(&[place("a", 1)]);
    reading.assigned.insert(place("a", 0));
    assert_eq!(reading.id("a"), None);
}

/// A client that was told of no broker, and of none since, is replaced after a while.
#[test]
fn client_without_brokers_is_stuck_after_a_while() {
    let mut reading = Reading::default();
    reading.note(Line::Brokers { any: false });
    let later = Instant::now() + NO_BROKERS_TIMEOUT;
    assert_eq!(reading.stuck(Instant::now()), None, "it may come back by itself");
    reading.note(Line::Brokers { any: false });
    assert!(reading.stuck(later).is_some(), "since it was told first");
    reading.note(Line::Brokers { any: true });
    assert_eq!(reading.stuck(later), None);
    reading.note(Line::Brokers { any: false });
    reading.begin_anew();
    assert_eq!(reading.stuck(later), None, "another client");
}

#[test]
fn a_client_is_stuck_where_it_ignores_leaders_of_a_new_topic() {
    let ignored = |topic: &str| Line::LeaderIgnored { topic: topic.to_owned() };
    let mut reading = Reading::default();
    reading.note(told("a", id('x'), false));
    reading.note(told("b", id('y'), true));
    reading.note(ignored("a"));
    assert!(!reading.is_stuck, "a broker that is behind");
    reading.note(ignored("b"));
    assert!(reading.is_stuck);
}

#[test]
fn what_goes_is_not_started_again() {
    let mut reading = Reading::default();
    reading.assigned.extend([place("a", 0), place("b", 0)]);
    reading.start_later(place("a", 0), false);
    reading.start_later(place("b", 0), false);
    reading.forget(&[place("a", 0)]);
    let left: Vec<_> = reading.restarts.iter().map(|restart| restart.partition.clone()).collect();
    assert_eq!(left, [place("b", 0)]);
}
