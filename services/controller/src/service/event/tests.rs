#![allow(clippy::unwrap_used)]

use super::*;
use crate::report::{Windows, report};
use crate::testing::{HOUR, Random, answered};
use crate::view::View;

/// Twelve days of 60 outcomes an hour, whose index falls by a tenth on the last day.
fn fallen() -> View {
    let (mut view, mut random) = (View::default(), Random::new(7));
    for hour in 0..12 * 24 {
        let mean = if hour >= 11 * 24 { 0.765 } else { 0.85 };
        for _ in 0..60 {
            let mut outcome = answered();
            outcome.settled_at = hour * HOUR;
            outcome.quality_index = Some(mean + 0.1 * (random.unit() - 0.5));
            view.add(&outcome);
        }
    }
    view
}

#[test]
fn a_fall_of_the_last_day_is_one_event_a_group() {
    let view = fallen();
    let now = Hour::of((12 * 24 - 1) * HOUR);
    let events = |now: Hour| {
        let windows = Windows::up_to(now.day(), 3, 8);
        QualityFell::of(&report(&view, &[Axis::Tier, Axis::Type], &windows), now)
    };
    let found = events(now);
    let [event] = &found[..] else { panic!("{found:?}") };
    assert_eq!(event.group_name(), r#"{"tier":"gpu","type":"letter"}"#);
    assert_eq!(event.since.to_string(), "1970-01-12T00:00Z");
    assert!(event.baseline.unwrap() > 0.84 && event.index.unwrap() < 0.84 && event.change.unwrap() < 0.0, "{event:?}");
    // The day before, nothing had fallen; two days later the alarm is old.
    assert_eq!(events(Hour::of((11 * 24 - 1) * HOUR)).len(), 0);
    assert_eq!(events(Hour::of((14 * 24) * HOUR)).len(), 0);
}
