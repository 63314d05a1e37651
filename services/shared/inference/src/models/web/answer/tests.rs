#![allow(clippy::unwrap_used)]

use reqwest::header::{HeaderName, HeaderValue};

use super::*;

fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
    of.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

fn answer(status: u16, of: &[(&'static str, &str)], from: u64) -> Answer {
    let resume = (from > 0).then(|| Resume { from, etag: "\"a\"".to_owned() });
    read(StatusCode::from_u16(status).unwrap(), &headers(of), resume.as_ref(), false)
}

#[test]
fn a_rest_is_taken_only_at_its_very_place() {
    let of = |range: &str| answer(206, &[("content-range", range), ("etag", "\"a\"")], 4);
    assert_eq!(of("bytes 4-9/10"), Answer::Rest { total: 10 });
    assert_eq!(of("bytes 4-6/10"), Answer::Rest { total: 10 });
    for range in [
        "bytes 3-9/10",
        "bytes 5-9/10",
        "bytes 4-10/10",
        "bytes 4-3/10",
        "bytes 4-9/*",
        "bytes */10",
        "4-9/10",
        "bytes 4-99999999999999999999/10",
        "",
    ] {
        assert_eq!(of(range), Answer::Changed, "{range}");
    }
    assert_eq!(answer(206, &[("content-range", "bytes 4-9/10")], 4), Answer::Rest { total: 10 });
    assert!(matches!(answer(206, &[("content-range", "bytes 0-9/10")], 0), Answer::Refused(_)));
}

#[test]
fn nothing_is_missing_where_the_server_has_no_more() {
    assert_eq!(answer(416, &[("content-range", "bytes */4")], 4), Answer::Complete);
    assert_eq!(answer(416, &[("content-range", "bytes */3")], 4), Answer::Changed);
    assert_eq!(answer(416, &[], 4), Answer::Changed);
    assert!(matches!(answer(416, &[], 0), Answer::Refused(_)));
}

#[test]
fn packed_bytes_are_refused() {
    for status in [200, 206] {
        let of = [("content-encoding", "gzip"), ("content-range", "bytes 4-9/10")];
        assert!(matches!(answer(status, &of, 4), Answer::Refused(_)), "{status}");
        let of = [("content-encoding", "identity"), ("content-range", "bytes 4-9/10")];
        assert!(!matches!(answer(status, &of, 4), Answer::Refused(_)), "{status}");
    }
}

#[test]
fn a_wait_that_a_server_asks_for_is_bounded() {
    let after = |value: &str| match answer(429, &[("retry-after", value)], 0) {
        Answer::Later { after, .. } => after,
        other => panic!("{other:?}"),
    };
    assert_eq!(after("7"), Some(Duration::from_secs(7)));
    assert_eq!(after("86400"), Some(MAX_RETRY_AFTER));
    assert_eq!(after("Fri, 31 Dec 1999 23:59:59 GMT"), None);
}

#[test]
fn only_a_digest_is_read_as_the_hubs_digest() {
    let digest = "0123456789abcdef".repeat(4);
    assert_eq!(linked_sha256(&headers(&[("x-linked-etag", &format!("\"{digest}\""))])), Some(digest.clone()));
    assert_eq!(linked_sha256(&headers(&[("x-linked-etag", &digest.to_uppercase())])), Some(digest));
    assert_eq!(linked_sha256(&headers(&[("x-linked-etag", "\"0123\"")])), None);
    assert_eq!(linked_sha256(&headers(&[])), None);
}

/// No answer whatever, of any server, makes a rest out of bytes that do not follow what came.
#[test]
fn any_answer_is_read_without_a_panic() {
    proptest::proptest!(|(status in 200_u16..600, range in "[ -~]{0,24}", etag in "[ -~]{0,8}", from in 0_u64..20)| {
        let of = headers(&[("content-range", range.as_str()), ("etag", etag.as_str()), ("content-length", "10")]);
        let resume = (from > 0).then(|| Resume { from, etag: "\"a\"".to_owned() });
        let answer = read(StatusCode::from_u16(status).unwrap(), &of, resume.as_ref(), true);
        if let Answer::Rest { total } = answer {
            assert!(range.starts_with(&format!("bytes {from}-")) && total > from);
        }
    });
}
