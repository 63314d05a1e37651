//! The promises. Each test gets an empty store.

use std::collections::HashSet;
use std::sync::Arc;

use precis_objects::claim_check::{fetch_body, put_body};
use precis_objects::{ObjectError, ObjectInfo, ObjectStore, Put, create_or_adopt, keys, probe};
use tokio::task::JoinSet;

use crate::places::MAX_OBJECT_BYTES;

type Store = Arc<dyn ObjectStore>;

/// Starts `writers` tasks at the same time and collects their results.
async fn race<T, F>(writers: usize, work: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(tokio::sync::Barrier::new(writers));
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let (start, work) = (Arc::clone(&start), work(writer));
        tasks.spawn(async move {
            start.wait().await;
            work.await
        });
    }
    tasks.join_all().await
}

fn bytes_of(writer: usize) -> Vec<u8> {
    format!("written by {writer}").into_bytes()
}

fn infos(keys: &[&str]) -> Vec<ObjectInfo> {
    keys.iter().map(|key| ObjectInfo { key: (*key).to_owned(), size: key.len() as u64 }).collect()
}

async fn fill(store: &Store, keys: &[&str]) {
    for key in keys {
        assert_eq!(store.put_if_absent(key, key.as_bytes().to_vec()).await.unwrap(), Put::Created);
    }
}

pub(crate) async fn a_created_object_reads_back(store: Store) {
    assert_eq!(store.put_if_absent("a/b", b"bytes".to_vec()).await.unwrap(), Put::Created);
    assert_eq!(store.get("a/b").await.unwrap().unwrap(), b"bytes");
}

pub(crate) async fn the_first_writer_stays_and_the_second_is_told(store: Store) {
    assert_eq!(store.put_if_absent("a", b"first".to_vec()).await.unwrap(), Put::Created);
    assert_eq!(store.put_if_absent("a", b"second".to_vec()).await.unwrap(), Put::Exists);
    // Also where the bytes are the same: only one created it.
    assert_eq!(store.put_if_absent("a", b"first".to_vec()).await.unwrap(), Put::Exists);
    assert_eq!(store.get("a").await.unwrap().unwrap(), b"first");
}

pub(crate) async fn of_sixteen_writers_one_wins_and_all_read_its_bytes(store: Store) {
    let results = race(16, |writer| {
        let store = Arc::clone(&store);
        async move {
            let put = store.put_if_absent("race/one", bytes_of(writer)).await.unwrap();
            (writer, put, store.get("race/one").await.unwrap().unwrap())
        }
    })
    .await;
    let winners: Vec<usize> =
        results.iter().filter(|(_, put, _)| *put == Put::Created).map(|(writer, ..)| *writer).collect();
    assert_eq!(winners.len(), 1, "winners: {winners:?}");
    for (writer, _, read) in results {
        assert_eq!(read, bytes_of(winners[0]), "writer {writer}");
    }
}

pub(crate) async fn of_eight_writers_for_each_of_twenty_keys_one_wins(store: Store) {
    let results = race(160, |writer| {
        let store = Arc::clone(&store);
        async move {
            let key = format!("race/{}", writer % 20);
            (key.clone(), writer, store.put_if_absent(&key, bytes_of(writer)).await.unwrap())
        }
    })
    .await;
    let mut created = HashSet::new();
    for (key, writer, _) in results.iter().filter(|(.., put)| *put == Put::Created) {
        assert!(created.insert(key.clone()), "{key} was created twice");
        assert_eq!(store.get(key).await.unwrap().unwrap(), bytes_of(*writer));
    }
    assert_eq!(created.len(), 20);
}

pub(crate) async fn racing_settlers_all_get_the_same_bytes(store: Store) {
    let key = keys::result("acme", "document", 0);
    let results = race(16, |writer| {
        let (store, key) = (Arc::clone(&store), key.clone());
        async move { create_or_adopt(store.as_ref(), &key, bytes_of(writer)).await.unwrap() }
    })
    .await;
    assert_eq!(results.iter().filter(|adopted| adopted.created).count(), 1);
    let stored = store.get(&key).await.unwrap().unwrap();
    assert!(results.iter().all(|adopted| adopted.bytes == stored));
}

pub(crate) async fn what_is_not_there_is_none(store: Store) {
    assert_eq!(store.get("a/b").await.unwrap(), None);
    assert_eq!(store.get_range("a/b", 0..10).await.unwrap(), None);
    assert_eq!(store.list("a", 10).await.unwrap(), []);
    store.delete("a/b").await.unwrap();
    store.put_if_absent("a/b/c", vec![1]).await.unwrap();
    assert_eq!(store.get("a/b").await.unwrap(), None);
    assert_eq!(store.get("a/b/c/d").await.unwrap(), None);
}

