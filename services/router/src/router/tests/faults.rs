//! Whose fault the router's rejections are: what a publisher can cause must pause nothing.

use precis_flow::{Delivery, Fault, Headers, Processor, Record, StageError};
use precis_pipeline::topics;
use precis_schemas::{Document, codec};
use tokio_util::sync::CancellationToken;

use super::harness::{Deployment, THREE_TIERS};

async fn rejection(deployment: &Deployment, topic: &str, value: Option<Vec<u8>>) -> (&'static str, Fault) {
    let record = Record {
        topic: topic.into(),
        partition: 0,
        offset: 0,
        timestamp_ms: 0,
        key: None,
        value,
        headers: Headers::new(),
    };
    let delivery = Delivery::new(record, CancellationToken::new());
    match deployment.router.process(&delivery).await {
        Err(StageError::Reject(rejection)) => (rejection.code, rejection.fault),
        other => panic!("not rejected: {other:?}"),
    }
}

#[tokio::test]
async fn what_publishers_can_cause_is_theirs() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let topic = topics::documents("evil");
    let document = Document {
        document_id: "d".to_owned(),
        text: Some("Words.".to_owned()),
        content_type: "text/plain".to_owned(),
        ..Document::default()
    };
    let value = |change: fn(&mut Document)| {
        let mut changed = document.clone();
        change(&mut changed);
        Some(codec::encode(&changed).unwrap())
    };
    let mut cut_off = value(|_| {}).unwrap();
    cut_off.truncate(20);
    let mut unknown = value(|_| {}).unwrap();
    unknown[2..10].fill(7);
    let values = [
        (None, "empty_record"),
        (Some(b"garbage".to_vec()), "not_single_object"),
        (Some(unknown), "unknown_schema"),
        (Some(cut_off), "malformed_record"),
        (Some(vec![0; 2 * 1024 * 1024]), "record_too_large"),
        (value(|document| document.tenant = Some("acme".to_owned())), "tenant_mismatch"),
        (value(|document| document.document_id = String::new()), "document_id_invalid"),
        (value(|document| document.max_words = Some(1)), "max_words_out_of_range"),
        (value(|document| document.revision = -1), "revision_negative"),
        (value(|document| document.text = None), "body_missing"),
        (value(|document| document.text = Some(" ".to_owned())), "text_empty"),
        (value(|document| document.language = Some("no tag!".to_owned())), "language_invalid"),
    ];
    for (value, code) in values {
        assert_eq!(rejection(&deployment, &topic, value).await, (code, Fault::Sender));
    }
}

/// Only workers write escalations: one that cannot be read is a fault of this deployment.
#[tokio::test]
async fn an_unreadable_escalation_is_nobodys_but_ours() {
    let deployment = Deployment::with(THREE_TIERS).await;
    for value in [None, Some(b"garbage".to_vec())] {
        assert_eq!(rejection(&deployment, topics::ESCALATIONS, value).await.1, Fault::Ours);
    }
}
