#![allow(clippy::unwrap_used)]

use precis_flow::{Headers, ORIGIN_HEADER, Record};
use precis_policy::Limits;
use tokio_util::sync::CancellationToken;

use super::*;

/// Everything that the router does with a document before its first request to another system:
/// identity, limits, text.
#[test]
fn broken_documents_are_survived() {
    let document = Document {
        document_id: "d".to_owned(),
        title: Some("Title".to_owned()),
        text: Some("Words\r\nand \u{85}more.".to_owned()),
        content_type: "text/markdown; charset=\"utf-8\"".to_owned(),
        language: Some("fr-CA".to_owned()),
        subject_ids: vec!["s".to_owned()],
        max_words: Some(50),
        ..Document::default()
    };
    let body = precis_schemas::BodyReference { key: "k".into(), sha256: String::new(), size_bytes: 5 };
    let by_reference = Document { text: None, body: Some(body), ..document.clone() };
    let valid = [document, by_reference].map(|document| codec::encode(&document).unwrap());
    precis_fuzz::survives("request", &valid, |bytes| {
        let record = Record {
            topic: topics::RETURNS.into(),
            partition: 0,
            offset: 7,
            timestamp_ms: 0,
            key: None,
            value: Some(bytes.to_vec()),
            headers: Headers::new().with(ORIGIN_HEADER, "documents.acme/0/3"),
        };
        let Ok(request) = Request::read(&Delivery::new(record, CancellationToken::new())) else { return };
        assert_eq!((request.claim.identity.tenant.as_str(), request.claim.origin.offset), ("acme", 3));
        let limits = Limits::default();
        let served = validate::request(&request.document, &limits).is_ok();
        if let (true, Some(text)) = (served, &request.document.text) {
            let _ = validate::text(text, &limits);
        }
    });
}
