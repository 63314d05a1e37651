use precis_schemas::RecordHeader;

use super::*;

fn letter(topic: &str, headers: &[(&str, &str)]) -> DeadLetter {
    DeadLetter {
        id: format!("router/{topic}/2/17"),
        stage: "router".into(),
        code: "body_missing".into(),
        message: String::new(),
        topic: topic.into(),
        partition: 2,
        offset: 17,
        key: Some(b"doc".to_vec()),
        value: None,
        value_ref: None,
        headers: headers
            .iter()
            .map(|(name, value)| RecordHeader { name: (*name).to_owned(), value: value.as_bytes().to_vec() })
            .collect(),
        attempts: 3,
        tenant: None,
        failed_at: 0,
    }
}

fn replayed(letter: &DeadLetter) -> Target {
    replay_target(letter, headers_of(letter))
}

fn headers(target: &Target) -> Vec<(&str, &str)> {
    target.headers.iter().map(|(name, value)| (name, std::str::from_utf8(value).unwrap_or("?"))).collect()
}

/// A publisher's own headers of ours do not become believed ones because an operator replays its
/// dead letter.
#[test]
fn replayed_document_goes_to_returns_with_our_headers_alone() {
    let forged = [
        (ORIGIN_HEADER, "documents.other/0/0"),
        ("own", "kept"),
        (ATTEMPTS_HEADER, "2"),
        ("precis-proof", "00"),
        ("precis-schema", "document.v1"),
    ];
    let record = replayed(&letter("documents.acme", &forged));
    assert_eq!((record.topic.as_str(), record.partition), (topics::RETURNS, None));
    let expected = [
        ("own", "kept"),
        ("precis-schema", "document.v1"),
        (ORIGIN_HEADER, "documents.acme/2/17"),
        (REPLAY_HEADER, "router/documents.acme/2/17"),
    ];
    assert_eq!(headers(&record), expected);
}

#[test]
fn replayed_record_of_our_own_goes_back_as_it_was() {
    for topic in [topics::RETURNS, "work.gpu", topics::ESCALATIONS] {
        let own = [(ORIGIN_HEADER, "documents.acme/0/1"), (ATTEMPTS_HEADER, "2"), ("precis-proof", "00")];
        let record = replayed(&letter(topic, &own));
        assert_eq!((record.topic.as_str(), record.partition), (topic, Some(2)));
        let id = format!("router/{topic}/2/17");
        let expected = [(ORIGIN_HEADER, "documents.acme/0/1"), ("precis-proof", "00"), (REPLAY_HEADER, id.as_str())];
        assert_eq!(headers(&record), expected);
    }
}

#[test]
fn letters_tenant_is_that_of_the_publishers_topic() {
    let of = |topic: &str, headers: &[(&str, &str)]| tenant_of(&letter(topic, headers));
    assert_eq!(of("documents.acme", &[(ORIGIN_HEADER, "documents.other/0/1")]).as_deref(), Some("acme"));
    assert_eq!(of(topics::RETURNS, &[(ORIGIN_HEADER, "documents.other/0/1")]).as_deref(), Some("other"));
    for none in [&[][..], &[(ORIGIN_HEADER, "work.gpu/0/1")], &[(ORIGIN_HEADER, "documents.acme")]] {
        assert_eq!(of(topics::RETURNS, none), None, "{none:?}");
    }
    assert_eq!(of("work.gpu", &[]), None);
}
