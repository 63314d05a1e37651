#![allow(clippy::unwrap_used)]

use precis_flow::{EmbeddedConfig, LogConfig, Output as Published};
use precis_pipeline::settle::{Claim, Draft};
use precis_pipeline::{Identity, identity};
use precis_schemas::{Document, Origin};

use super::*;

const A_MOMENT: Duration = Duration::from_millis(50);

fn outcome_of(document_id: &str) -> Published {
    let document = Document { document_id: document_id.to_owned(), ..Document::default() };
    let claim = Claim {
        identity: Identity { tenant: "local".to_owned(), document_id: document_id.to_owned(), revision: 0 },
        origin: Origin { topic: "documents.local".to_owned(), partition: 0, offset: 0 },
        request_digest: identity::request_digest(&document),
        replay: false,
    };
    let outcome = Draft::unrouted(&claim, &document, "", 0).failed("text_empty", "no words");
    Published::to(topics::SUMMARIES).record(&outcome).unwrap()
}

/// Whoever may write to the topic writes garbage before the outcome that is waited for.
#[tokio::test]
async fn records_that_are_no_outcome_are_skipped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let config = LogConfig { embedded: EmbeddedConfig { path: folder.path().join("log.db") }, ..LogConfig::default() };
    let log = precis_flow::open(&config).await.unwrap();
    log.ensure_topics(&topics::all(&["local".to_owned()], &["gpu".to_owned()], 1, None)).await.unwrap();
    let mut follower = Follower::new(&log, "local").await.unwrap();
    follower.expect("a", None);
    let garbage = |topic| Published::to(topic).value(b"no Avro".to_vec());
    let empty = Published::to(topics::SUMMARIES).key("k");
    let records = vec![garbage(topics::SUMMARIES), garbage(topics::DEAD_LETTERS), empty, outcome_of("a")];
    log.publish(records).await.unwrap();
    let mut ended = None;
    while ended.is_none() || follower.skipped().count() < 3 {
        ended = follower.next(A_MOMENT).await.unwrap().or(ended);
    }
    let (id, Ending::Outcome { outcome, .. }) = ended.unwrap() else { panic!("no outcome") };
    assert_eq!((id.as_str(), outcome.code.as_deref()), ("a", Some("text_empty")));
    assert_eq!((follower.open(), follower.skipped().count()), (0, 3));
}
