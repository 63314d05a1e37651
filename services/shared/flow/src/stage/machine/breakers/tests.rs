#![allow(clippy::unwrap_used)]

use super::*;

const PAUSE: Duration = Duration::from_secs(30);
const LIMITS: RejectBreaker =
    RejectBreaker { window: 12, share: 0.75, probes: 6, first_pause: PAUSE, max_pause: Duration::from_secs(300) };

/// Breakers of topics that one sender has each, but for `work`, and their clock.
struct Bench {
    breakers: Breakers,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { breakers: Breakers::new(Some(LIMITS), |topic| topic != "work"), now: Instant::now() }
    }

    fn note(&mut self, topic: &str, outcome: &Outcome) -> Option<Change> {
        self.breakers.note(&topic.into(), outcome, self.now)
    }

    /// So many results at most, until the topic pauses: after how many it did.
    fn pauses_after(&mut self, topic: &str, most: usize, outcome: impl Fn(usize) -> Outcome) -> Option<usize> {
        (0..most).find(|number| matches!(self.note(topic, &outcome(*number)), Some(Change::Paused(_))))
    }

    fn pass(&mut self, time: Duration) -> Vec<Arc<str>> {
        self.now += time;
        self.breakers.wake(self.now)
    }
}

fn rejected(fault: Fault, sender: Option<&str>) -> Outcome {
    Outcome::Rejected(Cause { code: "bad", fault, sender: sender.map(Arc::from) })
}

fn bad() -> Outcome {
    rejected(Fault::Unknown, None)
}

#[test]
fn it_does_not_pause_before_its_window_is_full() {
    let mut bench = Bench::new();
    assert_eq!(bench.pauses_after("t", 100, |_| bad()), Some(11));
    assert_eq!(bench.breakers.max_running("t"), Some(0));
}

#[test]
fn it_pauses_at_its_share_and_only_by_a_rejection() {
    let mut bench = Bench::new();
    // Nine of twelve are its share; every third is published.
    let outcome = |number: usize| if number % 3 == 2 { Outcome::Published } else { bad() };
    assert_eq!(bench.pauses_after("t", 100, outcome), None);
    let outcome = |number: usize| if number % 4 == 3 { Outcome::Published } else { bad() };
    assert!(bench.pauses_after("t", 100, outcome).is_some_and(|number| number % 4 != 3));
}

#[test]
fn each_topic_has_a_state_of_its_own() {
    let mut bench = Bench::new();
    assert!(bench.pauses_after("t", 12, |_| bad()).is_some());
    assert_eq!(bench.pauses_after("other", 11, |_| bad()), None);
    assert_eq!(bench.breakers.max_running("other"), None);
    bench.now += Duration::from_secs(10);
    assert!(bench.pauses_after("other", 1, |_| bad()).is_some());
    let woken = |bench: &mut Bench, seconds| bench.pass(Duration::from_secs(seconds)).join(" ");
    assert_eq!((woken(&mut bench, 20), woken(&mut bench, 10)), ("t".to_owned(), "other".to_owned()));
}

/// Neither pauses, nor hides that everything else is rejected.
#[test]
fn what_only_a_sender_can_cause_counts_nothing() {
    let mut bench = Bench::new();
    assert_eq!(bench.pauses_after("t", 1_000, |_| rejected(Fault::Sender, None)), None);
    let mixed = |number: usize| if number.is_multiple_of(2) { bad() } else { rejected(Fault::Sender, None) };
    assert_eq!(bench.pauses_after("t", 1_000, mixed), Some(22));
}

#[test]
fn re_enqueued_records_count_nothing() {
    let mut bench = Bench::new();
    let thirds = |number: usize| if number % 3 == 2 { bad() } else { Outcome::Requeued };
    assert_eq!(bench.pauses_after("t", 1_000, thirds), Some(35));
}

#[test]
fn pauses_double_up_to_the_longest() {
    let mut bench = Bench::new();
    bench.pauses_after("t", 12, |_| bad()).unwrap();
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let lasts = bench.breakers.due().unwrap() - bench.now;
        pauses.push(lasts.as_secs());
        assert_eq!(bench.pass(lasts.saturating_sub(Duration::from_millis(1))).len(), 0);
        assert_eq!(bench.pass(Duration::from_millis(1)).join(" "), "t");
        assert_eq!(bench.pauses_after("t", 6, |_| bad()), Some(5), "as many as are tried");
    }
    assert_eq!(pauses, [30, 60, 120, 240, 300, 300]);
}

#[test]
fn few_records_are_tried_after_a_pause() {
    let mut bench = Bench::new();
    bench.pauses_after("t", 12, |_| bad()).unwrap();
    assert_eq!(bench.note("t", &bad()), None, "it was in process already");
    bench.pass(PAUSE);
    assert_eq!(bench.breakers.max_running("t"), Some(6));
    for left in (1..6).rev() {
        // What says nothing makes room for another.
        assert_eq!(bench.note("t", &rejected(Fault::Sender, None)), None);
        assert_eq!(bench.note("t", &Outcome::Published), Some(Change::Probed));
        assert_eq!(bench.breakers.max_running("t"), Some(left));
    }
    assert_eq!(bench.note("t", &Outcome::Published), Some(Change::Resumed));
    assert_eq!(bench.breakers.max_running("t"), None);
    bench.pauses_after("t", 12, |_| bad()).unwrap();
    assert_eq!(bench.breakers.due(), Some(bench.now + PAUSE), "as if it had never paused");
}

/// Not even beside others of whom few are rejected.
#[test]
fn one_sender_pauses_no_topic_that_others_share() {
    let evil = || rejected(Fault::Unknown, Some("evil"));
    for unknown in [false, true] {
        let mut bench = Bench::new();
        let outcome = |number: usize| match number % 100 {
            0 => rejected(Fault::Unknown, Some("acme")),
            1 => rejected(Fault::Unknown, Some("beta")),
            2..8 => Outcome::Published,
            _ if unknown => bad(),
            _ => evil(),
        };
        assert_eq!(bench.pauses_after("work", 10_000, |_| evil()), None);
        assert_eq!(bench.pauses_after("work", 10_000, outcome), None);
    }
}

#[test]
fn three_senders_of_whom_all_is_rejected_pause_a_topic() {
    let mut bench = Bench::new();
    let names = ["acme", "beta", "evil"];
    let any = |number: usize| rejected(Fault::Unknown, Some(names[number % 3]));
    assert_eq!(bench.pauses_after("work", 100, any), Some(11));
    bench.pass(PAUSE);
    assert_eq!(bench.pauses_after("work", 100, |_| any(2)), None, "one of them does not pause it again");
    assert_eq!(bench.breakers.max_running("work"), Some(4));
    assert!(bench.pauses_after("work", 100, any).is_some());
}

#[test]
fn what_no_sender_can_cause_pauses_any_topic() {
    let mut bench = Bench::new();
    assert_eq!(bench.pauses_after("work", 100, |_| rejected(Fault::Ours, None)), Some(11));
}

#[test]
fn only_topics_that_are_owned_are_remembered() {
    let mut bench = Bench::new();
    bench.pauses_after("t", 12, |_| bad()).unwrap();
    bench.note("open", &bad());
    assert_eq!(bench.breakers.keep(|topic| topic == "else").join(" "), "t", "that was paused");
    assert_eq!((bench.breakers.due(), bench.breakers.topics.len()), (None, 0));
}

#[test]
fn without_limits_nothing_pauses() {
    let mut breakers = Breakers::new(None, |_| true);
    assert!((0..1_000).all(|_| breakers.note(&"t".into(), &bad(), Instant::now()).is_none()));
}
