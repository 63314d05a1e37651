//! Topics, their settings and who reads and writes each: the same for `precis topics`, the services
//! and the tests.

pub mod access;
mod list;

use precis_flow::TopicSpec;

use list::{Name, Partitions, Retention, TOPICS};

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
/// What evaluator models said of summaries.
pub const EVALUATIONS: &str = "evaluations";
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

/// Name of the router's stage; a worker's stage is named after the topic that it reads.
pub const ROUTER_STAGE: &str = "router";

/// Consumer groups are `precis.<stage>`.
const GROUP_PREFIX: &str = "precis";

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

/// The consumer group of a stage.
pub fn group(stage: &str) -> String {
    format!("{GROUP_PREFIX}.{stage}")
}

/// Whether the stage of this name reads a topic of this name: a dead letter of any other topic is
/// none that the stage wrote.
pub fn is_read_by(stage: &str, topic: &str) -> bool {
    if stage == ROUTER_STAGE {
        return [ESCALATIONS, RETURNS].contains(&topic) || tenant_of(topic).is_some_and(is_valid_name);
    }
    stage == topic && topic.strip_prefix(WORK_PREFIX).is_some_and(is_valid_name)
}

/// Every topic for these tenants and tiers.
///
/// `partitions` is for the topics that scale with workers; `replication` `None` leaves it to the
/// broker's default.
pub fn all(tenants: &[String], tiers: &[String], partitions: i32, replication: Option<i16>) -> Vec<TopicSpec> {
    let mut specs = Vec::new();
    for topic in &TOPICS {
        let names = match topic.name {
            Name::OfTenants => tenants.iter().map(|tenant| documents(tenant)).collect(),
            Name::OfTiers => tiers.iter().map(|tier| work(tier)).collect(),
            Name::Exact(name) => vec![name.to_owned()],
        };
        specs.extend(names.into_iter().map(|name| TopicSpec {
            name,
            partitions: match topic.partitions {
                Partitions::AsWorkers => partitions,
                Partitions::One => 1,
            },
            compacted: topic.retention == Retention::Newest,
            retention_ms: match topic.retention {
                Retention::Days(days) => Some(days * DAY_MS),
                Retention::Newest => None,
            },
            max_message_bytes: topic.max_record_bytes,
            replication,
        }));
    }
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
    fn a_stage_reads_its_own_topics_and_no_others() {
        for (stage, topic) in
            [("router", "documents.acme"), ("router", "escalations"), ("router", "returns"), ("work.gpu", "work.gpu")]
        {
            assert!(is_read_by(stage, topic), "{stage} {topic}");
        }
        for (stage, topic) in [
            ("router", "control"),
            ("router", "audit"),
            ("router", "summaries"),
            ("router", "documents."),
            ("router", "documents.A b"),
            ("router", "work.gpu"),
            ("work.gpu", "work.api"),
            ("work.gpu", "documents.acme"),
            ("work.", "work."),
            ("control", "control"),
        ] {
            assert!(!is_read_by(stage, topic), "{stage} {topic}");
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
