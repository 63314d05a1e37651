#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash};

use precis_explore::{Model, explore};
use proptest::prelude::*;

use super::*;

fn queue(partition: i32, epoch: Epoch, key: Option<&str>) -> KeyQueue {
    queue_of("t", partition, epoch, key)
}

fn queue_of(topic: &str, partition: i32, epoch: Epoch, key: Option<&str>) -> KeyQueue {
    KeyQueue::new(PartitionId { topic: topic.into(), partition }, epoch, key.map(str::as_bytes))
}

#[test]
fn the_second_of_a_key_waits_for_the_first() {
    let mut queues = KeyQueues::new(usize::MAX);
    for item in 0..2 {
        queues.push(queue(0, 1, Some("a")), item);
    }
    let (first, item) = queues.next().unwrap();
    assert_eq!(item, 0);
    assert!(queues.next().is_none());
    queues.done(first);
    assert_eq!(queues.next().unwrap().1, 1);
}

#[test]
fn records_without_a_key_wait_for_nobody() {
    let mut queues = KeyQueues::new(usize::MAX);
    for item in 0..3 {
        queues.push(queue(0, 1, None), item);
    }
    let items: Vec<_> = std::iter::from_fn(|| queues.next()).map(|(_, item)| item).collect();
    assert_eq!(items, [0, 1, 2]);
}

#[test]
fn an_empty_key_is_a_key() {
    let mut queues = KeyQueues::new(usize::MAX);
    queues.push(queue(0, 1, Some("")), 0);
    queues.push(queue(0, 1, Some("")), 1);
    assert!(queues.next().is_some());
    assert!(queues.next().is_none());
}

#[test]
fn what_is_left_of_an_earlier_assignment_holds_up_nobody() {
    let mut queues = KeyQueues::new(usize::MAX);
    queues.push(queue(0, 1, Some("a")), 0);
    let (old, _) = queues.next().unwrap();
    queues.forget(|partition| partition.partition == 0);
    queues.push(queue(0, 2, Some("a")), 1);
    assert_eq!(queues.next().unwrap().1, 1);
    queues.push(queue(0, 2, Some("a")), 2);
    queues.done(old);
    assert!(queues.next().is_none(), "the end of the old one frees nobody");
}

#[test]
fn forgetting_a_partition_leaves_the_others() {
    let mut queues = KeyQueues::new(usize::MAX);
    for (partition, key, item) in [(0, "a", 0), (0, "a", 1), (1, "a", 2), (1, "a", 3)] {
        queues.push(queue(partition, 1, Some(key)), item);
    }
    queues.forget(|partition| partition.partition == 0);
    let (head, item) = queues.next().unwrap();
    assert_eq!(item, 2);
    queues.done(head);
    assert_eq!(queues.next().unwrap().1, 3);
    assert!(queues.next().is_none());
}

