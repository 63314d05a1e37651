#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const LIMITS: Limits =
    Limits { window: Duration::from_secs(60), min_requests: 6, failure_share: 0.5, open: Duration::from_secs(15) };

fn go(circuit: &mut Circuit, now: Instant) -> Pass {
    match circuit.admit(now) {
        Admission::Go(pass) => pass,
        Admission::Wait(down) => panic!("{down:?}"),
    }
}

fn waits(wait: Duration, lasted: Duration) -> Admission {
    Admission::Wait(Down { wait, lasted })
}

/// Admits requests one after the other with these results. Whether the circuit is open then.
fn opens(outcomes: impl IntoIterator<Item = CallResult>) -> bool {
    let (mut circuit, now) = (Circuit::new(LIMITS), Instant::now());
    for outcome in outcomes {
        let Admission::Go(pass) = circuit.admit(now) else { return true };
        circuit.record(pass, outcome, now);
    }
    circuit.down(now).is_some()
}

#[test]
fn enough_failures_of_enough_documents_open_it() {
    let failures =
        |documents: &[u64]| documents.iter().map(|document| CallResult::Failed(Some(*document))).collect::<Vec<_>>();
    assert!(opens(failures(&[1, 2, 3, 1, 2, 3])));
    assert!(!opens(failures(&[1, 2, 3, 1, 2])), "five say nothing yet");
    assert!(!opens(failures(&[1, 2, 1, 2, 1, 2, 1, 2])), "two documents may be their own fault");
    assert!(opens(vec![CallResult::Failed(None); 6]), "no document can cause these");
}

/// Requests that say nothing about the provider do not count.
#[test]
fn half_of_the_requests_must_fail() {
    let mix = |answered: usize, failed: usize| {
        std::iter::repeat_n(CallResult::Answered, answered).chain(std::iter::repeat_n(CallResult::Failed(None), failed))
    };
    assert!(!opens(mix(8, 7)));
    assert!(opens(mix(8, 8)));
    assert!(!opens(std::iter::repeat_n(CallResult::Nothing, 50).chain(mix(0, 5))));
}

#[test]
fn what_lies_before_the_window_is_forgotten() {
    let (mut circuit, start) = (Circuit::new(LIMITS), Instant::now());
    for second in 0..20 {
        let now = start + Duration::from_secs(second * 13);
        let pass = go(&mut circuit, now);
        circuit.record(pass, CallResult::Failed(None), now);
    }
    assert_eq!(circuit.down(start), None, "five a minute are too few");
}

