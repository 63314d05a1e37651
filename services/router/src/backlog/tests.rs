#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use precis_flow::PartitionId;
use precis_policy::{SwitchState, Switches};

use super::*;

const LOCAL: &str = include_str!("../../../../infra/policy/local.toml");

/// The shipped policy of one tier, with more TOML at its end.
fn effective(more: &str) -> EffectivePolicy {
    let policy = Arc::new(Policy::parse(&format!("{LOCAL}\n{more}")).unwrap());
    let (digest, cache_generation) = (policy.digest(), policy.cache_generation());
    EffectivePolicy { policy, digest, switches: Switches::default(), cache_generation }
}

/// A backlog whose tier was measured: `waiting` documents wait there.
fn measured(effective: &EffectivePolicy, waiting: i64) -> Arc<Backlog> {
    let backlog = Arc::new(Backlog::default());
    measure(&backlog, effective, waiting);
    backlog
}

fn measure(backlog: &Backlog, effective: &EffectivePolicy, waiting: i64) {
    let partition = PartitionId { topic: "work.gpu".into(), partition: 0 };
    let lag = PartitionLag { partition, committed: 100 - waiting, end: 100, lag: waiting };
    // Measured a second later, so that every document admitted before is in the topic.
    backlog.measured(&effective.policy, "gpu", &Ok(vec![lag]), Instant::now() + Duration::from_secs(1));
}

fn request(tenant: &str) -> QueueRequest<'_> {
    QueueRequest { tenant, tier: "gpu", place: Place { partition: 0, offset: 0, priority: 0, cost: 1 }, until_ms: None }
}

/// Starts a document's request for its place.
fn spawn(backlog: &Arc<Backlog>, effective: &EffectivePolicy, tenant: &'static str) -> tokio::task::JoinHandle<Wait> {
    let (backlog, effective) = (backlog.clone(), effective.clone());
    tokio::spawn(async move { backlog.enter(&effective, request(tenant), &CancellationToken::new()).await })
}

async fn waiting(backlog: &Backlog, documents: usize) {
    while backlog.lock().queue("gpu").waiting.len() != documents {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn without_room_documents_wait_and_then_go_by_turns() {
    let effective = effective("max_backlog = 10");
    let backlog = measured(&effective, 9);
    assert!(backlog.has_room(&effective.policy, "gpu"));
    assert_eq!(spawn(&backlog, &effective, "a").await.unwrap(), Wait::Admitted);
    assert!(!backlog.has_room(&effective.policy, "gpu"));
    let many: Vec<_> = (0..5).map(|_| spawn(&backlog, &effective, "a")).collect();
    waiting(&backlog, 5).await;
    let one = spawn(&backlog, &effective, "b");
    waiting(&backlog, 6).await;
    measure(&backlog, &effective, 8);
    assert_eq!(backlog.serve(&effective), [("gpu".to_owned(), 0.0)]);
    assert_eq!(one.await.unwrap(), Wait::Admitted, "the second of two places is the other tenant's");
    waiting(&backlog, 4).await;
    measure(&backlog, &effective, 0);
    backlog.serve(&effective);
    for document in many {
        assert_eq!(document.await.unwrap(), Wait::Admitted);
    }
}

#[tokio::test]
async fn without_a_limit_or_a_measurement_nothing_waits() {
    let unlimited = effective("max_backlog = 0");
    let backlog = measured(&unlimited, 1_000_000);
    assert!(!backlog.is_due(&unlimited.policy, "gpu"));
    assert_eq!(backlog.serve(&unlimited), [("gpu".to_owned(), f64::INFINITY)]);
    assert_eq!(spawn(&backlog, &unlimited, "a").await.unwrap(), Wait::Admitted);
    let limited = effective("max_backlog = 1");
    let backlog = Arc::new(Backlog::default());
    assert!(backlog.is_due(&limited.policy, "gpu"));
    backlog.measured(&limited.policy, "gpu", &Err(FlowError::Closed), Instant::now());
    assert!(!backlog.is_due(&limited.policy, "gpu"), "a log that does not answer is not measured all the time");
    for _ in 0..3 {
        assert_eq!(spawn(&backlog, &limited, "a").await.unwrap(), Wait::Admitted);
    }
}

#[tokio::test]
async fn a_quota_holds_up_its_tenant_and_nobody_else() {
    let effective = effective("max_backlog = 0\n[tenants.a]\ndocuments_per_minute = 20");
    let backlog = Arc::new(Backlog::default());
    for _ in 0..2 {
        assert_eq!(
            spawn(&backlog, &effective, "a").await.unwrap(),
            Wait::Admitted,
            "a tenth of a minute's quota at once"
        );
    }
    let third = spawn(&backlog, &effective, "a");
    waiting(&backlog, 1).await;
    for _ in 0..50 {
        assert_eq!(spawn(&backlog, &effective, "b").await.unwrap(), Wait::Admitted);
    }
    assert!(!third.is_finished());
    backlog.lock().quotas.insert("a".to_owned(), Quota::new(20, now_ms()));
    backlog.serve(&effective);
    assert_eq!(third.await.unwrap(), Wait::Admitted);
}

/// A document is decided anew when its tier is switched off, or its policy replaced, while the
/// document waits.
#[tokio::test]
async fn a_waiting_document_is_decided_anew_under_new_rules() {
    let before = effective("max_backlog = 1");
    let backlog = measured(&before, 1);
    let document = spawn(&backlog, &before, "a");
    waiting(&backlog, 1).await;
    backlog.serve(&before);
    assert!(!document.is_finished());
    let off = BTreeMap::from([("gpu".to_owned(), (SwitchState::Drain, String::new()))]);
    backlog.serve(&EffectivePolicy { switches: Switches::new(off), ..before.clone() });
    assert_eq!(document.await.unwrap(), Wait::DecideAgain);

    let document = spawn(&backlog, &before, "a");
    waiting(&backlog, 1).await;
    backlog.serve(&effective("max_backlog = 1\nstrength = 0.1"));
    assert_eq!(document.await.unwrap(), Wait::DecideAgain);
}

#[tokio::test]
async fn nobody_waits_beyond_a_deadline_or_for_a_stage_that_drains() {
    let effective = effective("max_backlog = 1");
    let backlog = measured(&effective, 1);
    let withdrawn = CancellationToken::new();
    let late = QueueRequest { until_ms: Some(now_ms() + 30), ..request("a") };
    assert_eq!(backlog.enter(&effective, late, &withdrawn).await, Wait::DecideAgain);
    withdrawn.cancel();
    assert_eq!(backlog.enter(&effective, request("a"), &withdrawn).await, Wait::Withdrawn);
    // The two that left take no place.
    let document = spawn(&backlog, &effective, "b");
    waiting(&backlog, 3).await;
    measure(&backlog, &effective, 0);
    backlog.serve(&effective);
    assert_eq!(document.await.unwrap(), Wait::Admitted);
}
