#![allow(clippy::unwrap_used)]

use super::*;
use crate::provider::Remaining;
use crate::provider::http::request_id;
use reqwest::header::{HeaderName, HeaderValue};
use time::macros::datetime;

/// A clock that is an hour wrong.
const NOW: PrimitiveDateTime = datetime!(2026-11-23 11:00:00);

fn wait(headers: &[(&'static str, &str)]) -> Option<u128> {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    retry_after(&headers, NOW).map(|wait| wait.as_millis())
}

#[test]
fn seconds_and_milliseconds_are_read() {
    assert_eq!(wait(&[]), None);
    assert_eq!(wait(&[("retry-after", "30")]), Some(30_000));
    assert_eq!(wait(&[("retry-after", " 1.5 ")]), Some(1_500));
    assert_eq!(wait(&[("retry-after", "0")]), Some(0));
    assert_eq!(wait(&[("retry-after-ms", "250")]), Some(250));
    assert_eq!(wait(&[("retry-after-ms", "250"), ("retry-after", "1")]), Some(250));
}

#[test]
fn a_date_is_held_against_the_answers_own_clock() {
    let date = ("date", "Mon, 23 Nov 2026 12:00:00 GMT");
    assert_eq!(wait(&[("retry-after", "Mon, 23 Nov 2026 12:00:45 GMT"), date]), Some(45_000));
    assert_eq!(wait(&[("retry-after", "Mon, 23 Nov 2026 11:59:00 GMT"), date]), Some(0));
    assert_eq!(wait(&[("retry-after", "Mon, 23 Nov 2026 11:00:10 GMT")]), Some(10_000));
}

#[test]
fn nonsense_is_no_wait_and_no_header_stops_a_tier_for_ever() {
    for value in ["soon", "-1", "NaN", "inf", "Mon, 23 Nov", ""] {
        assert_eq!(wait(&[("retry-after", value)]), None, "{value}");
    }
    assert_eq!(wait(&[("retry-after", "1e300")]), Some(MAX_RETRY_AFTER.as_millis()));
    assert_eq!(wait(&[("retry-after", "Sat, 23 Nov 2030 12:00:00 GMT")]), Some(MAX_RETRY_AFTER.as_millis()));
}

/// Every header that is read gets the same value.
#[test]
fn broken_headers_are_survived_and_stop_no_tier_for_ever() {
    let corpus = ["120", "0.5", "Mon, 23 Nov 2026 12:00:45 GMT", "req_011CSHoE:x.y-z"];
    let corpus = corpus.map(|value| value.as_bytes().to_vec());
    precis_fuzz::survives("answer-headers", &corpus, |bytes| {
        let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
        for name in ["retry-after", "retry-after-ms", "date"] {
            let mut headers = HeaderMap::from_iter([(HeaderName::from_static(name), value.clone())]);
            headers.entry(RETRY_AFTER).or_insert_with(|| HeaderValue::from_static("Mon, 23 Nov 2026 12:00:45 GMT"));
            assert!(retry_after(&headers, NOW).is_none_or(|wait| wait <= MAX_RETRY_AFTER));
        }
        let names = ["anthropic-ratelimit-tokens-remaining", "x-ratelimit-remaining-requests"];
        let headers = names.map(|name| (HeaderName::from_static(name), value.clone()));
        let remaining = Remaining::from_headers(&HeaderMap::from_iter(headers));
        assert_eq!(remaining.requests, remaining.tokens);
        if let Some(id) = request_id(&value) {
            assert!(id.is_ascii() && !id.contains(' '), "it looks like text: {id}");
        }
    });
}
