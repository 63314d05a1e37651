#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::sync::mpsc::channel;

use super::*;

/// A call that comes back hands over what it returns.
#[test]
fn call_that_comes_back_is_waited_for() {
    assert_eq!(within(Duration::from_mins(1), "test", || 7).unwrap(), Some(7));
}

/// A call that never comes back is left to itself when the time is over.
#[test]
fn call_that_never_comes_back_is_given_up() {
    let (sender, never) = channel::<()>();
    assert_eq!(within(Duration::from_millis(10), "test", move || never.recv().is_ok()).unwrap(), None);
    drop(sender);
}