pub(crate) async fn ranges_end_where_the_object_ends(store: Store) {
    store.put_if_absent("a", b"0123456789".to_vec()).await.unwrap();
    store.put_if_absent("empty", Vec::new()).await.unwrap();
    for (range, expected) in [
        (0..10, "0123456789"),
        (0..1, "0"),
        (3..7, "3456"),
        (9..10, "9"),
        (5..100, "56789"),
        (10..20, ""),
        (100..101, ""),
        (4..4, ""),
    ] {
        let read = store.get_range("a", range.clone()).await.unwrap();
        assert_eq!(read.as_deref(), Some(expected.as_bytes()), "{range:?}");
    }
    assert_eq!(store.get_range("empty", 0..1).await.unwrap(), Some(Vec::new()));
    assert_eq!(store.get_range("empty", 0..0).await.unwrap(), Some(Vec::new()));
}

pub(crate) async fn listings_are_ordered_bounded_and_by_any_prefix(store: Store) {
    // A hyphen and a dot sort before the slash, a digit after it.
    let all = ["a-b/c", "a.b", "a/b", "a/b0", "a/c/d", "a0", "b"];
    fill(&store, &["b", "a/c/d", "a0", "a/b0", "a-b/c", "a/b", "a.b"]).await;
    assert_eq!(store.list("", 100).await.unwrap(), infos(&all));
    assert_eq!(store.list("", 3).await.unwrap(), infos(&all[..3]));
    assert_eq!(store.list("", 0).await.unwrap(), []);
    assert_eq!(store.list("a/", 100).await.unwrap(), infos(&["a/b", "a/b0", "a/c/d"]));
    assert_eq!(store.list("a/b", 100).await.unwrap(), infos(&["a/b", "a/b0"]));
    assert_eq!(store.list("a/c", 100).await.unwrap(), infos(&["a/c/d"]));
    assert_eq!(store.list("a", 100).await.unwrap(), infos(&all[..6]));
    for prefix in ["c", "a//", "/", "../", "a/c/d/", "é"] {
        assert_eq!(store.list(prefix, 100).await.unwrap(), [], "{prefix}");
    }
}

pub(crate) async fn listings_go_past_a_thousand_objects(store: Store) {
    const OBJECTS: usize = 1100;
    let mut writers = JoinSet::new();
    for first in 0..16 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for number in (first..OBJECTS).step_by(16) {
                store.put_if_absent(&format!("many/{number:05}"), Vec::new()).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let keys: Vec<String> = store.list("many/", 10_000).await.unwrap().into_iter().map(|object| object.key).collect();
    let expected: Vec<String> = (0..OBJECTS).map(|number| format!("many/{number:05}")).collect();
    assert_eq!(keys, expected);
    assert_eq!(store.list("many/", 1001).await.unwrap().len(), 1001);
}

pub(crate) async fn a_deleted_object_is_gone_and_may_be_created_again(store: Store) {
    store.put_if_absent("a", b"first".to_vec()).await.unwrap();
    store.delete("a").await.unwrap();
    assert_eq!(store.get("a").await.unwrap(), None);
    store.delete("a").await.unwrap();
    assert_eq!(store.put_if_absent("a", b"second".to_vec()).await.unwrap(), Put::Created);
    assert_eq!(store.get("a").await.unwrap().unwrap(), b"second");
}

pub(crate) async fn objects_of_every_size_come_back_whole(store: Store) {
    for size in [0, 1, 4095, 4096, 65_537, MAX_OBJECT_BYTES] {
        let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let key = format!("size/{size}");
        store.put_if_absent(&key, bytes.clone()).await.unwrap();
        assert!(store.get(&key).await.unwrap().unwrap() == bytes, "{size} bytes");
    }
}

pub(crate) async fn too_large_an_object_is_refused_with_its_numbers(store: Store) {
    let size = MAX_OBJECT_BYTES + 1;
    let error = store.put_if_absent("a", vec![0; size as usize]).await.unwrap_err();
    assert_eq!(error, ObjectError::TooLarge { key: "a".to_owned(), size, limit: MAX_OBJECT_BYTES });
    assert_eq!(store.get("a").await.unwrap(), None);
}

pub(crate) async fn keys_outside_the_alphabet_are_refused(store: Store) {
    for key in ["", "/a", "a/", "a//b", "../a", "a b", "é", ".tmp/a"] {
        assert_eq!(store.put_if_absent(key, vec![1]).await.unwrap_err().code(), "invalid_key", "{key}");
        assert_eq!(store.get(key).await.unwrap_err().code(), "invalid_key", "{key}");
        assert_eq!(store.delete(key).await.unwrap_err().code(), "invalid_key", "{key}");
    }
}

pub(crate) async fn documents_with_odd_ids_each_keep_their_own_result(store: Store) {
    let long = "x".repeat(4096);
    let longer = "x".repeat(4097);
    let ids = [
        "",
        "a",
        "A",
        "a/b",
        "a/b/c",
        "/",
        "..",
        "../../etc/passwd",
        "with space",
        "new\nline",
        "nul\0",
        "документ",
        "文書",
        "é",
        "e\u{301}",
        "%2F",
        &long,
        &longer,
    ];
    for tenant in ["acme", "Acme", "", "a/b", &long] {
        for id in ids {
            for revision in [0, 1] {
                let bytes = format!("{tenant}|{id}|{revision}").into_bytes();
                assert_eq!(
                    store.put_if_absent(&keys::result(tenant, id, revision), bytes).await.unwrap(),
                    Put::Created,
                    "{tenant:?} {id:?}"
                );
            }
        }
    }
    for id in ids {
        assert_eq!(
            store.get(&keys::result("acme", id, 1)).await.unwrap().unwrap(),
            format!("acme|{id}|1").into_bytes()
        );
    }
}

pub(crate) async fn tenants_see_only_their_own_results(store: Store) {
    for tenant in ["acme", "acme-2", "acme.2", "ac"] {
        store.put_if_absent(&keys::result(tenant, "document", 0), tenant.as_bytes().to_vec()).await.unwrap();
    }
    let found = store.list(&keys::results_of("acme"), 10).await.unwrap();
    assert_eq!(found.into_iter().map(|object| object.key).collect::<Vec<_>>(), [keys::result("acme", "document", 0)]);
}

pub(crate) async fn a_body_comes_back_by_its_reference(store: Store) {
    for (id, body) in [("a", "text".repeat(1000)), ("empty", String::new()), ("a/é\n", "é".to_owned())] {
        let body = body.into_bytes();
        let reference = put_body(store.as_ref(), "acme", id, 3, body.clone()).await.unwrap();
        assert_eq!(put_body(store.as_ref(), "acme", id, 3, body.clone()).await.unwrap(), reference, "again");
        assert_eq!(fetch_body(store.as_ref(), "acme", &reference, 4000).await.unwrap(), body);
    }
}

pub(crate) async fn a_body_that_is_not_there_is_missing(store: Store) {
    let reference = put_body(store.as_ref(), "acme", "a", 0, b"text".to_vec()).await.unwrap();
    store.delete(&reference.key).await.unwrap();
    let error = fetch_body(store.as_ref(), "acme", &reference, 100).await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("body_missing", precis_objects::Class::RetryRecord));
}

