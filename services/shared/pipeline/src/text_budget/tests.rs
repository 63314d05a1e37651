#![allow(clippy::unwrap_used)]

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;

type Wait = Pin<Box<dyn Future<Output = Result<TextPermit, PipelineError>> + Send>>;

/// A request that waits, polled once so that it stands in its queue.
fn wait(budget: &TextBudget, tenant: &'static str, bytes: u64) -> Wait {
    wait_until(budget, tenant, bytes, CancellationToken::new())
}

fn wait_until(budget: &TextBudget, tenant: &'static str, bytes: u64, withdrawn: CancellationToken) -> Wait {
    let budget = budget.clone();
    let mut wait: Wait = Box::pin(async move { budget.acquire(tenant, bytes, &withdrawn).await });
    assert!(granted(&mut wait).is_none(), "there was room at once");
    wait
}

fn granted(wait: &mut Wait) -> Option<Result<TextPermit, PipelineError>> {
    match wait.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

fn take(wait: &mut Wait) -> TextPermit {
    granted(wait).expect("it waits still").unwrap()
}

#[test]
fn what_is_held_stays_within_the_budget() {
    let budget = TextBudget::new(100);
    let first = budget.try_acquire("a", 60).unwrap();
    assert!(budget.try_acquire("a", 41).is_none());
    let second = budget.try_acquire("b", 40).unwrap();
    assert_eq!(budget.held_bytes(), 100);
    drop((first, second));
    assert_eq!((budget.held_bytes(), budget.most_held_bytes()), (0, 100));
    assert!(locked(&budget.0.state).tenants.is_empty(), "nobody is remembered");
}

#[test]
fn a_text_larger_than_the_budget_takes_all_of_it() {
    let budget = TextBudget::new(100);
    let small = budget.try_acquire("a", 1).unwrap();
    let mut large = wait(&budget, "a", 1_000_000);
    drop(small);
    let large = take(&mut large);
    assert_eq!(budget.held_bytes(), 100);
    assert!(budget.try_acquire("a", 1).is_none());
    drop(large);
    assert_eq!(budget.held_bytes(), 0);
}

#[test]
fn a_small_text_does_not_overtake_a_large_one_for_ever() {
    let budget = TextBudget::new(100);
    let held = budget.try_acquire("b", 50).unwrap();
    let mut large = wait(&budget, "a", 100);
    for _ in 0..3 {
        assert!(budget.try_acquire("c", 1).is_none(), "one that comes later waits, too");
        let mut small = wait(&budget, "c", 50);
        assert!(granted(&mut small).is_none());
    }
    drop(held);
    assert_eq!(take(&mut large).bytes, 100);
}

/// One tenant's flood of large texts: another tenant's text comes next, and the flood holds no more
/// than half while others wait.
#[test]
fn a_flood_of_one_tenant_leaves_the_next_turn_to_others() {
    let budget = TextBudget::new(100);
    let mut flood: Vec<TextPermit> = (0..10).map(|_| budget.try_acquire("flood", 10).unwrap()).collect();
    let mut more: Vec<Wait> = (0..50).map(|_| wait(&budget, "flood", 10)).collect();
    let mut others: Vec<Wait> = (0..6).map(|_| wait(&budget, "other", 10)).collect();
    // Each of the first five that are given back goes to the other tenant.
    let mut got = Vec::new();
    for other in &mut others[..5] {
        drop(flood.pop());
        got.push(take(other));
    }
    assert!(more.iter_mut().all(|wait| granted(wait).is_none()));
    // Now each has half: the next goes to the flood again.
    drop(flood.pop());
    assert!(granted(&mut others[5]).is_none());
    let again: Vec<_> = more.iter_mut().filter_map(granted).collect();
    assert_eq!(again.len(), 1);
}

#[test]
fn tenants_that_wait_take_turns() {
    let budget = TextBudget::new(10);
    let held = budget.try_acquire("z", 10).unwrap();
    let mut waits: Vec<(&str, Wait)> =
        ["a", "a", "a", "b", "b"].into_iter().map(|tenant| (tenant, wait(&budget, tenant, 10))).collect();
    drop(held);
    let mut order = String::new();
    while !waits.is_empty() {
        let at = waits.iter_mut().position(|(_, wait)| granted(wait).is_some()).unwrap();
        order.push_str(waits.remove(at).0);
    }
    assert_eq!(order, "ababa");
}

#[test]
fn a_request_that_is_withdrawn_holds_up_nobody() {
    let budget = TextBudget::new(100);
    let held = budget.try_acquire("a", 60).unwrap();
    let withdrawn = CancellationToken::new();
    let mut large = wait_until(&budget, "b", 100, withdrawn.clone());
    let mut small = wait(&budget, "c", 40);
    withdrawn.cancel();
    assert_eq!(granted(&mut large).unwrap().unwrap_err().code(), "waiting_ended");
    drop(large);
    // The next release or request finds that nobody waits there any more.
    let released = locked(&budget.0.state).grant(&budget.0, "a", 0);
    drop(released);
    let small = take(&mut small);
    drop((held, small));
    assert_eq!(budget.held_bytes(), 0);
}

/// A permit that was granted and never received gives its bytes back.
#[test]
fn a_permit_that_nobody_receives_is_given_back() {
    let budget = TextBudget::new(10);
    let held = budget.try_acquire("a", 10).unwrap();
    let (mut one, two) = (wait(&budget, "a", 10), wait(&budget, "b", 10));
    drop(held);
    drop(two);
    assert_eq!(budget.held_bytes(), 10);
    drop(take(&mut one));
    assert_eq!(budget.held_bytes(), 0);
}

struct Text(&'static str);

impl HoldsText for Text {
    fn tenant(&self) -> &'static str {
        "a"
    }

    fn held_bytes(&self) -> u64 {
        self.0.len() as u64
    }
}

#[tokio::test]
async fn what_waits_for_room_is_read_again_afterwards() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (budget, reads, token) = (TextBudget::new(4), AtomicUsize::new(0), CancellationToken::new());
    let read = || {
        reads.fetch_add(1, Ordering::SeqCst);
        Ok(Text("text"))
    };
    let (_, held) = budget.hold(&token, read).await.unwrap();
    assert_eq!(reads.load(Ordering::SeqCst), 1, "there is room: it is read once");
    let mut waiting = Box::pin(budget.hold(&token, read));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(reads.load(Ordering::SeqCst), 2);
    drop(held);
    assert_eq!(waiting.await.unwrap().0.0, "text");
    assert_eq!(reads.load(Ordering::SeqCst), 3);
}

#[test]
fn use_and_limit_of_a_budget_are_shown_as_gauges() {
    let recorder = precis_telemetry::install_recorder();
    let budget = TextBudget::new(100);
    let permit = budget.try_acquire("a", 60).unwrap();
    let shows = |held: u64| {
        budget.show_now("budget-test");
        let page = recorder.render();
        page.contains(&format!("precis_text_bytes_held{{service=\"budget-test\"}} {held}\n"))
            && page.contains("precis_text_bytes_limit{service=\"budget-test\"} 100\n")
    };
    assert!(shows(60));
    drop(permit);
    assert!(shows(0));
}
