use precis_flow::PartitionId;

use super::*;

fn lags(each: &[(i64, i64)]) -> Vec<PartitionLag> {
    let lag = |(partition, (committed, lag)): (usize, &(i64, i64))| PartitionLag {
        partition: PartitionId { topic: "work.gpu".into(), partition: partition as i32 },
        committed: *committed,
        end: committed + lag,
        lag: *lag,
    };
    each.iter().enumerate().map(lag).collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn room_is_what_the_lag_and_those_on_their_way_leave() {
    let (start, mut depth) = (Instant::now(), TopicDepth::default());
    assert_eq!(depth.room(10, start), u64::MAX, "nothing is known yet");
    depth.admit(start);
    depth.measured(Some(&lags(&[(5, 2), (7, 1)])), 10, start, start);
    assert_eq!(depth.room(10, start), 7);
    for _ in 0..7 {
        depth.admit(start);
    }
    assert_eq!(depth.room(10, start), 0);
    // Until the admitted documents are surely in the lag, they count twice.
    depth.measured(Some(&lags(&[(5, 9), (7, 1)])), 20, start + DELIVERY_GRACE, start + DELIVERY_GRACE);
    assert_eq!(depth.room(20, start), 3);
    depth.measured(Some(&lags(&[(5, 9), (7, 1)])), 20, start + seconds(1), start + seconds(1));
    assert_eq!(depth.room(20, start), 10);
}

#[test]
fn a_measurement_that_fails_leaves_what_is_known() {
    let (start, mut depth) = (Instant::now(), TopicDepth::default());
    depth.measured(Some(&lags(&[(0, 4)])), 10, start, start);
    depth.admit(start);
    assert!(depth.measured(None, 10, start + seconds(20), start + seconds(20)), "this is news");
    assert!(!depth.measured(None, 10, start + seconds(20), start + seconds(20)));
    assert_eq!((depth.room(10, start + seconds(20)), depth.lag()), (5, 4));
}

/// Workers without progress get as many documents again each minute, and none once they move.
#[test]
fn each_minute_without_progress_opens_the_limit_once_more() {
    let (start, mut depth) = (Instant::now(), TopicDepth::default());
    let at = |depth: &mut TopicDepth, after: u64, lags: Option<&[PartitionLag]>| {
        let now = start + seconds(after);
        depth.measured(lags, 10, now, now);
        depth.room(10, now)
    };
    let full = lags(&[(3, 10)]);
    assert_eq!(at(&mut depth, 0, Some(&lags(&[(2, 11)]))), 0);
    assert_eq!(at(&mut depth, 100, Some(&full)), 0, "they moved");
    assert_eq!(at(&mut depth, 110, Some(&full)), 0);
    assert_eq!(at(&mut depth, 169, Some(&full)), 0);
    assert_eq!(at(&mut depth, 170, Some(&full)), 10);
    // A measurement that fails shows no progress either.
    assert_eq!(at(&mut depth, 231, None), 20);
    assert_eq!(at(&mut depth, 240, Some(&lags(&[(4, 25)]))), 0);
    // Only a full topic can be stuck.
    assert_eq!(at(&mut depth, 400, Some(&lags(&[(4, 9)]))), 1);
    assert_eq!(at(&mut depth, 900, Some(&lags(&[(4, 9)]))), 1);
}