pub(crate) async fn a_body_that_was_changed_is_refused(store: Store) {
    let mut reference = put_body(store.as_ref(), "acme", "a", 0, b"text".to_vec()).await.unwrap();
    store.delete(&reference.key).await.unwrap();
    store.put_if_absent(&reference.key, b"TEXT".to_vec()).await.unwrap();
    let error = fetch_body(store.as_ref(), "acme", &reference, 100).await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("body_digest_mismatch", precis_objects::Class::Reject));
    reference.sha256 = keys::hash("TEXT").to_ascii_uppercase();
    assert_eq!(fetch_body(store.as_ref(), "acme", &reference, 100).await.unwrap(), b"TEXT", "hex in either case");
}

pub(crate) async fn a_body_longer_or_shorter_than_stated_is_refused(store: Store) {
    let reference = put_body(store.as_ref(), "acme", "a", 0, b"text".to_vec()).await.unwrap();
    for stated in [0, 3, 5] {
        let mut wrong = reference.clone();
        wrong.size_bytes = stated;
        let error = fetch_body(store.as_ref(), "acme", &wrong, 100).await.unwrap_err();
        assert_eq!(error.code(), "body_digest_mismatch", "{stated} bytes");
    }
}

pub(crate) async fn a_body_over_the_limit_is_refused_before_it_is_read(store: Store) {
    let mut reference = put_body(store.as_ref(), "acme", "a", 0, b"text".to_vec()).await.unwrap();
    assert_eq!(fetch_body(store.as_ref(), "acme", &reference, 4).await.unwrap(), b"text");
    store.delete(&reference.key).await.unwrap();
    let error = fetch_body(store.as_ref(), "acme", &reference, 3).await.unwrap_err();
    assert_eq!(error, ObjectError::BodyTooLarge { key: reference.key.clone(), size: 4, limit: 3 });
    reference.size_bytes = -1;
    assert_eq!(fetch_body(store.as_ref(), "acme", &reference, 3).await.unwrap_err().code(), "body_reference_invalid");
}

pub(crate) async fn a_reference_out_of_the_tenants_bodies_is_refused(store: Store) {
    let foreign = put_body(store.as_ref(), "acme-2", "a", 0, b"secret".to_vec()).await.unwrap();
    let own_result = keys::result("acme", "a", 0);
    for key in [foreign.key.as_str(), &own_result, "bodies/acme", "bodies/acme/../acme-2/x", "/etc/passwd", "", "é"] {
        let mut reference = foreign.clone();
        key.clone_into(&mut reference.key);
        let error = fetch_body(store.as_ref(), "acme", &reference, 100).await.unwrap_err();
        assert_eq!((error.code(), error.class()), ("body_reference_invalid", precis_objects::Class::Reject), "{key}");
    }
}

pub(crate) async fn the_probe_passes_and_leaves_nothing_behind(store: Store) {
    probe::conditional_create(&store, probe::S3_WRITERS).await.unwrap();
    assert_eq!(store.list("", 10).await.unwrap(), []);
    assert!(!store.describe().is_empty());
}
