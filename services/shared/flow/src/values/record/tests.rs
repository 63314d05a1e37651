#![allow(clippy::unwrap_used)]

use super::*;

fn record(headers: Headers) -> Record {
    Record {
        topic: "documents.acme".into(),
        partition: 2,
        offset: 41,
        timestamp_ms: 0,
        key: None,
        value: None,
        headers,
    }
}

#[test]
fn headers_keep_order_and_duplicates_and_the_last_one_counts() {
    let headers = Headers::new().with("a", "1").with("b", "2").with("a", "3");
    assert_eq!(headers.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b", "a"]);
    assert_eq!(headers.get_str("a"), Some("3"));
    assert_eq!(headers.get("absent"), None);
}

#[test]
fn setting_a_header_replaces_every_one_of_its_name() {
    let mut headers = Headers::new().with("a", "1").with("b", "2").with("a", "3");
    headers.set("a", "4");
    assert_eq!(headers.iter().collect::<Vec<_>>(), [("b", b"2".as_slice()), ("a", b"4".as_slice())]);
}

#[test]
fn a_header_that_is_not_text_is_not_read_as_text() {
    let headers = Headers::new().with("a", vec![0xFF]);
    assert_eq!((headers.get_str("a"), headers.get("a")), (None, Some([0xFF].as_slice())));
}

#[test]
fn a_position_reads_back_what_it_displays() {
    let position = record(Headers::new()).position();
    assert_eq!(position.to_string(), "documents.acme/2/41");
    assert_eq!(Position::parse(&position.to_string()), Some(position));
}

#[test]
fn what_is_not_a_position_is_refused() {
    for text in ["", "topic", "topic/1", "/1/2", "topic/-1/2", "topic/1/-2", "topic/x/2"] {
        assert_eq!(Position::parse(text), None, "{text}");
    }
}

#[test]
fn origin_is_the_header_when_there_is_one_else_the_own_position() {
    assert_eq!(record(Headers::new()).claimed_origin().to_string(), "documents.acme/2/41");
    assert_eq!(
        record(Headers::new().with(ORIGIN_HEADER, "documents.acme/0/7")).claimed_origin().to_string(),
        "documents.acme/0/7"
    );
    assert_eq!(
        record(Headers::new().with(ORIGIN_HEADER, "nonsense")).claimed_origin().to_string(),
        "documents.acme/2/41"
    );
}

#[test]
fn attempts_without_a_readable_header_are_none() {
    assert_eq!(record(Headers::new()).claimed_attempts(), 0);
    assert_eq!(record(Headers::new().with(ATTEMPTS_HEADER, "many")).claimed_attempts(), 0);
    assert_eq!(record(Headers::new().with(ATTEMPTS_HEADER, "3")).claimed_attempts(), 3);
}

#[test]
fn copies_of_strangers_records_carry_no_control_header() {
    let headers = Headers::new()
        .with("precis-origin", "documents.acme/0/0")
        .with("own", "kept")
        .with("precis-replay", "true")
        .with("precis-attempts", "2")
        .with("precis-anything-later", "x")
        .with(codec::SCHEMA_HEADER, "document.v1")
        .with("own", "twice");
    let kept = headers.without_control();
    assert_eq!(kept.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["own", codec::SCHEMA_HEADER, "own"]);
}

#[test]
fn debug_output_shows_no_content() {
    let output = Output::to("t").key("secret-key").value("secret-value").header("h", "secret-header");
    assert!(!format!("{output:?}").contains("secret"));
    let mut record = record(Headers::new().with("h", "secret-header"));
    record.value = Some(b"secret-value".to_vec());
    assert!(!format!("{record:?}").contains("secret"));
}

#[test]
fn headers_without_content_are_not_free() {
    let headers = (0..1_000).fold(Headers::new(), |headers, _| headers.with("", ""));
    assert!(record(headers).size_bytes() > 48_000);
}

#[test]
fn what_publishers_put_into_headers_is_survived() {
    let corpus = [b"documents.acme/2/41".to_vec(), b"3".to_vec()];
    precis_fuzz::survives("headers", &corpus, |bytes| {
        let record = record(Headers::new().with(ORIGIN_HEADER, bytes).with(ATTEMPTS_HEADER, bytes));
        let origin = record.claimed_origin();
        assert_eq!(Position::parse(&origin.to_string()), Some(origin));
        let _ = record.claimed_attempts();
    });
}
