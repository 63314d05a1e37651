#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::stage::live::Live;
use crate::stage::processor::Delivery;
use crate::values::{Headers, Output, Record};

const ALL: TransactionLimit = TransactionLimit { records: usize::MAX, bytes: usize::MAX };

fn delivery(offset: i64) -> Arc<Delivery> {
    let record = Record {
        topic: "t".into(),
        partition: 0,
        offset,
        timestamp_ms: 0,
        key: None,
        value: None,
        headers: Headers::new(),
    };
    Arc::new(Delivery::new(record, CancellationToken::new()))
}

fn output(offset: i64) -> Arc<[Output]> {
    [Output::to("out").value(offset.to_string())].into()
}

fn tracker(offsets: &[i64]) -> Tracker<Live> {
    let mut tracker = Tracker::<Live>::new(1);
    for offset in offsets {
        assert!(tracker.track(delivery(*offset), Instant::now()));
    }
    tracker
}

fn values(part: &Front<Arc<[Output]>>) -> Vec<i64> {
    let values = part.outputs.iter().flat_map(|outputs| outputs.iter());
    values.map(|output| String::from_utf8(output.value.clone().unwrap()).unwrap().parse().unwrap()).collect()
}

#[test]
fn only_the_contiguous_front_is_committed_whatever_the_gaps() {
    let mut tracker = tracker(&[3, 4, 7, 8, 9, 12]);
    for offset in [3, 4, 8, 12] {
        tracker.finish(offset, output(offset), false).unwrap();
    }
    let part = tracker.begin(&mut ALL.clone(), Rules::default()).unwrap();
    assert_eq!((values(&part), part.next_offset), (vec![3, 4], 5));
    tracker.confirm();
    tracker.finish(7, output(7), false).unwrap();
    let part = tracker.begin(&mut ALL.clone(), Rules::default()).unwrap();
    assert_eq!((values(&part), part.next_offset), (vec![7, 8], 9));
}

#[test]
fn aborted_records_are_committed_with_later_ones() {
    let mut tracker = tracker(&[0, 1]);
    tracker.finish(0, output(0), false).unwrap();
    assert_eq!(values(&tracker.begin(&mut ALL.clone(), Rules::default()).unwrap()), [0]);
    assert!(!tracker.ready(), "one transaction at a time");
    tracker.finish(1, output(1), false).unwrap();
    tracker.abort();
    assert_eq!(values(&tracker.begin(&mut ALL.clone(), Rules::default()).unwrap()), [0, 1]);
    assert_eq!(tracker.confirm().records, 2);
    assert_eq!(tracker.load(), Load::default());
}

#[test]
fn a_repeated_offset_is_dropped() {
    let mut tracker = tracker(&[5]);
    assert!(!tracker.track(delivery(5), Instant::now()));
    assert!(!tracker.track(delivery(4), Instant::now()));
    assert_eq!(tracker.finish(4, output(4), false), None);
    assert!(tracker.finish(5, output(5), false).is_some());
    assert_eq!(tracker.finish(5, output(5), false), None, "finished already");
}

#[test]
fn a_transaction_is_bounded_but_takes_one_large_record() {
    let mut tracker = tracker(&[0, 1, 2]);
    let mut bytes = 0;
    for offset in 0..3 {
        bytes = tracker.finish(offset, output(offset), false).unwrap();
    }
    let mut limit = TransactionLimit { records: 2, bytes: usize::MAX };
    let front = tracker.begin(&mut limit, Rules::default()).unwrap();
    assert_eq!((front.next_offset, front.cut, limit.records), (2, true, 0));
    tracker.abort();
    let mut limit = TransactionLimit { records: 9, bytes: bytes + 1 };
    assert_eq!(tracker.begin(&mut limit, Rules::default()).unwrap().next_offset, 1);
    tracker.abort();
    let mut limit = TransactionLimit { records: 9, bytes: 1 };
    assert_eq!(tracker.begin(&mut limit, Rules::default()).unwrap().next_offset, 1);
    tracker.abort();
    assert!(tracker.begin(&mut TransactionLimit { records: 0, bytes: 9_999 }, Rules::default()).is_none());
}

