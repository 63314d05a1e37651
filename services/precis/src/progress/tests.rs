use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn time_left_follows_tokens_while_no_document_is_done() {
    let mut pace = Pace::new(10, 1000);
    pace.sample(seconds(0), 0);
    assert_eq!(pace.left(seconds(1)), None);
    // Half of the tokens that 1000 words are expected to cost.
    pace.sample(seconds(30), (500.0 * TOKENS_A_WORD_AT_FIRST) as u64);
    assert_eq!(pace.left(seconds(30)), Some(seconds(30)));
}

#[test]
fn documents_that_are_done_correct_the_estimate() {
    let mut pace = Pace::new(2, 1000);
    pace.computed(500, 2000);
    pace.sample(seconds(10), 2000);
    // The other 500 words will cost 2000 tokens as well.
    assert_eq!(pace.left(seconds(10)), Some(seconds(10)));
}

#[test]
fn more_tokens_than_expected_never_make_it_more_than_done() {
    let mut pace = Pace::new(1, 10);
    pace.sample(seconds(5), 1_000_000);
    assert!(pace.done() < 1.0);
    pace.computed(10, 1_000_000);
    assert!((pace.done() - 1.0).abs() < f64::EPSILON);
}

#[test]
fn rates_count_what_was_computed_lately() {
    let mut pace = Pace::new(4, 100);
    pace.settled_from_store();
    pace.computed(50, 100);
    assert!((pace.documents_a_minute(seconds(30)) - 2.0).abs() < 1e-9);
    pace.sample(seconds(0), 0);
    pace.sample(seconds(20), 100);
    pace.sample(seconds(30), 1100);
    assert!((pace.tokens_a_second() - 100.0).abs() < 1e-9, "{}", pace.tokens_a_second());
}
