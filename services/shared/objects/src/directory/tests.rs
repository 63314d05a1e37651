#![allow(clippy::unwrap_used)]

use super::*;

const LIMIT: u64 = 1024;

async fn store(root: &Path) -> DirectoryStore {
    DirectoryStore::open(root, LIMIT).await.unwrap()
}

fn files_under(path: &Path) -> usize {
    fs::read_dir(path).unwrap().count()
}

#[tokio::test]
async fn no_temporary_file_is_left_behind() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path()).await;
    for _ in 0..3 {
        store.put_if_absent("a/b", vec![1]).await.unwrap();
    }
    assert_eq!(files_under(&root.path().join(TEMPORARY_DIRECTORY)), 0);
}

/// Half-written objects of dead processes go at start; younger ones may have a writer and stay.
#[tokio::test]
async fn only_old_half_written_objects_are_removed_at_start() {
    let root = tempfile::tempdir().unwrap();
    let temporary = root.path().join(TEMPORARY_DIRECTORY);
    fs::create_dir_all(&temporary).unwrap();
    let old = File::create(temporary.join("old")).unwrap();
    old.set_modified(SystemTime::now() - MAX_WRITE_TIME - Duration::from_mins(1)).unwrap();
    File::create(temporary.join("young")).unwrap();
    store(root.path()).await;
    assert!(!temporary.join("old").exists());
    assert!(temporary.join("young").exists());
}

#[tokio::test]
async fn a_half_written_object_is_in_no_listing() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path()).await;
    File::create(root.path().join(TEMPORARY_DIRECTORY).join("half")).unwrap();
    File::create(root.path().join("not a key")).unwrap();
    assert_eq!(store.list("", 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_key_under_another_key_is_refused_and_harms_neither() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path()).await;
    store.put_if_absent("a/b", vec![1]).await.unwrap();
    assert_eq!(store.put_if_absent("a/b/c", vec![2]).await.unwrap_err().code(), "invalid_key");
    assert_eq!(store.put_if_absent("a", vec![3]).await.unwrap_err().code(), "invalid_key");
    assert_eq!(store.get("a").await.unwrap(), None);
    store.delete("a").await.unwrap();
    assert_eq!(store.get("a/b").await.unwrap(), Some(vec![1]));
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_a_new_store() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("objects");
    let store = store(&root).await;
    store.put_if_absent("results/acme/one", vec![1]).await.unwrap();
    for path in ["", TEMPORARY_DIRECTORY, "results", "results/acme", "results/acme/one"] {
        assert_eq!(private::wider_mode(&root.join(path)), None, "{path:?}");
    }
}

#[tokio::test]
async fn a_path_that_is_a_file_is_a_clear_error() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("file");
    File::create(&path).unwrap();
    let error = DirectoryStore::open(&path, LIMIT).await.unwrap_err();
    assert_eq!(error.code(), "store_misconfigured");
    assert!(error.to_string().contains("file"), "{error}");
}

/// The loser of a race may have its answer before the winner has flushed. Both must see the same
/// bytes, from two stores as from two processes.
#[tokio::test]
async fn two_stores_on_one_directory_agree() {
    let root = tempfile::tempdir().unwrap();
    let (one, two) = (store(root.path()).await, store(root.path()).await);
    assert_eq!(one.put_if_absent("a/b", vec![1]).await.unwrap(), Put::Created);
    assert_eq!(two.put_if_absent("a/b", vec![2]).await.unwrap(), Put::Exists);
    assert_eq!(two.get("a/b").await.unwrap(), Some(vec![1]));
}