#[test]
fn a_refused_record_holds_back_later_ones() {
    let mut tracker = tracker(&[2, 4]);
    for offset in [2, 4] {
        tracker.finish(offset, output(offset), false).unwrap();
    }
    tracker.begin(&mut TransactionLimit { records: 1, bytes: usize::MAX }, Rules::default()).unwrap();
    assert_eq!(tracker.records_in_transaction(), 1);
    let (again, _) = tracker.take_back().unwrap();
    assert_eq!(again.record.offset, 2);
    assert!(!tracker.ready());
    tracker.finish(2, output(20), true).unwrap();
    assert_eq!(values(&tracker.begin(&mut ALL.clone(), Rules::default()).unwrap()), [20, 4]);
    assert!(tracker.take_back().is_none(), "its rejection is refused too: there is nothing better");
}

#[test]
fn the_oldest_open_record_is_the_first_unfinished_one() {
    let mut tracker = Tracker::<Live>::new(1);
    let first = Instant::now();
    let second = first + std::time::Duration::from_secs(1);
    tracker.track(delivery(0), first);
    tracker.track(delivery(1), second);
    assert_eq!(tracker.oldest_open(), Some(first));
    tracker.finish(0, output(0), false);
    assert_eq!(tracker.oldest_open(), Some(second));
    tracker.finish(1, output(1), false);
    assert_eq!(tracker.oldest_open(), None);
}

#[derive(Clone, Debug)]
enum Action {
    Read(i64),
    Finish(prop::sample::Index),
    Begin(usize),
    Confirm,
    Abort,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        3 => (1..4_i64).prop_map(Action::Read),
        3 => any::<prop::sample::Index>().prop_map(Action::Finish),
        2 => (1..5_usize).prop_map(Action::Begin),
        2 => Just(Action::Confirm),
        1 => Just(Action::Abort),
    ];
    prop::collection::vec(action, 0..80)
}

proptest! {
    /// Against the plain statement of what a tracker is for: the committed outputs are those of the
    /// seen offsets in their order, each once, up to the committed offset, and nothing unfinished
    /// lies below it.
    #[test]
    fn committed_outputs_are_a_prefix_of_what_was_seen(actions in actions()) {
        let mut tracker = Tracker::<Live>::new(1);
        let mut seen: Vec<i64> = Vec::new();
        let mut finished = BTreeSet::new();
        let mut committed: Vec<i64> = Vec::new();
        let mut open_front: Option<Front<Arc<[Output]>>> = None;
        for action in actions {
            match action {
                Action::Read(step) => {
                    let offset = seen.last().map_or(0, |last| last + step);
                    prop_assert!(tracker.track(delivery(offset), Instant::now()));
                    seen.push(offset);
                }
                Action::Finish(index) => {
                    let open: Vec<i64> = seen.iter().copied().filter(|offset| !finished.contains(offset)).collect();
                    if open.is_empty() {
                        continue;
                    }
                    let offset = *index.get(&open);
                    prop_assert!(tracker.finish(offset, output(offset), false).is_some());
                    finished.insert(offset);
                }
                Action::Begin(records) => {
                    let part = tracker.begin(&mut TransactionLimit { records, bytes: usize::MAX }, Rules::default());
                    if let Some(part) = part {
                        prop_assert!(open_front.is_none());
                        prop_assert!(!part.outputs.is_empty() && part.outputs.len() <= records);
                        open_front = Some(part);
                    }
                }
                Action::Confirm => {
                    tracker.confirm();
                    if let Some(part) = open_front.take() {
                        committed.extend(values(&part));
                        prop_assert_eq!(&committed[..], &seen[..committed.len()]);
                        let below = seen.iter().filter(|offset| **offset < part.next_offset);
                        prop_assert!(below.into_iter().all(|offset| finished.contains(offset)));
                    }
                }
                Action::Abort => {
                    tracker.abort();
                    open_front = None;
                }
            }
            let outstanding = seen.len() - committed.len();
            prop_assert_eq!(tracker.load().records, outstanding);
        }
    }
}
