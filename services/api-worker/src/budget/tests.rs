#![allow(clippy::unwrap_used)]

use time::macros::datetime;

use super::*;

#[test]
fn windows_are_calendar_days_and_months_in_utc() {
    let late = datetime!(2026-11-30 23:59:59.999 UTC);
    assert_eq!(window(Window::Day, late), "2026-11-30");
    assert_eq!(window(Window::Month, late), "2026-11");
    assert_eq!(window(Window::Month, late + std::time::Duration::from_millis(1)), "2026-12");
}
