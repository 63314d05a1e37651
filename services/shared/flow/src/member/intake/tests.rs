use proptest::prelude::*;

use super::*;

const fn records(records: usize) -> Load {
    Load { records, bytes: 10 * records }
}

fn topic(name: &str) -> Arc<str> {
    name.into()
}

/// Takes records of a topic one by one, as a log does, until it may take no more; gives how many.
fn fill(intake: &Intake, topic: &Arc<str>) -> usize {
    (0..1_000_000).take_while(|_| intake.admits(topic)).inspect(|_| intake.take(topic, records(1))).count()
}

#[test]
fn one_topic_alone_has_all_and_opens_again_at_half_of_it() {
    let (intake, topic) = (Intake::new(4, 1_000), topic("t"));
    intake.share_among(1);
    assert_eq!(fill(&intake, &topic), 4);
    intake.release([("t", records(1))]);
    assert!(!intake.admits("t"), "three of four: still closed");
    intake.release([("t", records(1))]);
    assert!(intake.admits("t"));
}

#[test]
fn bytes_close_the_intake_as_records_do() {
    let (intake, topic) = (Intake::new(100, 1_000), topic("t"));
    let large = Load { records: 1, bytes: 1_500 };
    intake.take(&topic, large);
    assert!(!intake.admits("t"));
    intake.release([("t", large)]);
    assert!(intake.admits("t"));
    assert_eq!(intake.holding(), Load::default());
}

#[test]
fn a_greedy_topic_leaves_a_third_free_for_those_that_come() {
    let (intake, greedy, other) = (Intake::new(300, 1_000_000), topic("greedy"), topic("other"));
    intake.share_among(2);
    assert_eq!(fill(&intake, &greedy), 200);
    // What it leaves is there for others though it never lets anything go.
    assert_eq!(fill(&intake, &other), 67);
    assert_eq!(intake.holding().records, 267, "and something is free for the next");
}

#[test]
fn greedy_topics_come_to_hold_the_same() {
    let (intake, one, two) = (Intake::new(300, 1_000_000), topic("one"), topic("two"));
    intake.share_among(2);
    let mut held = [fill(&intake, &one), fill(&intake, &two)];
    for _ in 0..200 {
        for (topic, held) in [&one, &two].into_iter().zip(&mut held) {
            intake.release([(&**topic, records(*held / 2))]);
            *held -= *held / 2;
        }
        held[0] += fill(&intake, &one);
        held[1] += fill(&intake, &two);
    }
    assert!(held.iter().all(|held| (80..=160).contains(held)), "{held:?}");
}

#[test]
fn a_topic_that_was_shut_opens_at_half_of_what_it_held() {
    let (intake, topic) = (Intake::new(300, 1_000_000), topic("t"));
    intake.share_among(2);
    assert_eq!(fill(&intake, &topic), 200);
    intake.release([("t", records(99))]);
    assert!(!intake.admits("t"));
    intake.release([("t", records(1))]);
    assert!(intake.admits("t"));
}

#[test]
fn a_topic_that_holds_nothing_is_let_in_whatever_others_hold() {
    let (intake, giant, other) = (Intake::new(100, 1_000), topic("giant"), topic("other"));
    intake.share_among(2);
    intake.take(&giant, Load { records: 1, bytes: 5_000 });
    assert!(intake.admits(&other));
    intake.take(&other, records(1));
    assert!(!intake.admits(&other), "one of it");
}

#[test]
fn one_that_has_all_gives_way_when_another_topic_is_assigned() {
    let (intake, one, two) = (Intake::new(300, 1_000_000), topic("one"), topic("two"));
    intake.share_among(1);
    assert_eq!(fill(&intake, &one), 300);
    intake.share_among(2);
    intake.release([("one", records(150))]);
    assert!(!intake.admits("one"), "half was enough alone, and is not now");
    assert_eq!(fill(&intake, &two), 100);
}

#[test]
fn every_change_of_what_is_admitted_is_told() {
    let (intake, topic) = (Intake::new(2, 1_000), topic("t"));
    let mut last = intake.version();
    let mut told = || {
        let told = intake.version() != last;
        last = intake.version();
        told
    };
    intake.take(&topic, records(1));
    assert!(!told(), "one of two");
    intake.take(&topic, records(1));
    assert!(told(), "shut");
    intake.release([("t", records(2))]);
    assert!(told(), "open");
    let suspended = intake.suspend();
    assert!(told());
    drop(suspended);
    assert!(told());
    intake.hold(true);
    assert!(told());
}

#[tokio::test]
async fn a_held_intake_wakes_its_waiter_when_it_is_let_go() {
    let intake = Intake::new(1, 1);
    intake.hold(true);
    let waiter = tokio::spawn({
        let intake = Arc::clone(&intake);
        async move { intake.opened("t").await }
    });
    tokio::task::yield_now().await;
    assert!(!waiter.is_finished());
    intake.hold(false);
    assert!(waiter.await.is_ok());
}

#[test]
fn a_paused_topic_is_not_read_whatever_is_held() {
    let (intake, paused) = (Intake::new(4, 1_000), topic("t"));
    let version = intake.version();
    intake.pause_topic(&paused);
    assert!(!intake.admits("t") && intake.admits("other") && !intake.is_shut("t"));
    intake.resume_topic("t");
    assert!(intake.admits("t"));
    assert_ne!(intake.version(), version);
}

#[test]
fn the_intake_stays_closed_until_the_last_suspension_ends() {
    let intake = Intake::new(4, 1_000);
    let (first, second) = (intake.suspend(), intake.suspend());
    drop(first);
    assert!(!intake.admits("t"));
    drop(second);
    assert!(intake.admits("t"));
}

proptest! {
    /// No topic is shut out and the limit holds but for one record a topic.
    #[test]
    fn no_topic_is_shut_out_and_the_limit_holds(
        steps in prop::collection::vec((0..5_usize, 1..20_usize, any::<bool>()), 0..200),
        assigned in 1..6_usize,
    ) {
        let intake = Intake::new(50, 400);
        intake.share_among(assigned);
        let topics: Vec<Arc<str>> = (0..assigned).map(|number| number.to_string().into()).collect();
        let mut held = vec![Vec::<Load>::new(); assigned];
        for (number, bytes, take) in steps {
            let number = number % assigned;
            if take && intake.admits(&topics[number]) {
                let record = Load { records: 1, bytes };
                intake.take(&topics[number], record);
                held[number].push(record);
            } else if let Some(record) = held[number].pop() {
                intake.release([(&*topics[number], record)]);
            }
            let all = held.iter().flatten().copied().fold(Load::default(), Load::and);
            prop_assert_eq!(intake.holding(), all);
            prop_assert!(all.records <= 50 + assigned && all.bytes < 400 + 20 * assigned);
            for (topic, held) in topics.iter().zip(&held) {
                prop_assert!(!held.is_empty() || intake.admits(topic));
            }
        }
        for (topic, held) in topics.iter().zip(&held) {
            intake.release(held.iter().map(|held| (&**topic, *held)));
        }
        prop_assert_eq!(intake.holding(), Load::default());
        prop_assert!(topics.iter().all(|topic| intake.admits(topic)), "nothing is held and all are open");
    }
}
