use super::*;

const STRANGER: RDKafkaErrorCode = RDKafkaErrorCode::InconsistentGroupProtocol;

/// Notes a refusal each second, and returns when something was told, in seconds.
fn told(joining: &mut Joining, began: Instant, seconds: std::ops::Range<u64>) -> Vec<u64> {
    let is_told = |second: &u64| {
        let now = began + Duration::from_secs(*second);
        joining.note(STRANGER, now);
        joining.warning(now).is_some_and(|(_, why)| why.contains("assignment strategy"))
    };
    seconds.filter(is_told).collect()
}

#[test]
fn a_group_that_stays_shut_is_told_again_and_again() {
    let (mut joining, began) = (Joining::default(), Instant::now());
    assert_eq!(told(&mut joining, began, 0..140), [10, 70, 130]);
}

#[test]
fn a_refusal_that_passes_is_not_told() {
    let (mut joining, began) = (Joining::default(), Instant::now());
    assert!(told(&mut joining, began, 0..9).is_empty());
    joining.joined();
    assert!(told(&mut joining, began, 9..18).is_empty());
    // One long after the other is another.
    assert!(told(&mut joining, began, 100..105).is_empty());
    assert_eq!(joining.warning(began + Duration::from_secs(200)), None);
}

#[test]
fn other_errors_are_no_refusals() {
    let (mut joining, began) = (Joining::default(), Instant::now());
    for second in 0..60 {
        let now = began + Duration::from_secs(second);
        joining.note(RDKafkaErrorCode::AllBrokersDown, now);
        assert_eq!(joining.warning(now), None);
    }
}