#[test]
fn one_request_probes_and_decides() {
    let (mut circuit, start) = (Circuit::new(LIMITS), Instant::now());
    let late = go(&mut circuit, start);
    for _ in 0..6 {
        let pass = go(&mut circuit, start);
        circuit.record(pass, CallResult::Failed(None), start);
    }
    assert_eq!(circuit.admit(start), waits(LIMITS.open, Duration::ZERO));
    let then = start + LIMITS.open;
    let probe = go(&mut circuit, then);
    assert_eq!(circuit.admit(then), waits(PROBE_POLL_INTERVAL, LIMITS.open));
    circuit.record(late, CallResult::Answered, then);
    assert_eq!(circuit.admit(then), waits(PROBE_POLL_INTERVAL, LIMITS.open), "a late answer is no probe");
    circuit.record(probe, CallResult::Nothing, then);
    let probe = go(&mut circuit, then);
    circuit.record(probe, CallResult::Failed(None), then);
    assert_eq!(circuit.admit(then), waits(LIMITS.open, LIMITS.open));
    let probe = go(&mut circuit, then + LIMITS.open);
    circuit.record(probe, CallResult::Answered, then + LIMITS.open);
    assert_eq!(circuit.down(then), None);
    for _ in 0..3 {
        go(&mut circuit, then + LIMITS.open);
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_was_never_sent_leaves_its_place_to_the_next() {
    let breaker = Breaker::new("openai", "m", LIMITS);
    for _ in 0..6 {
        breaker.admit().unwrap().record(CallResult::Failed(None));
    }
    assert_eq!(breaker.admit().unwrap_err(), HeldBack::Down(Down { wait: LIMITS.open, lasted: Duration::ZERO }));
    tokio::time::advance(LIMITS.open).await;
    drop(breaker.admit().unwrap());
    let probe = breaker.admit().unwrap();
    assert_eq!(breaker.admit().unwrap_err(), HeldBack::Down(Down { wait: PROBE_POLL_INTERVAL, lasted: LIMITS.open }));
    probe.record(CallResult::Answered);
    assert_eq!(breaker.down(), None);
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Ask,
    Tell(usize, CallResult),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![
        2 => Just(CallResult::Answered),
        3 => (0..4_u64).prop_map(|document| CallResult::Failed(Some(document))),
        1 => Just(CallResult::Failed(None)),
        1 => Just(CallResult::Nothing),
    ];
    let step = prop_oneof![
        1 => (0..20_000_u64).prop_map(Step::Pass),
        3 => Just(Step::Ask),
        3 => (any::<prop::sample::Index>(), outcome).prop_map(|(which, outcome)| Step::Tell(which.index(64), outcome)),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    /// Whatever happens, a circuit opens for a reason, lets one request probe and stays open as
    /// long as it says.
    #[test]
    fn it_opens_for_a_reason_and_lets_one_request_probe(steps in steps()) {
        let mut circuit = Circuit::new(LIMITS);
        let mut now = Instant::now();
        let mut under_way: Vec<(Pass, bool)> = Vec::new();
        // Results since the circuit was last closed, kept by hand.
        let mut told: Vec<(Instant, CallResult)> = Vec::new();
        let mut open_until = None;
        for step in steps {
            match step {
                Step::Pass(milliseconds) => now += Duration::from_millis(milliseconds),
                Step::Ask => match circuit.admit(now) {
                    Admission::Go(pass) => {
                        let is_probe = circuit.down(now).is_some();
                        prop_assert!(!is_probe || !under_way.iter().any(|(other, probe)| *probe && other.period == pass.period));
                        prop_assert!(open_until.is_none_or(|until| now >= until));
                        under_way.push((pass, is_probe));
                    }
                    Admission::Wait(down) => prop_assert!(down.wait <= LIMITS.open && circuit.down(now) == Some(down)),
                },
                Step::Tell(which, outcome) => {
                    if under_way.is_empty() {
                        continue;
                    }
                    let (pass, _) = under_way.swap_remove(which % under_way.len());
                    let (was_down, counts) = (circuit.down(now).is_some(), pass.period == circuit.period);
                    circuit.record(pass, outcome, now);
                    if counts && !was_down && outcome != CallResult::Nothing {
                        told.push((now, outcome));
                    }
                    match (was_down, circuit.down(now).is_some()) {
                        (false, true) => {
                            let recent: Vec<_> = told.iter().filter(|(at, _)| now - *at <= LIMITS.window).collect();
                            let failed = recent.iter().filter(|(_, outcome)| *outcome != CallResult::Answered).count();
                            let culprits: HashSet<_> = recent.iter().enumerate().filter_map(|(number, (_, outcome))| match outcome {
                                CallResult::Failed(Some(document)) => Some((*document, 0)),
                                CallResult::Failed(None) => Some((u64::MAX, number)),
                                _ => None,
                            }).collect();
                            prop_assert!(recent.len() >= 6 && failed * 2 >= recent.len() && culprits.len() >= 3);
                            open_until = Some(now + LIMITS.open);
                        }
                        (true, true) if counts && matches!(outcome, CallResult::Failed(_)) => open_until = Some(now + LIMITS.open),
                        (true, false) => {
                            prop_assert!(counts && outcome == CallResult::Answered);
                            told.clear();
                            open_until = None;
                        }
                        _ => {}
                    }
                }
            }
        }
        // From any state: when everything is answered, the circuit closes.
        drop(under_way);
        if circuit.down(now).is_some() {
            now += LIMITS.open;
            if let Admission::Go(pass) = circuit.admit(now) {
                circuit.record(pass, CallResult::Answered, now);
                prop_assert_eq!(circuit.down(now), None);
            }
        }
    }
}

fn unreadable(breaker: &Breaker, documents: std::ops::Range<u64>) -> Result<(), HeldBack> {
    for document in documents {
        breaker.admit()?.record(CallResult::Unreadable(document));
    }
    Ok(())
}

#[test]
fn unreadable_answers_in_a_row_hold_requests_back() {
    let breaker = Breaker::new("p", "m", LIMITS);
    unreadable(&breaker, 0..20).unwrap();
    assert!(matches!(breaker.admit(), Err(HeldBack::Unreadable(_))));
    assert_eq!(breaker.down(), None, "it answers");
}

#[test]
fn one_answer_that_can_be_read_lets_others_go_on() {
    let breaker = Breaker::new("p", "m", LIMITS);
    for _ in 0..5 {
        unreadable(&breaker, 0..19).unwrap();
        breaker.admit().unwrap().record(CallResult::Answered);
    }
    assert!(breaker.admit().is_ok());
}

#[test]
fn one_documents_unreadable_answers_say_nothing_of_others() {
    let breaker = Breaker::new("p", "m", LIMITS);
    for _ in 0..30 {
        unreadable(&breaker, 0..2).unwrap();
    }
    assert!(breaker.admit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_readable_answer_opens_the_way_again() {
    let breaker = Breaker::new("p", "m", LIMITS);
    unreadable(&breaker, 0..20).unwrap();
    tokio::time::advance(LIMITS.open).await;
    let probe = breaker.admit().unwrap();
    assert!(matches!(breaker.admit(), Err(HeldBack::Unreadable(_))), "one probes");
    probe.record(CallResult::Unreadable(1));
    tokio::time::advance(LIMITS.open).await;
    breaker.admit().unwrap().record(CallResult::Answered);
    unreadable(&breaker, 0..19).unwrap();
    assert!(breaker.admit().is_ok());
}
