#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::task::Poll;

use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::testing::adapters::{RECIPE, Recipe, base, registered};

/// Bytes of an adapter by [`RECIPE`].
const BYTES: u64 = 19_968;

fn cache(capacity: u64) -> (Arc<AdapterCache>, UnboundedReceiver<Message>) {
    let (inbox, messages) = mpsc::unbounded_channel();
    (Arc::new(AdapterCache::new(Some(base()), capacity, inbox)), messages)
}

fn entries(folder: &Path, count: u64) -> Vec<AdapterEntry> {
    (0..count).map(|seed| registered(folder, &format!("a{seed}"), Recipe { seed, ..RECIPE })).collect()
}

/// The slots that the engine's thread was told to give up.
fn dropped(messages: &mut UnboundedReceiver<Message>) -> Vec<u32> {
    let mut slots = Vec::new();
    while let Ok(Message::DropAdapter(slot)) = messages.try_recv() {
        slots.push(slot);
    }
    slots
}

#[tokio::test]
async fn an_adapter_is_read_once_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let entries = entries(folder.path(), 1);
    let (cache, _messages) = cache(BYTES);
    let slot = cache.lease(&entries[0]).await.unwrap().adapter.slot;
    std::fs::remove_dir_all(&entries[0].folder).unwrap();
    assert_eq!(cache.lease(&entries[0]).await.unwrap().adapter.slot, slot);
    assert_eq!(cache.in_memory(), (BYTES, 1));
}

#[tokio::test]
async fn the_adapter_unused_for_longest_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let entries = entries(folder.path(), 3);
    let (cache, mut messages) = cache(2 * BYTES);
    let mut slots = Vec::new();
    for entry in [&entries[0], &entries[1], &entries[0], &entries[2]] {
        slots.push(cache.lease(entry).await.unwrap().adapter.slot);
    }
    assert_eq!(slots, [0, 1, 0, 2], "each adapter has its own");
    assert_eq!(dropped(&mut messages), [slots[1]]);
    assert_eq!(cache.in_memory(), (2 * BYTES, 2));
}

/// An adapter in use stays; the request that needs its room waits until the engine's thread, too,
/// has given up the adapter.
#[tokio::test]
async fn an_adapter_in_use_is_never_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let entries = entries(folder.path(), 3);
    let (cache, mut messages) = cache(BYTES);
    let first = cache.lease(&entries[0]).await.unwrap();
    let on_the_thread = Arc::clone(&first.adapter.factors);
    let mut second = Box::pin(cache.lease(&entries[1]));
    assert!(futures_poll(&mut second).await.is_pending());
    // A later request waits behind, even for the adapter that is there.
    let mut third = Box::pin(cache.lease(&entries[0]));
    assert!(futures_poll(&mut third).await.is_pending());
    assert!(dropped(&mut messages).is_empty());
    drop(first);
    assert!(futures_poll(&mut second).await.is_pending(), "the thread still has it");
    assert_eq!(dropped(&mut messages), [0]);
    assert_eq!(cache.in_memory().0, BYTES, "no room is given away while the thread has the adapter");
    drop(on_the_thread);
    let second = second.await.unwrap();
    assert_eq!(cache.in_memory(), (BYTES, 1));
    drop(second);
    third.await.unwrap();
}

async fn futures_poll<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
    std::future::poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut *future).poll(context))).await
}

#[tokio::test]
async fn a_request_that_gives_up_waiting_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let entries = entries(folder.path(), 2);
    let (cache, _messages) = cache(BYTES);
    let first = cache.lease(&entries[0]).await.unwrap();
    let mut second = Box::pin(cache.lease(&entries[1]));
    assert!(futures_poll(&mut second).await.is_pending());
    drop(second);
    // Nobody waits any more, so the adapter that is there is had at once.
    assert!(futures_poll(&mut Box::pin(cache.lease(&entries[0]))).await.is_ready());
    drop(first);
    assert_eq!(cache.in_memory(), (BYTES, 1));
}

#[tokio::test]
async fn an_adapter_that_can_never_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let entries = entries(folder.path(), 1);
    let (cache, _messages) = cache(BYTES - 1);
    let error = cache.lease(&entries[0]).await.unwrap_err();
    assert_eq!(error.code(), "adapter_too_large");
    assert!(error.to_string().contains("19968") && error.to_string().contains("19967"), "{error}");
}

#[tokio::test]
async fn a_broken_adapter_takes_no_room_and_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let mut entries = entries(folder.path(), 2);
    std::fs::remove_dir_all(&entries[0].folder).unwrap();
    let (cache, _messages) = cache(BYTES);
    assert_eq!(cache.lease(&entries[0]).await.unwrap_err().code(), "bad_adapter");
    assert_eq!(cache.in_memory(), (0, 0));
    entries[1].bytes -= 2;
    assert_eq!(cache.lease(&entries[1]).await.unwrap_err().code(), "bad_adapter");
    entries[1].bytes += 2;
    assert!(cache.lease(&entries[1]).await.is_ok());
}

/// Many requests for more adapters than fit: all are served, and the bound holds throughout.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_requests_share_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let entries = Arc::new(entries(folder.path(), 5));
    let (cache, mut messages) = cache(2 * BYTES);
    let held: Arc<Mutex<BTreeMap<u32, Arc<Adapter>>>> = Arc::default();
    // The engine's thread, which keeps what it was given until it is told to give it up.
    let thread = tokio::spawn({
        let held = Arc::clone(&held);
        async move {
            while let Some(Message::DropAdapter(slot)) = messages.recv().await {
                held.lock().unwrap().remove(&slot);
            }
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    for request in 0..60 {
        let (cache, entries, held) = (Arc::clone(&cache), Arc::clone(&entries), Arc::clone(&held));
        tasks.spawn(async move {
            let lease = cache.lease(&entries[request * 7 % 5]).await.unwrap();
            held.lock().unwrap().insert(lease.adapter.slot, Arc::clone(&lease.adapter.factors));
            tokio::task::yield_now().await;
            assert!(cache.in_memory().0 <= 2 * BYTES);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    drop(cache);
    thread.await.unwrap();
}
