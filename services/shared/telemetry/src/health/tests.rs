#![allow(clippy::unwrap_used)]

use super::*;

const LIMIT: Duration = Duration::from_secs(10);

/// `after` from the creation of `health`.
fn later(health: &Health, after: Duration) -> Report {
    health.report_at(Instant::now() + after)
}

#[test]
fn a_process_without_components_is_live_and_not_ready() {
    let report = Health::new().report();
    assert!(report.live);
    assert!(!report.ready);
}

#[test]
fn a_process_is_ready_when_all_its_components_are() {
    let health = Health::new();
    let consumer = health.register("consumer", LIMIT);
    let engine = health.register_without_ticks("engine");
    assert!(!health.report().ready);
    consumer.set_ready();
    assert!(!health.report().ready);
    engine.set_ready();
    assert!(health.report().ready);
}

#[test]
fn what_is_not_ready_says_why_and_is_still_live() {
    let health = Health::new();
    let consumer = health.register("consumer", LIMIT);
    consumer.set_ready();
    consumer.set_unready("broker unreachable");
    let report = health.report();
    assert!(report.live);
    assert!(!report.ready);
    assert_eq!(report.components[0].reason, "broker unreachable");
}

#[test]
fn a_component_that_stops_ticking_fails_the_process() {
    let health = Health::new();
    let consumer = health.register("consumer", LIMIT);
    consumer.set_ready();
    assert!(later(&health, LIMIT / 2).live);
    let report = later(&health, LIMIT * 2);
    assert!(!report.live && !report.ready);
    assert!(report.components[0].reason.contains("has not ticked for"), "{}", report.components[0].reason);
}

#[test]
fn a_tick_counts_from_when_it_came() {
    let health = Health::new();
    let consumer = health.register("consumer", LIMIT);
    // As if registered long ago: the tick alone keeps it alive.
    consumer.state.last_tick_ms.store(0, Ordering::Relaxed);
    let epoch = health.0.epoch;
    assert!(!health.report_at(epoch + LIMIT * 2).live);
    consumer.state.last_tick_ms.store(milliseconds(LIMIT), Ordering::Relaxed);
    assert!(health.report_at(epoch + LIMIT * 2).live);
}

#[test]
fn a_component_that_does_not_tick_never_stalls() {
    let health = Health::new();
    let engine = health.register_without_ticks("engine");
    engine.set_ready();
    assert!(later(&health, LIMIT * 1_000).ready);
}

#[test]
fn nothing_more_is_expected_of_a_finished_component() {
    let health = Health::new();
    let consumer = health.register("consumer", LIMIT);
    let engine = health.register_without_ticks("engine");
    engine.set_ready();
    consumer.finish();
    assert!(later(&health, LIMIT * 1_000).ready);
}

#[test]
fn a_component_that_vanishes_fails_the_process() {
    let health = Health::new();
    drop(health.register("consumer", LIMIT));
    let report = health.report();
    assert!(!report.live);
    assert_eq!(report.components[0].reason, "stopped without finishing");
}

#[test]
fn a_panicking_thread_takes_the_process_down_with_it() {
    let health = Health::new();
    let consumer = health.register("consumer", LIMIT);
    consumer.set_ready();
    let thread = std::thread::spawn(move || {
        let _held = consumer;
        panic!("as a bug would");
    });
    assert!(thread.join().is_err());
    assert!(!health.report().live);
}

#[test]
fn all_clones_see_the_same_components() {
    let health = Health::new();
    let clone = health.clone();
    let consumer = clone.register("consumer", LIMIT);
    consumer.set_ready();
    assert!(health.report().ready);
}
