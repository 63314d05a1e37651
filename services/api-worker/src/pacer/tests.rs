#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;
use crate::provider::Billing;

fn failure(kind: Kind, retry_after: Option<Duration>) -> Failure {
    Failure {
        provider: "openai",
        kind,
        detail: String::new(),
        retry_after,
        billing: Billing::NotBilled,
        request_id: None,
    }
}

/// How many requests may be in flight at once now.
async fn room(pacer: &Pacer) -> usize {
    let mut permits = Vec::new();
    while let Ok(permit) = tokio::time::timeout(Duration::from_millis(1), pacer.enter()).await {
        permits.push(permit.unwrap());
    }
    permits.len()
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_ceiling_are_in_flight() {
    let pacer = Pacer::new(3);
    assert_eq!(room(&pacer).await, 3);
    assert_eq!(room(&pacer).await, 3, "places are given back");
}

#[tokio::test(start_paused = true)]
async fn a_freed_place_wakes_the_next() {
    let pacer = Arc::new(Pacer::new(1));
    let first = pacer.enter().await.unwrap();
    let waiting = tokio::spawn({
        let pacer = Arc::clone(&pacer);
        async move { pacer.enter().await.map(drop) }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(first);
    assert_eq!(waiting.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn throttling_halves_once_for_all_that_were_in_flight_together() {
    let pacer = Pacer::new(16);
    let mut permits = Vec::new();
    for _ in 0..16 {
        permits.push(pacer.enter().await.unwrap());
    }
    for permit in permits {
        permit.failed(&failure(Kind::Throttled, None), "d");
    }
    assert_eq!(room(&pacer).await, 8);
}

#[tokio::test(start_paused = true)]
async fn successes_win_the_room_back_up_to_the_ceiling_and_one_place_is_always_left() {
    let pacer = Pacer::new(4);
    for _ in 0..10 {
        tokio::time::advance(Duration::from_millis(1)).await;
        pacer.enter().await.unwrap().failed(&failure(Kind::Overloaded, None), "d");
    }
    assert_eq!(room(&pacer).await, 1);
    for _ in 0..100 {
        pacer.enter().await.unwrap().succeeded();
    }
    assert_eq!(room(&pacer).await, 4);
}

#[tokio::test(start_paused = true)]
async fn nobody_sends_before_retry_after_has_passed() {
    let pacer = Pacer::new(4);
    let throttled_at = Instant::now();
    pacer.enter().await.unwrap().failed(&failure(Kind::Throttled, Some(Duration::from_secs(7))), "d");
    drop(pacer.enter().await.unwrap());
    assert_eq!(throttled_at.elapsed(), Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn out_of_money_refuses_those_who_wait_and_those_who_come_until_the_hold_is_over() {
    let pacer = Arc::new(Pacer::new(1));
    let permit = pacer.enter().await.unwrap();
    let waiting = tokio::spawn({
        let pacer = Arc::clone(&pacer);
        async move { pacer.enter().await.map(drop) }
    });
    tokio::task::yield_now().await;
    permit.failed(&failure(Kind::OutOfMoney, None), "d");
    assert_eq!(waiting.await.unwrap(), Err(Closed));
    drop(permit);
    assert_eq!(pacer.enter().await.err(), Some(Closed));
    tokio::time::advance(MONEY_HOLD).await;
    assert!(pacer.enter().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_document_that_fails_again_and_again_is_its_own_fault() {
    let pacer = Pacer::new(1);
    for _ in 0..20 {
        assert!(!pacer.enter().await.unwrap().failed(&failure(Kind::Transient, None), "poison"));
    }
}

#[tokio::test(start_paused = true)]
async fn several_documents_that_fail_in_a_row_are_the_providers_until_one_succeeds() {
    let pacer = Pacer::new(1);
    let mut looks_down = Vec::new();
    for document in ["a", "b", "c", "d"] {
        looks_down.push(pacer.enter().await.unwrap().failed(&failure(Kind::Transient, None), document));
    }
    assert_eq!(looks_down, [false, false, true, true]);
    pacer.enter().await.unwrap().succeeded();
    assert!(!pacer.enter().await.unwrap().failed(&failure(Kind::Transient, None), "e"));
}