/// Items of topics, in this order, without keys.
fn of_topics(places: usize, topics: usize, items: &[(&'static str, usize)]) -> KeyQueues<&'static str> {
    let mut queues = KeyQueues::new(places);
    queues.share_among(topics);
    for (topic, count) in items {
        (0..*count).for_each(|_| queues.push(queue_of(topic, 0, 1, None), *topic));
    }
    queues
}

#[test]
fn topics_take_turns_however_many_one_has() {
    let mut queues = of_topics(usize::MAX, 3, &[("a", 1_000), ("b", 3), ("c", 1)]);
    let turns: String = std::iter::from_fn(|| queues.next()).map(|(_, topic)| topic).take(9).collect();
    assert_eq!(turns, "abcababaa");
}

#[test]
fn a_topic_whose_records_never_end_leaves_places_for_others() {
    let mut queues = of_topics(12, 2, &[("stuck", 100)]);
    assert_eq!(std::iter::from_fn(|| queues.next()).count(), 8, "twice what is free");
    (0..100).for_each(|_| queues.push(queue_of("other", 0, 1, None), "other"));
    let mut ended = 0;
    while let Some((queue, topic)) = queues.next() {
        assert_eq!(topic, "other");
        queues.done(queue);
        ended += 1;
    }
    assert_eq!(ended, 100);
    // Work that no turn began takes a place too.
    let beside = queue_of("stuck", 0, 1, None);
    (0..4).for_each(|_| queues.begin(&beside));
    queues.push(queue_of("other", 0, 1, None), "other");
    assert!(queues.next().is_none());
    queues.done(beside);
    assert!(queues.next().is_some());
}

#[test]
fn a_topic_alone_has_every_place() {
    let mut queues = of_topics(12, 1, &[("a", 100)]);
    assert_eq!(std::iter::from_fn(|| queues.next()).count(), 12);
}

proptest! {
    #[test]
    fn every_item_comes_out_once_in_the_order_of_its_key(
        keys in prop::collection::vec(0..4_u8, 0..60),
        finish_first in prop::collection::vec(any::<prop::sample::Index>(), 0..120),
    ) {
        let mut queues = KeyQueues::new(usize::MAX);
        for (item, key) in keys.iter().enumerate() {
            queues.push(queue(0, 1, Some(&key.to_string())), (*key, item));
        }
        let mut running: Vec<(KeyQueue, (u8, usize))> = Vec::new();
        let mut last: HashMap<u8, usize> = HashMap::new();
        let mut out = 0;
        let mut choices = finish_first.into_iter();
        loop {
            while let Some((queue, (key, item))) = queues.next() {
                prop_assert!(running.iter().all(|(_, (other, _))| *other != key), "two of one key at once");
                prop_assert!(last.insert(key, item).is_none_or(|before| before < item));
                running.push((queue, (key, item)));
                out += 1;
            }
            if running.is_empty() {
                break;
            }
            let chosen = choices.next().map_or(0, |choice| choice.index(running.len()));
            let (queue, _) = running.swap_remove(chosen);
            queues.done(queue);
        }
        prop_assert_eq!(out, keys.len());
    }
}

/// Records that come, take their turns and end in any order, and an assignment that ends once on
/// the way; beside it what each is at, by which the turns are told without any queues.
struct Turns;

const KEYS: [Option<&str>; 6] = [Some("a"), Some("a"), None, Some("b"), Some("a"), None];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Waiting,
    Running,
    Over,
}

#[derive(Clone)]
struct Turn {
    queues: KeyQueues<usize>,
    /// Of those that came: the assignment under which, and what they are at.
    came: Vec<(Epoch, At)>,
    forgotten: bool,
}

#[derive(Clone, Debug)]
enum Act {
    Come,
    Start,
    End(usize),
    Forget,
}

impl Turn {
    fn has_its_turn(&self, item: usize) -> bool {
        let (epoch, at) = self.came[item];
        let before = self.came[..item].iter().zip(KEYS);
        let mut of_its_key = before.filter(|((of, _), key)| *of == epoch && key.is_some() && *key == KEYS[item]);
        at == At::Waiting && of_its_key.all(|((_, at), _)| *at == At::Over)
    }
}

impl Model for Turns {
    type State = Turn;
    type Action = Act;

    fn initial(&self) -> Turn {
        Turn { queues: KeyQueues::new(usize::MAX), came: Vec::new(), forgotten: false }
    }

    fn key(&self, turn: &Turn, into: &mut DefaultHasher) {
        (&turn.came, turn.forgotten).hash(into);
        turn.queues.state_key(&|_, epoch| epoch, |item| *item, into);
    }

    fn actions(&self, turn: &Turn) -> Vec<Act> {
        let running = (0..turn.came.len()).filter(|item| turn.came[*item].1 == At::Running).map(Act::End);
        let come = (turn.came.len() < KEYS.len()).then_some(Act::Come);
        let forget = (!turn.forgotten).then_some(Act::Forget);
        let start = (0..turn.came.len()).any(|item| turn.has_its_turn(item)).then_some(Act::Start);
        running.chain(come).chain(forget).chain(start).collect()
    }

    fn next(&self, turn: &Turn, act: &Act) -> Result<Turn, String> {
        let mut turn = turn.clone();
        match *act {
            Act::Come => {
                let (item, epoch) = (turn.came.len(), 1 + Epoch::from(turn.forgotten));
                turn.queues.push(queue(0, epoch, KEYS[item]), item);
                turn.came.push((epoch, At::Waiting));
            }
            Act::Start => {
                let (_, item) = turn.queues.next().ok_or("somebody has a turn and does not get it")?;
                if !turn.has_its_turn(item) {
                    return Err(format!("{item} has no turn and gets it"));
                }
                turn.came[item].1 = At::Running;
            }
            Act::End(item) => {
                turn.queues.done(queue(0, turn.came[item].0, KEYS[item]));
                turn.came[item].1 = At::Over;
            }
            Act::Forget => {
                turn.forgotten = true;
                turn.queues.forget(|_| true);
                let waiting = turn.came.iter_mut().filter(|(_, at)| *at == At::Waiting);
                waiting.for_each(|(_, at)| *at = At::Over);
            }
        }
        Ok(turn)
    }

    fn check(&self, turn: &Turn) -> Result<(), String> {
        let nobody = !(0..turn.came.len()).any(|item| turn.has_its_turn(item));
        if nobody && turn.queues.clone().next().is_some() {
            return Err("nobody has a turn and somebody gets one".to_owned());
        }
        Ok(())
    }

    fn is_fault(&self, act: &Act) -> bool {
        matches!(act, Act::Forget)
    }

    fn is_done(&self, turn: &Turn) -> bool {
        turn.came.len() == KEYS.len()
            && turn.came.iter().all(|(_, at)| *at == At::Over)
            && turn.queues.waiting.is_empty()
            && turn.queues.topics.is_empty()
    }
}

/// In every order of events each has its turn and no queue is left.
#[test]
fn every_order_of_events_serves_all_and_leaves_no_queue() {
    if let Err(violation) = explore(&Turns, 100_000) {
        panic!("{violation}");
    }
}
