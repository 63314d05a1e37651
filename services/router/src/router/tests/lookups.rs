//! When the router looks a document up in the store, and how a settled document ends that it does
//! not look up.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use precis_flow::ORIGIN_HEADER;
use precis_objects::{ObjectError, ObjectInfo, ObjectStore, Put, keys};
use precis_pipeline::identity::REPLAY_HEADER;
use precis_pipeline::settle::Claim;
use precis_pipeline::{Settler, topics};
use precis_schemas::{Document, SwitchState, codec};

use super::harness::*;

/// The tests' policy without the exact cache.
fn uncached() -> String {
    THREE_TIERS.replace("exact = true", "exact = false")
}

/// A deployment in which the document is settled, and a router that does not know the document.
async fn settled_elsewhere(policy: &str) -> (Deployment, Vec<u8>) {
    let mut deployment = Deployment::with(policy).await;
    let first = deployment.route(&document()).await;
    let stored = deployment.settle(&first).await;
    deployment.replace_router();
    (deployment, stored)
}

/// A store that counts the requests to it.
struct CountingStore {
    store: Arc<dyn ObjectStore>,
    requests: Arc<AtomicUsize>,
}

#[async_trait]
impl ObjectStore for CountingStore {
    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Put, ObjectError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.store.put_if_absent(key, bytes).await
    }
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ObjectError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.store.get(key).await
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, ObjectError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.store.get_range(key, range).await
    }
    async fn list(&self, prefix: &str, limit: usize) -> Result<Vec<ObjectInfo>, ObjectError> {
        self.store.list(prefix, limit).await
    }
    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.store.delete(key).await
    }
    fn describe(&self) -> String {
        self.store.describe()
    }
}

#[tokio::test]
async fn a_new_document_is_routed_without_a_question_to_the_store() {
    let mut deployment = Deployment::with(&uncached()).await;
    let requests = Arc::new(AtomicUsize::new(0));
    let store = CountingStore { store: deployment.store.clone(), requests: requests.clone() };
    deployment.router = deployment.router_on(Arc::new(store));
    for index in 0..20 {
        deployment.route(&Document { document_id: format!("d{index}"), ..document() }).await;
    }
    assert_eq!(requests.load(Ordering::SeqCst), 0);
    deployment.route(&Document { document_id: "d7".to_owned(), ..document() }).await;
    assert_eq!(requests.load(Ordering::SeqCst), 1, "a document that is known here may be settled by now");
}

#[tokio::test]
async fn a_repeat_unknown_here_is_found_settled_at_its_tier() {
    let (deployment, stored) = settled_elsewhere(&uncached()).await;
    let work = routed(&deployment.publish(&document(), 8).await.unwrap());
    // A worker looks the document up first.
    let found = Settler::new(deployment.store.clone()).settled(&Claim::of(&work)).await.unwrap().unwrap();
    assert_eq!(found.value, Some(stored));
    assert!(is_repeat(&found));
    // From now on the router knows it.
    assert!(is_repeat(&deployment.publish(&document(), 9).await.unwrap()));
}

#[tokio::test]
async fn a_conflict_unknown_here_is_found_at_its_tier() {
    let (deployment, _) = settled_elsewhere(&uncached()).await;
    let changed = Document { text: Some("Something else.".to_owned()), ..document() };
    let work = routed(&deployment.publish(&changed, 8).await.unwrap());
    let error = Settler::new(deployment.store.clone()).settled(&Claim::of(&work)).await.unwrap_err();
    assert_eq!(error.code(), "id_conflict");
}

#[tokio::test]
async fn a_repeat_gets_its_outcome_although_todays_rules_refuse_it() {
    let (deployment, stored) = settled_elsewhere(&uncached()).await;
    deployment.apply(&format!("{}\n[limits]\nmax_text_bytes = 10\n", uncached())).await;
    let repeat = deployment.publish(&document(), 8).await.unwrap();
    assert_eq!(repeat.value, Some(stored));
    assert!(is_repeat(&repeat));
    let (code, outputs) = deployment.publish(&Document { revision: 1, ..document() }, 9).await.unwrap_err();
    assert_eq!((code, outputs.len()), ("text_too_large", 1), "a revision that is not settled is refused");
}

/// A repeat that no tier may take adopts its stored outcome; a conflict does not.
#[tokio::test]
async fn a_repeat_without_a_tier_adopts_its_outcome() {
    let (mut deployment, stored) = settled_elsewhere(&uncached()).await;
    for tier in ["gpu", "mid", "premium"] {
        deployment.switch(tier, SwitchState::Off).await;
    }
    let repeat = deployment.publish(&document(), 8).await.unwrap();
    assert_eq!(repeat.value.as_ref(), Some(&stored));
    assert!(is_repeat(&repeat));
    deployment.replace_router();
    let changed = Document { text: Some("Something else.".to_owned()), ..document() };
    assert_eq!(deployment.publish(&changed, 9).await.unwrap_err(), ("id_conflict", Vec::new()));
    assert_eq!(deployment.result(&document()).await, Some(stored));
}

#[tokio::test]
async fn a_cached_repeat_adopts_its_stored_outcome() {
    let (deployment, stored) = settled_elsewhere(THREE_TIERS).await;
    let other = deployment.route(&Document { document_id: "minutes-2".to_owned(), ..document() }).await;
    let key = keys::accepted("acme", &other.request_fingerprint, &deployment.control.effective().cache_generation);
    deployment.store.put_if_absent(&key, codec::encode(&answer(&other, "It rains.")).unwrap()).await.unwrap();
    let repeat = deployment.publish(&document(), 8).await.unwrap();
    assert_eq!(repeat.value, Some(stored), "not an outcome of its own");
    assert!(is_repeat(&repeat));
}

#[tokio::test]
async fn a_replay_is_looked_up_although_it_is_unknown_here() {
    let (deployment, stored) = settled_elsewhere(&uncached()).await;
    let mut replay = record(topics::RETURNS, codec::encode(&document()).unwrap(), 20);
    replay.headers.push(ORIGIN_HEADER, "documents.acme/0/20");
    replay.headers.push(REPLAY_HEADER, "true");
    let output = deployment.deliver(replay).await.unwrap();
    assert_eq!(output.value, Some(stored));
    assert!(is_repeat(&output));
}

/// Only operators replay: a publisher's word that its record is a replay costs no look-up.
#[tokio::test]
async fn replay_that_a_publisher_claims_is_none() {
    let (deployment, _) = settled_elsewhere(&uncached()).await;
    let mut claimed = record("documents.acme", codec::encode(&document()).unwrap(), 20);
    claimed.headers.push(REPLAY_HEADER, "true");
    assert!(!routed(&deployment.deliver(claimed).await.unwrap()).replay);
}

#[tokio::test]
async fn a_replay_delivered_again_is_still_the_first_publication() {
    let deployment = Deployment::with(&uncached()).await;
    // The router rejects the document, settles the replay itself, and dies before its transaction.
    let late = Document { submitted_at: i64::MAX, ..document() };
    let mut replay = record(topics::RETURNS, codec::encode(&late).unwrap(), 20);
    replay.headers.push(ORIGIN_HEADER, "documents.acme/0/20");
    replay.headers.push(REPLAY_HEADER, "true");
    let (_, first) = deployment.deliver(replay.clone()).await.unwrap_err();
    let again = deployment.deliver(replay).await.unwrap();
    assert_eq!(again.value, first[0].value);
    assert!(!is_repeat(&first[0]) && !is_repeat(&again), "else readers that leave repeats out never see it");
}
