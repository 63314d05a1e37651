#![allow(clippy::unwrap_used)]

use precis_objects::DirectoryStore;
use precis_schemas::Origin;

use super::*;
use crate::Identity;

const ONE_MORE: Result<u32, Spent> = Ok(1);

async fn store() -> (tempfile::TempDir, Arc<dyn ObjectStore>) {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(DirectoryStore::open(folder.path(), 1_000_000).await.unwrap());
    (folder, store)
}

fn claim(document_id: &str, revision: i64, request_digest: &str) -> Claim {
    Claim {
        identity: Identity { tenant: "acme".to_owned(), document_id: document_id.to_owned(), revision },
        origin: Origin { topic: "documents.acme".to_owned(), partition: 0, offset: 1 },
        request_digest: request_digest.to_owned(),
        replay: false,
    }
}

/// One process's or delivery's view.
fn requests(store: &Arc<dyn ObjectStore>, max: u32) -> PaidRequests {
    PaidRequests::new(store.clone(), &claim("one", 0, "a"), "api", max)
}

fn spent(requests: u32, unreadable: bool) -> Result<u32, Spent> {
    Err(Spent { requests, unreadable })
}

#[tokio::test]
async fn the_bound_holds_over_deliveries() {
    let (_folder, store) = store().await;
    for number in 0..3 {
        assert_eq!(requests(&store, 3).begin("a").await.unwrap(), Ok(number));
    }
    assert_eq!(requests(&store, 3).begin("a").await.unwrap(), spent(3, false));
    assert_eq!(requests(&store, 4).begin("a").await.unwrap(), Ok(3), "the policy was changed");
    for (claim, tier) in [
        (claim("two", 0, "a"), "api"),
        (claim("one", 0, "a"), "large"),
        (claim("one", 1, "a"), "api"),
        (claim("one", 0, "b"), "api"),
    ] {
        let other = PaidRequests::new(store.clone(), &claim, tier, 3);
        assert_eq!(other.begin("a").await.unwrap(), Ok(0), "{claim:?} {tier}");
    }
}

#[tokio::test]
async fn what_is_not_billed_does_not_count() {
    let (_folder, store) = store().await;
    for _ in 0..5 {
        let requests = requests(&store, 1);
        assert_eq!(requests.begin("a").await.unwrap(), Ok(0));
        requests.withdraw(0).await;
    }
}

/// Whichever request it was, and whoever sends the next: after the first unreadable answer one more
/// is sent.
#[tokio::test]
async fn after_an_unreadable_answer_one_more_is_sent() {
    for first in 0..3 {
        let (_folder, store) = store().await;
        for number in 0..=first {
            assert_eq!(requests(&store, 9).begin("a").await.unwrap(), Ok(number));
        }
        assert!(requests(&store, 9).unreadable(first).await.unwrap());
        assert_eq!(requests(&store, 9).begin("a").await.unwrap(), Ok(first + 1));
        assert!(!requests(&store, 9).unreadable(first + 1).await.unwrap());
        assert_eq!(requests(&store, 9).begin("a").await.unwrap(), spent(first + 2, true));
    }
}

#[tokio::test]
async fn an_answered_document_leaves_no_marker() {
    let (_folder, store) = store().await;
    let requests = requests(&store, 9);
    assert_eq!(requests.begin("a").await.unwrap(), Ok(0));
    assert!(requests.unreadable(0).await.unwrap());
    assert_eq!(requests.begin("b").await.unwrap(), ONE_MORE);
    requests.clear().await;
    assert!(store.list("requests/", 9).await.unwrap().is_empty());
}
