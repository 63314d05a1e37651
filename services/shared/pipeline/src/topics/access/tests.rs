use precis_flow::Subscription;

use super::*;
use crate::topics::{self, ESCALATIONS, RETURNS};

const TIERS: [TierName<'static>; 3] = [("gpu", TierKind::Gpu), ("mid", TierKind::Api), ("premium", TierKind::Api)];

fn granted() -> Vec<Grant> {
    grants(&["acme".to_owned(), "bolt".to_owned()], &TIERS, "precis")
}

/// The roles that may do something on a topic.
fn who(kind: ResourceKind, name: &str, operation: Operation) -> Vec<String> {
    let mut who: Vec<String> = granted()
        .into_iter()
        .filter(|grant| {
            let named = if grant.is_prefix { name.starts_with(&grant.name) } else { name == grant.name };
            grant.kind == kind && named && grant.operations.contains(&operation)
        })
        .map(|grant| {
            format!("{}{}", grant.role.name(), grant.tenant.map(|name| format!("-{name}")).unwrap_or_default())
        })
        .collect();
    who.dedup();
    who
}

/// A topic that `precis topics apply` creates and that nobody may write, or read, was forgotten.
#[test]
fn every_topic_has_readers_and_writers() {
    let tiers = TIERS.map(|(name, _)| name.to_owned());
    for spec in topics::all(&["acme".to_owned()], &tiers, 4, None) {
        for operation in [Operation::Read, Operation::Write] {
            assert!(!who(ResourceKind::Topic, &spec.name, operation).is_empty(), "{operation:?} {}", spec.name);
        }
        assert_eq!(who(ResourceKind::Topic, &spec.name, Operation::Create), ["operator"], "{}", spec.name);
    }
}

#[test]
fn a_publisher_writes_its_own_topic_alone() {
    let of = |tenant: &str| {
        let of_tenant = move |grant: &Grant| grant.tenant.as_deref() == Some(tenant);
        granted().into_iter().filter(of_tenant).map(|grant| (grant.name, grant.operations)).collect::<Vec<_>>()
    };
    assert_eq!(of("acme"), [("documents.acme".to_owned(), vec![Operation::Write, Operation::Describe])]);
    assert!(granted().iter().all(|grant| (grant.role == Role::Publisher) == grant.tenant.is_some()));
    assert_eq!(who(ResourceKind::Topic, "documents.bolt", Operation::Write), ["publisher-bolt", "operator"]);
}

/// The residency gate rests on it: who writes work chooses the label.
#[test]
fn work_is_written_by_services_and_operators_alone() {
    for (topic, writers) in [
        ("work.gpu", &["router", "gpu-worker", "operator"][..]),
        ("work.mid", &["router", "api-worker", "operator"]),
        (ESCALATIONS, &["router", "gpu-worker", "api-worker", "operator"]),
        (RETURNS, &["router", "operator"]),
        ("summaries", &["router", "gpu-worker", "api-worker"]),
        ("dead-letters", &["router", "gpu-worker", "api-worker"]),
        ("control", &["api-worker", "operator"]),
        ("audit", &["api-worker", "operator"]),
        ("dead-letter-actions", &["operator"]),
        ("ledger", &["api-worker"]),
    ] {
        assert_eq!(who(ResourceKind::Topic, topic, Operation::Write), writers, "{topic}");
    }
    assert_eq!(who(ResourceKind::Topic, "work.gpu", Operation::Read), ["gpu-worker", "operator"]);
}

/// What a stage subscribes to, its group and its transactional ids.
#[test]
fn every_stage_may_do_what_it_does() {
    let subscription = Subscription::topics([ESCALATIONS, RETURNS]).and_prefix(DOCUMENTS_PREFIX);
    let router = |topic: &str| who(ResourceKind::Topic, topic, Operation::Read).contains(&"router".to_owned());
    for topic in ["documents.acme", "documents.new-tenant", ESCALATIONS, RETURNS] {
        assert!(subscription.matches(topic) && router(topic), "{topic}");
    }
    for (stage, role) in [("router", "router"), ("work.gpu", "gpu-worker"), ("work.premium", "api-worker")] {
        assert_eq!(who(ResourceKind::Group, &group(stage), Operation::Read), [role]);
        let id = format!("precis.{}.pod-0", group(stage));
        assert_eq!(who(ResourceKind::TransactionalId, &id, Operation::Write), [role]);
    }
    let other = format!("precis.{}.pod-0", group("work.gpu-2"));
    assert!(who(ResourceKind::TransactionalId, &other, Operation::Write).is_empty(), "a tier of another name");
    let control = who(ResourceKind::TransactionalId, "precis.exclusive.control", Operation::Write);
    assert_eq!(control, ["api-worker", "operator"]);
}
