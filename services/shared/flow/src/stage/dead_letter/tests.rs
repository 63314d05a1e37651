#![allow(clippy::unwrap_used)]

use precis_schemas::codec;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::values::Headers;

fn delivery(headers: Headers) -> Delivery {
    let record = Record {
        topic: "documents.acme".into(),
        partition: 0,
        offset: 3,
        timestamp_ms: 0,
        key: Some(vec![b'k'; 1_000]),
        value: Some(vec![0; 1_000]),
        headers,
    };
    Delivery::new(record, CancellationToken::new())
}

fn letter_of(delivery: &Delivery, rejection: &Rejection) -> (Output, DeadLetter) {
    let kept = Kept::all(&delivery.record).bare();
    let output = output("router", "dead-letters", delivery, rejection, kept, 9).unwrap();
    let letter = codec::decode(output.value.as_deref().unwrap()).unwrap();
    (output, letter)
}

/// The least that a dead letter holds is bounded whatever the record and the rejection say.
#[test]
fn the_smallest_dead_letter_is_small_whatever_is_said() {
    let rejection = Rejection::new("code", "é".repeat(3_000_000)).of_tenant("t".repeat(3_000_000));
    let origin = format!("{}/0/1", "t".repeat(3_000_000));
    let (output, letter) = letter_of(&delivery(Headers::new().with(ORIGIN_HEADER, origin)), &rejection);
    assert!(output.size_bytes() < 8 * 1024, "{} bytes", output.size_bytes());
    assert!(letter.message.starts_with("éé") && letter.message.contains('…'));
    assert_eq!(letter.tenant, None);
}

#[test]
fn an_ordinary_message_is_kept_whole() {
    let rejection = Rejection::new("code", "what happened").of_tenant("acme");
    let letter = letter_of(&delivery(Headers::new()), &rejection).1;
    assert!(letter.message.starts_with("what happened;"), "{}", letter.message);
    assert_eq!(letter.tenant.as_deref(), Some("acme"));
}

/// What fits is kept: the key first, then headers in their order, and the message says what is not.
#[test]
fn a_letter_keeps_what_it_has_room_for() {
    let headers = |count: usize| (0..count).fold(Headers::new(), |all, n| all.with(format!("h{n}"), "x".repeat(100)));
    let kept = |headers: Headers, room: Option<usize>| {
        let delivery = delivery(headers);
        let all = Kept::all(&delivery.record);
        let kept = room.map_or_else(|| all.clone(), |room| all.clone().within(&delivery.record, room));
        let letter = output("router", "dead-letters", &delivery, &Rejection::new("code", "bad"), kept, 9).unwrap();
        let letter: DeadLetter = codec::decode(letter.value.as_deref().unwrap()).unwrap();
        (letter.key.is_some(), letter.headers.len(), letter.message)
    };
    assert_eq!(kept(headers(3), None), (true, 3, "bad".to_owned()));
    let (key, count, message) = kept(headers(MAX_KEPT_HEADERS + 7), None);
    assert_eq!((key, count), (true, MAX_KEPT_HEADERS));
    assert!(message.ends_with("; 7 of its 1007 headers are left out"), "{message}");
    let (key, count, message) = kept(headers(30), Some(1_000 + 10 * 113));
    assert_eq!((key, count), (true, 10));
    assert!(message.ends_with("; 20 of its 30 headers are left out"), "{message}");
    let (key, count, message) = kept(headers(30), Some(999));
    assert_eq!((key, count), (false, 8), "the key alone is too large");
    assert!(message.ends_with("; its key of 1000 bytes is left out; 22 of its 30 headers are left out"), "{message}");
    let returned = headers(MAX_KEPT_HEADERS + 7).with(ORIGIN_HEADER, "documents.acme/0/1");
    let kept = Kept::all(&delivery(returned.clone()).record);
    assert_eq!((kept.headers.len(), kept.headers.last()), (MAX_KEPT_HEADERS, Some(&(returned.len() - 1))));
}
