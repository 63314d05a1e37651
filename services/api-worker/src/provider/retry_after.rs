//! The wait that a provider demands.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Longest wait that a header can demand: no header may stop a tier for ever.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// RFC 9110's preferred date format. No provider sends the two obsolete ones.
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// The wait that the headers demand: `retry-after-ms` (OpenAI's, milliseconds) before `Retry-After`
/// (seconds or a date, RFC 9110 §10.2.3).
///
/// A date is compared with the answer's own `Date`, not with this machine's clock, which may be
/// wrong; `now` serves for answers without one.
pub fn retry_after(headers: &HeaderMap, now: PrimitiveDateTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(wait) = text("retry-after-ms").and_then(|value| seconds(value, 1e-3)) {
        return Some(wait);
    }
    let value = text(RETRY_AFTER.as_str())?;
    if let Some(wait) = seconds(value, 1.0) {
        return Some(wait);
    }
    let until = PrimitiveDateTime::parse(value, HTTP_DATE).ok()?;
    let sent = text(DATE.as_str()).and_then(|value| PrimitiveDateTime::parse(value, HTTP_DATE).ok()).unwrap_or(now);
    // A date that has passed means no wait.
    Some(Duration::try_from(until - sent).unwrap_or_default().min(MAX_RETRY_AFTER))
}

fn seconds(value: &str, unit: f64) -> Option<Duration> {
    let number: f64 = value.parse().ok()?;
    (number.is_finite() && number >= 0.0)
        .then(|| Duration::from_secs_f64((number * unit).min(MAX_RETRY_AFTER.as_secs_f64())))
}

#[cfg(test)]
mod tests;
