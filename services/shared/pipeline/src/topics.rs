//! Topics and their settings, the same for `precis topics apply`, the services and the tests.

use precis_flow::TopicSpec;

/// Prefix of the topics that publishers write; the rest of the name is the tenant.
pub const DOCUMENTS_PREFIX: &str = "documents.";
/// Prefix of the topics that workers consume; the rest of the name is the tier.
pub const WORK_PREFIX: &str = "work.";
/// Answers that failed their checks and refusals, back to the router.
pub const ESCALATIONS: &str = "escalations";
/// Copies of `documents` records that are tried again: re-enqueued by the router, or replayed by
/// operators. Their headers are believed, since publishers cannot write here.
pub const RETURNS: &str = "returns";
/// Outcomes, one for each document identity.
pub const SUMMARIES: &str = "summaries";
/// Records that no stage could use, with their raw bytes.
pub const DEAD_LETTERS: &str = "dead-letters";
/// What operators did with dead letters, keyed by dead letter id.
pub const DEAD_LETTER_ACTIONS: &str = "dead-letter-actions";
/// The policy and the tier switches, compacted.
pub const CONTROL: &str = "control";
/// What operators did, by whom and why.
pub const AUDIT: &str = "audit";
/// Attempts and settlements of paid requests.
pub const LEDGER: &str = "ledger";

/// Largest record on a `documents` topic, bytes.
pub const MAX_DOCUMENT_RECORD_BYTES: i32 = 1024 * 1024;
/// Largest record on every other topic, bytes: a document record plus its provenance always fits.
pub const MAX_RECORD_BYTES: i32 = 2 * 1024 * 1024;

/// How long `audit` is kept: a little more than seven years, the longest that usual rules ask of
/// such records.
const AUDIT_DAYS: i64 = 7 * 366;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The topic a tenant's publishers write.
pub fn documents(tenant: &str) -> String {
    format!("{DOCUMENTS_PREFIX}{tenant}")
}

/// The topic a tier's workers consume.
pub fn work(tier: &str) -> String {
    format!("{WORK_PREFIX}{tier}")
}

/// The tenant that owns a documents topic, `None` if it is not one.
pub fn tenant_of(topic: &str) -> Option<&str> {
    topic.strip_prefix(DOCUMENTS_PREFIX).filter(|tenant| !tenant.is_empty())
}

/// Whether the records of this topic go between router and workers.
pub fn is_routed(topic: &str) -> bool {
    topic == ESCALATIONS || topic.starts_with(WORK_PREFIX)
}

/// Whether only Précis writes this topic that stages read: what its records' headers say is
/// believed there, and on no other topic.
pub fn is_internal(topic: &str) -> bool {
    topic == RETURNS || is_routed(topic)
}

/// Whether a name may be a tenant or a tier: it becomes part of a topic name and of object keys.
pub fn is_valid_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_')
}

/// Every topic for these tenants and tiers.
///
/// `partitions` is for the topics that scale with workers; `replication` `None` leaves it to the
/// broker's default.
pub fn all(tenants: &[String], tiers: &[String], partitions: i32, replication: Option<i16>) -> Vec<TopicSpec> {
    let log = |name: String, partitions: i32, days: i64, max_message_bytes: i32| TopicSpec {
        name,
        partitions,
        compacted: false,
        retention_ms: Some(days * DAY_MS),
        max_message_bytes,
        replication,
    };
    let table = |name: &str| TopicSpec {
        name: name.to_owned(),
        partitions: 1,
        compacted: true,
        retention_ms: None,
        max_message_bytes: MAX_RECORD_BYTES,
        replication,
    };
    let mut specs = Vec::new();
    specs.extend(tenants.iter().map(|tenant| log(documents(tenant), partitions, 7, MAX_DOCUMENT_RECORD_BYTES)));
    specs.extend(tiers.iter().map(|tier| log(work(tier), partitions, 7, MAX_RECORD_BYTES)));
    specs.push(log(ESCALATIONS.into(), partitions, 7, MAX_RECORD_BYTES));
    specs.push(log(RETURNS.into(), partitions, 7, MAX_RECORD_BYTES));
    specs.push(log(SUMMARIES.into(), partitions, 30, MAX_RECORD_BYTES));
    specs.push(log(DEAD_LETTERS.into(), 1, 30, MAX_RECORD_BYTES));
    specs.push(log(LEDGER.into(), 1, 400, MAX_RECORD_BYTES));
    // One partition, so that actions are read in the order in which they were done.
    specs.push(log(AUDIT.into(), 1, AUDIT_DAYS, MAX_RECORD_BYTES));
    specs.push(table(CONTROL));
    specs.push(table(DEAD_LETTER_ACTIONS));
    specs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenant_is_the_rest_of_the_topic_name() {
        assert_eq!(tenant_of("documents.acme"), Some("acme"));
        assert_eq!(tenant_of("documents."), None);
        assert_eq!(tenant_of("summaries"), None);
    }

    #[test]
    fn headers_are_believed_on_topics_that_only_we_write() {
        for internal in ["work.gpu", ESCALATIONS, RETURNS] {
            assert!(is_internal(internal), "{internal}");
        }
        for foreign in ["documents.acme", "documents.returns", "documents.work.gpu", "returns.acme", "workers"] {
            assert!(!is_internal(foreign), "{foreign}");
        }
    }

    #[test]
    fn names_that_would_break_topics_or_keys_are_refused() {
        assert!(is_valid_name("acme-legal_2"));
        for bad in ["", "Acme", "a/b", "a.b", "é", &"x".repeat(65)] {
            assert!(!is_valid_name(bad), "{bad}");
        }
    }

    #[test]
    fn other_topics_hold_a_document_with_its_provenance() {
        let specs = all(&["acme".into()], &["gpu".into()], 4, None);
        for spec in specs.iter().filter(|spec| !spec.name.starts_with(DOCUMENTS_PREFIX)) {
            assert!(spec.max_message_bytes > MAX_DOCUMENT_RECORD_BYTES, "{}", spec.name);
        }
    }
}
