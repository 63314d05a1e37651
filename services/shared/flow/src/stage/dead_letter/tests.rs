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
    let kept = Kept { value_ref: None, bare: true };
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
