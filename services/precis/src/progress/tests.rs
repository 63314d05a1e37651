use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn tokens(read: u64, written: u64) -> Tokens {
    Tokens { read, written }
}

#[test]
fn time_left_follows_tokens_while_no_document_is_done() {
    let mut pace = Pace::new(10, 10, 1000);
    pace.sample(seconds(0), tokens(0, 0));
    assert_eq!(pace.left(), None);
    // Half of what 10 documents of 1000 words are expected to cost.
    pace.sample(seconds(30), tokens((500.0 * READ_A_WORD_AT_FIRST) as u64, (5.0 * WRITTEN_AT_FIRST) as u64));
    assert_eq!(pace.left(), Some(seconds(30)));
}

#[test]
fn documents_that_are_done_correct_the_estimate() {
    let mut pace = Pace::new(2, 2, 1000);
    pace.computed(500, tokens(2000, 10));
    pace.sample(seconds(0), tokens(0, 0));
    pace.sample(seconds(10), tokens(2000, 10));
    // The other 500 words will cost as much as these.
    assert_eq!(pace.left(), Some(seconds(10)));
}

#[test]
fn a_pause_is_forgotten_after_a_minute() {
    let mut pace = Pace::new(2, 2, 1000);
    pace.computed(500, tokens(1000, 0));
    pace.sample(seconds(0), tokens(0, 0));
    pace.sample(seconds(3600), tokens(900, 0));
    pace.sample(seconds(3610), tokens(1000, 0));
    pace.sample(seconds(3620), tokens(1100, 0));
    let left = pace.left().map(|left| left.as_secs());
    assert!(left < Some(200), "{left:?}");
}

#[test]
fn when_all_is_read_the_answers_are_still_to_come() {
    let mut pace = Pace::new(4, 4, 400);
    pace.sample(seconds(10), tokens((400.0 * READ_A_WORD_AT_FIRST) as u64, 0));
    assert!(pace.done() < 0.5, "{}", pace.done());
}

#[test]
fn more_tokens_than_expected_never_make_it_more_than_done() {
    let mut pace = Pace::new(1, 1, 10);
    pace.sample(seconds(5), tokens(1_000_000, 0));
    assert!(pace.done() < 1.0);
    pace.computed(10, tokens(1_000_000, 0));
    assert!((pace.done() - 1.0).abs() < f64::EPSILON);
}

#[test]
fn rates_count_what_was_computed_lately() {
    let mut pace = Pace::new(4, 3, 100);
    pace.settled_from_store();
    pace.computed(50, tokens(90, 10));
    assert!((pace.documents_a_minute(seconds(30)) - 2.0).abs() < 1e-9);
    pace.sample(seconds(0), tokens(0, 0));
    pace.sample(seconds(90), tokens(90, 10));
    pace.sample(seconds(100), tokens(1000, 100));
    assert!((pace.tokens_a_second() - 100.0).abs() < 1e-9, "{}", pace.tokens_a_second());
}
