#![allow(clippy::unwrap_used)]

use std::hash::Hash;

use super::*;

/// Two counters that are stepped up to `top`. A fault takes one step back, once.
struct Counters {
    top: u8,
    forbidden: Option<(u8, u8)>,
    trap: Option<(u8, u8)>,
}

#[derive(Clone, Debug)]
enum Step {
    Left,
    Right,
    Back,
}

impl Model for Counters {
    type State = (u8, u8, bool);
    type Action = Step;

    fn initial(&self) -> Self::State {
        (0, 0, false)
    }

    fn key(&self, state: &Self::State, into: &mut DefaultHasher) {
        state.hash(into);
    }

    fn actions(&self, &(left, right, back): &Self::State) -> Vec<Step> {
        let mut actions = Vec::new();
        if self.trap != Some((left, right)) {
            actions.extend((left < self.top).then_some(Step::Left));
            actions.extend((right < self.top).then_some(Step::Right));
        }
        actions.extend((left > 0 && !back).then_some(Step::Back));
        actions
    }

    fn next(&self, &(left, right, back): &Self::State, action: &Step) -> Result<Self::State, String> {
        Ok(match action {
            Step::Left => (left + 1, right, back),
            Step::Right => (left, right + 1, back),
            Step::Back => (left - 1, right, true),
        })
    }

    fn check(&self, &(left, right, _): &Self::State) -> Result<(), String> {
        if self.forbidden == Some((left, right)) { Err("forbidden".to_owned()) } else { Ok(()) }
    }

    fn is_fault(&self, action: &Step) -> bool {
        matches!(action, Step::Back)
    }

    fn is_done(&self, state: &Self::State) -> bool {
        (state.0, state.1) == (self.top, self.top)
    }
}

const COUNTERS: Counters = Counters { top: 3, forbidden: None, trap: None };

#[test]
fn every_state_is_reached_once() {
    let explored = explore(&COUNTERS, 1_000).unwrap();
    assert_eq!((explored.states, explored.done), (32, 2));
    // Right thrice, left thrice, back, left again.
    assert_eq!(explored.depth, 8);
}

#[test]
fn a_violation_comes_with_its_shortest_trace() {
    let violation = explore(&Counters { forbidden: Some((2, 1)), ..COUNTERS }, 1_000).unwrap_err();
    assert_eq!((violation.what.as_str(), violation.trace.len()), ("forbidden", 3));
}

#[test]
fn a_state_that_only_a_fault_leads_out_of_is_stuck() {
    let violation = explore(&Counters { trap: Some((1, 1)), ..COUNTERS }, 1_000).unwrap_err();
    assert_eq!((violation.what.as_str(), violation.trace.len()), ("left alone from here, it is never done", 2));
}

#[test]
fn a_search_that_was_cut_short_proves_nothing() {
    let violation = explore(&COUNTERS, 10).unwrap_err();
    assert_eq!(violation.what, "there are more than 10 states");
}
