//! Changes of `control` and their records on `audit`, on the embedded log.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use precis_flow::{EmbeddedConfig, Log, LogConfig, ReadStart, Record};
use precis_objects::{DirectoryConfig, StoreConfig};
use precis_pipeline::control::{apply_policy, switch_tier, switch_tier_if};
use precis_pipeline::topics;
use precis_policy::Policy;
use precis_schemas::{AuditRecord, PolicyApplied, SwitchState, TierSwitch, codec};

const FIRST: &str =
    "version = 1\n[[tiers]]\nname = \"gpu\"\nkind = \"gpu\"\nshare = 1.0\nmax_sensitivity = \"restricted\"\n";

async fn open(folder: &tempfile::TempDir, left_out: &str) -> Arc<dyn Log> {
    let config = LogConfig { embedded: EmbeddedConfig { path: folder.path().join("log.db") }, ..LogConfig::default() };
    let log = precis_flow::open(&config).await.unwrap();
    let specs: Vec<_> = topics::all(&[], &[], 1, None).into_iter().filter(|spec| spec.name != left_out).collect();
    log.ensure_topics(&specs).await.unwrap();
    log
}

async fn all(log: &Arc<dyn Log>, topic: &str) -> Vec<Record> {
    let mut reader = log.reader(topic, ReadStart::Beginning).await.unwrap();
    let mut records = Vec::new();
    loop {
        match reader.next(std::time::Duration::from_millis(50)).await.unwrap() {
            Some(record) => records.push(record),
            None if reader.caught_up() => return records,
            None => {}
        }
    }
}

async fn audit(log: &Arc<dyn Log>) -> Vec<AuditRecord> {
    all(log, topics::AUDIT)
        .await
        .iter()
        .map(|record| codec::decode(record.value.as_deref().unwrap()).unwrap())
        .collect()
}

async fn switches(log: &Arc<dyn Log>) -> Vec<TierSwitch> {
    let records = all(log, topics::CONTROL).await;
    records.iter().map(|record| codec::decode(record.value.as_deref().unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn each_switch_is_on_record_with_what_it_replaced_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder, "").await;
    switch_tier(&*log, "mid", SwitchState::Off, "provider incident", "ada").await.unwrap();
    switch_tier(&*log, "mid", SwitchState::Drain, "it is better", "bob").await.unwrap();
    switch_tier(&*log, "mid", SwitchState::On, "", "bob").await.unwrap();
    let told: Vec<_> = audit(&log)
        .await
        .into_iter()
        .map(|record| {
            assert!(record.at > 0 && !record.program.is_empty(), "{record:?}");
            [record.by, record.action, record.target, record.before, record.after, record.reason]
        })
        .collect();
    assert_eq!(
        told,
        [
            ["ada", "tier_off", "tier/mid", "on", "off", "provider incident"],
            ["bob", "tier_drain", "tier/mid", "off", "drain", "it is better"],
            ["bob", "tier_on", "tier/mid", "drain", "on", ""],
        ]
    );
    let details = audit(&log).await.remove(1).details;
    assert_eq!(details.get("reason_before").map(String::as_str), Some("provider incident"));
}

#[tokio::test]
async fn a_policy_is_on_record_by_its_digest_and_the_one_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder, "").await;
    let directory = DirectoryConfig { path: folder.path().join("objects") };
    let store = precis_objects::open(&StoreConfig { directory, ..StoreConfig::default() }).await.unwrap();
    let second = format!("{FIRST}max_backlog = 7\n");
    let one = apply_policy(&*log, &*store, FIRST, "the first", "ada").await.unwrap();
    let two = apply_policy(&*log, &*store, &second, "less in the queue", "ada").await.unwrap();
    assert_ne!(one, two);
    let told: Vec<_> =
        audit(&log).await.into_iter().map(|record| [record.action, record.before, record.after]).collect();
    assert_eq!(
        told,
        [["policy_applied".to_owned(), String::new(), one.clone()], ["policy_applied".to_owned(), one, two.clone()]]
    );
    let applied: PolicyApplied = codec::decode(all(&log, topics::CONTROL).await[1].value.as_deref().unwrap()).unwrap();
    assert_eq!((applied.digest, Policy::parse(&applied.toml).unwrap().digest()), (two.clone(), two));
}

#[tokio::test]
async fn change_without_its_audit_record_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder, topics::AUDIT).await;
    let error = switch_tier(&*log, "mid", SwitchState::Off, "incident", "ada").await.unwrap_err();
    assert!(error.to_string().contains(topics::AUDIT), "{error}");
    assert!(switches(&log).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_the_same_time_all_happen_one_after_another() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder, "").await;
    let changes: Vec<_> = (0..4)
        .map(|number: i32| {
            let log = Arc::clone(&log);
            let state = if number % 2 == 0 { SwitchState::Off } else { SwitchState::Drain };
            tokio::spawn(async move { switch_tier(&*log, "mid", state, &format!("reason {number}"), "ada").await })
        })
        .collect();
    for change in changes {
        change.await.unwrap().unwrap();
    }
    let (audit, switches) = (audit(&log).await, switches(&log).await);
    assert_eq!((audit.len(), switches.len()), (4, 4));
    let mut before = "on".to_owned();
    for (record, switch) in audit.iter().zip(&switches) {
        assert_eq!((&record.before, &record.after), (&before, &switch.state.as_str().to_owned()));
        assert_eq!(record.reason, switch.reason, "they stand in the same order");
        before.clone_from(&record.after);
    }
}

/// A service's switch changes nothing where somebody switched the tier since the service read it.
#[tokio::test]
async fn conditional_switch_leaves_alone_what_was_switched() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder, "").await;
    switch_tier(&*log, "mid", SwitchState::Drain, "maintenance", "ada").await.unwrap();
    let unless_set = |current: Option<&TierSwitch>| match current {
        None => Some((SwitchState::Off, "no_key".to_owned())),
        Some(_) => None,
    };
    switch_tier_if(&*log, "mid", "api-worker", unless_set).await.unwrap();
    assert_eq!((audit(&log).await.len(), switches(&log).await.len()), (1, 1));
    switch_tier_if(&*log, "premium", "api-worker", unless_set).await.unwrap();
    let record = audit(&log).await.remove(1);
    assert_eq!([record.by, record.reason, record.target], ["api-worker", "no_key", "tier/premium"]);
}
