use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, ThreadId};

use super::*;

/// Longer than any of these tests: nothing here waits for a clock.
const NEVER: Duration = Duration::from_secs(3_600);

fn thread_of(_: &str) -> ThreadId {
    thread::current().id()
}

#[tokio::test]
async fn only_work_on_long_texts_leaves_the_thread() {
    let here = thread::current().id();
    let short = "x".repeat(MAX_INLINE_BYTES);
    assert_eq!(on_text(&short, 0, thread_of).await, Ok(here));
    assert_ne!(on_text(&short, 1, thread_of).await, Ok(here));
    assert_ne!(on_text(&format!("{short}x"), 0, thread_of).await, Ok(here));
    assert_eq!(on_text(&format!("{short}x"), 0, str::len).await, Ok(MAX_INLINE_BYTES + 1));
}

/// However many documents wait, the runtime's own thread serves others meanwhile.
#[tokio::test]
async fn no_more_texts_are_read_at_once_than_there_are_places() {
    let places = Places::new(2, NEVER);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(std::sync::Mutex::new(released));
    let task = || {
        let (running, most, released) = (running.clone(), most.clone(), released.clone());
        places.run("text", move |_| {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let got = released.lock().is_ok_and(|released| released.recv().is_ok());
            running.fetch_sub(1, Ordering::SeqCst);
            got
        })
    };
    let others = async {
        while running.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
        for _ in 0..5 {
            assert!(release.send(()).is_ok());
        }
    };
    let all = async { tokio::join!(task(), task(), task(), task(), task()) };
    let (results, ()) = tokio::join!(all, others);
    assert_eq!(<[_; 5]>::from(results), [Ok(true); 5]);
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

/// The document goes on; the place is free again only when the work has really ended.
#[tokio::test]
async fn work_that_does_not_end_keeps_its_place_alone() {
    let places = Places::new(2, Duration::ZERO);
    let (release, released) = mpsc::channel::<()>();
    let stuck = places.run("text", move |_| released.recv().is_ok()).await;
    assert_eq!(stuck, Err(TimedOut));
    assert_eq!(places.free.available_permits(), 1);
    assert!(release.send(()).is_ok());
    while places.free.available_permits() < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
#[should_panic(expected = "a fault of the work")]
async fn a_panic_of_the_work_is_the_callers() {
    let places = Places::new(1, NEVER);
    let _ = places.run("text", |_| panic!("a fault of the work")).await;
}
