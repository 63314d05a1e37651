use super::*;

const FULL: &str = "log_full";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn failed(code: &str) -> Vec<Trouble> {
    vec![Trouble { code: code.to_owned(), message: "the disk is full".to_owned() }]
}

#[test]
fn a_run_that_saves_nothing_for_a_minute_is_over_and_says_why() {
    let mut standstill = Standstill::default();
    for at in (5..65).step_by(10) {
        standstill.note(seconds(at), 3, failed(FULL));
        assert!(standstill.over(seconds(at)).is_none(), "{at}");
    }
    let error = standstill.over(seconds(65)).map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("the disk is full") && error.contains(FULL), "{error}");
}

#[test]
fn the_reason_is_told_once_and_not_for_a_single_failure() {
    let mut standstill = Standstill::default();
    assert_eq!(standstill.note(seconds(0), 0, failed("store_unavailable")), None);
    let told = standstill.note(seconds(3), 0, failed("store_unavailable")).unwrap_or_default();
    assert!(told.contains("the disk is full"), "{told}");
    assert_eq!(standstill.note(seconds(4), 0, failed("store_unavailable")), None);
}

#[test]
fn the_reason_is_the_stores_own_words() {
    let mut standstill = Standstill::default();
    let message = "to be tried again, store_unavailable: no space left".to_owned();
    standstill.note(seconds(0), 0, vec![Trouble { code: "store_unavailable".to_owned(), message }]);
    assert_eq!(standstill.reason().map(|why| why.message.as_str()), Some("no space left"));
}

#[test]
fn a_document_that_ends_or_a_long_silence_ends_a_standstill() {
    let mut standstill = Standstill::default();
    standstill.note(seconds(0), 0, failed(FULL));
    standstill.note(seconds(30), 1, Vec::new());
    assert!(standstill.reason().is_none() && standstill.over(seconds(90)).is_none());

    standstill.note(seconds(100), 1, failed(FULL));
    standstill.note(seconds(150), 1, Vec::new());
    assert!(standstill.reason().is_none() && standstill.over(seconds(170)).is_none());
}

#[test]
fn what_a_provider_does_ends_no_run() {
    let mut standstill = Standstill::default();
    for at in 0..120 {
        assert_eq!(standstill.note(seconds(at), 0, failed("provider_down")), None);
    }
    assert!(standstill.reason().is_none() && standstill.over(seconds(120)).is_none());
}
