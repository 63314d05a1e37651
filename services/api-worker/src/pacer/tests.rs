#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;

fn failure(kind: FailureKind, retry_after: Option<Duration>) -> Failure {
    Failure {
        provider: "openai",
        kind,
        detail: String::new(),
        retry_after,
        billing: Billing::NotBilled,
        request_id: None,
    }
}

fn pacer(concurrency: u32) -> Pacer {
    Pacer::new(Pace { concurrency, requests_per_minute: None, tokens_per_minute: None })
}

/// How many requests may be in flight at once now.
async fn room(pacer: &Pacer) -> usize {
    let mut permits = Vec::new();
    while let Ok(permit) = tokio::time::timeout(Duration::from_millis(1), pacer.enter(1)).await {
        permits.push(permit.unwrap());
    }
    permits.len()
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_ceiling_are_in_flight() {
    let pacer = pacer(3);
    assert_eq!(room(&pacer).await, 3);
    assert_eq!(room(&pacer).await, 3, "places are given back");
}

#[tokio::test(start_paused = true)]
async fn a_freed_place_wakes_the_next() {
    let pacer = Arc::new(pacer(1));
    let first = pacer.enter(1).await.unwrap();
    let waiting = tokio::spawn({
        let pacer = Arc::clone(&pacer);
        async move { pacer.enter(1).await.map(drop) }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(first);
    assert_eq!(waiting.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn throttling_halves_once_for_all_that_were_in_flight_together() {
    let pacer = pacer(16);
    let mut permits = Vec::new();
    for _ in 0..16 {
        permits.push(pacer.enter(1).await.unwrap());
    }
    for permit in permits {
        permit.failed(&failure(FailureKind::Throttled, None));
    }
    assert_eq!(room(&pacer).await, 8);
}

/// The limit rises up to the ceiling, and never falls below one.
#[tokio::test(start_paused = true)]
async fn successes_raise_the_limit_and_one_place_always_remains() {
    let pacer = pacer(4);
    for _ in 0..10 {
        tokio::time::advance(Duration::from_millis(1)).await;
        pacer.enter(1).await.unwrap().failed(&failure(FailureKind::Overloaded, None));
    }
    assert_eq!(room(&pacer).await, 1);
    for _ in 0..100 {
        pacer.enter(1).await.unwrap().succeeded(None, Remaining::default());
    }
    assert_eq!(room(&pacer).await, 4);
}

#[tokio::test(start_paused = true)]
async fn nobody_sends_before_retry_after_has_passed() {
    let pacer = pacer(4);
    let throttled_at = Instant::now();
    pacer.enter(1).await.unwrap().failed(&failure(FailureKind::Throttled, Some(Duration::from_secs(7))));
    drop(pacer.enter(1).await.unwrap());
    assert_eq!(throttled_at.elapsed(), Duration::from_secs(7));
}

/// Requests that wait and requests that come are refused alike.
#[tokio::test(start_paused = true)]
async fn out_of_money_refuses_everybody_until_the_pause_is_over() {
    let pacer = Arc::new(pacer(1));
    let permit = pacer.enter(1).await.unwrap();
    let waiting = tokio::spawn({
        let pacer = Arc::clone(&pacer);
        async move { pacer.enter(1).await.map(drop) }
    });
    tokio::task::yield_now().await;
    permit.failed(&failure(FailureKind::OutOfMoney, None));
    assert_eq!(waiting.await.unwrap(), Err(NoMoney));
    assert_eq!(pacer.enter(1).await.err(), Some(NoMoney));
    tokio::time::advance(OUT_OF_MONEY_PAUSE).await;
    assert!(pacer.enter(1).await.is_ok());
}

/// Requests of so many tokens that may go without waiting.
async fn burst(pacer: &Pacer, tokens: u64) -> usize {
    let mut count = 0;
    while let Ok(permit) = tokio::time::timeout(Duration::ZERO, pacer.enter(tokens)).await {
        permit.unwrap().succeeded(None, Remaining::default());
        count += 1;
    }
    count
}

#[tokio::test(start_paused = true)]
async fn a_minutes_requests_and_tokens_are_kept_to() {
    let pace = Pace { concurrency: 100, requests_per_minute: Some(60), tokens_per_minute: Some(6_000) };
    let small = Pacer::new(pace);
    assert_eq!(burst(&small, 1).await, 10, "ten seconds' worth at once");
    let started = Instant::now();
    for _ in 0..60 {
        small.enter(1).await.unwrap().succeeded(None, Remaining::default());
    }
    assert!((59.0..61.0).contains(&started.elapsed().as_secs_f64()), "{:?}", started.elapsed());
    assert_eq!(burst(&Pacer::new(pace), 250).await, 4);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_were_not_used_are_given_back() {
    let pace = Pace { concurrency: 100, requests_per_minute: Some(6_000), tokens_per_minute: Some(6_000) };
    let pacer = Pacer::new(pace);
    pacer.enter(1_000).await.unwrap().succeeded(Some(100), Remaining::default());
    pacer.enter(900).await.unwrap().failed(&failure(FailureKind::Transient, None));
    drop(pacer.enter(900).await.unwrap());
    let started = Instant::now();
    drop(pacer.enter(900).await.unwrap());
    assert_eq!(started.elapsed(), Duration::ZERO, "refused and never sent: nothing was used");
    pacer.enter(900).await.unwrap().succeeded(Some(0), Remaining { requests: None, tokens: Some(0) });
    drop(pacer.enter(100).await.unwrap());
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_large_request_is_not_overtaken_for_ever() {
    let pace = Pace { concurrency: 100, requests_per_minute: None, tokens_per_minute: Some(6_000) };
    let pacer = Arc::new(Pacer::new(pace));
    assert_eq!(burst(&pacer, 100).await, 10);
    let large = tokio::spawn({
        let pacer = Arc::clone(&pacer);
        async move { drop(pacer.enter(1_000).await.unwrap()) }
    });
    tokio::task::yield_now().await;
    for _ in 0..30 {
        pacer.enter(10).await.unwrap().succeeded(Some(10), Remaining::default());
    }
    assert!(large.is_finished(), "those that came after it waited for it");
}
