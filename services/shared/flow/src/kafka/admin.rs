//! Topics: created as specified, compared when they exist, and listed. Everything here blocks: call
//! it where that is allowed, inside of a runtime.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;
use tokio::runtime::Handle;

use super::client::{ASK_TIMEOUT, Logs, flow_error, is_unknown_topic};
use crate::error::FlowError;
use crate::log::{Change, PartitionStatus, TopicChange, TopicSpec, TopicStatus};

/// How long a topic that was created may take to be known to the brokers.
const VISIBLE_TIMEOUT: Duration = Duration::from_secs(15);
/// How often to look for it.
const VISIBLE_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Creates what does not exist and compares the rest.
pub(super) fn ensure(
    admin: &AdminClient<Logs>,
    observer: &BaseConsumer<Logs>,
    specs: &[TopicSpec],
) -> Result<Vec<TopicChange>, FlowError> {
    let mut changes = Vec::with_capacity(specs.len());
    for spec in specs {
        let change = match create(admin, spec)? {
            true => {
                wait_until_visible(observer, spec)?;
                Change::Created
            }
            false => describe_once_known(admin, observer, &spec.name)?.compare(spec),
        };
        changes.push(TopicChange { topic: spec.name.clone(), change });
    }
    Ok(changes)
}

/// `false`: it was there already.
fn create(admin: &AdminClient<Logs>, spec: &TopicSpec) -> Result<bool, FlowError> {
    let retention = spec.retention_ms.unwrap_or(-1).to_string();
    let limit = spec.max_message_bytes.to_string();
    let cleanup = match (spec.compacted, spec.retention_ms) {
        (true, None) => "compact",
        (true, Some(_)) => "compact,delete",
        (false, _) => "delete",
    };
    let replication = TopicReplication::Fixed(spec.replication.map_or(-1, i32::from));
    let topic = NewTopic::new(&spec.name, spec.partitions, replication)
        .set("cleanup.policy", cleanup)
        .set("retention.ms", &retention)
        .set("max.message.bytes", &limit);
    let doing = "creating topics";
    let results = Handle::current()
        .block_on(admin.create_topics([&topic], &options()))
        .map_err(|error| flow_error(doing, &error))?;
    match results.into_iter().next() {
        Some(Ok(_)) => Ok(true),
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
        Some(Err((name, code))) => Err(refused(&name, code)),
        None => Err(FlowError::Internal { detail: format!("no answer about topic {}", spec.name) }),
    }
}

fn refused(name: &str, code: RDKafkaErrorCode) -> FlowError {
    match flow_error("creating topics", &rdkafka::error::KafkaError::AdminOp(code)) {
        FlowError::Unavailable { .. }
            if matches!(
                code,
                RDKafkaErrorCode::InvalidTopic
                    | RDKafkaErrorCode::InvalidPartitions
                    | RDKafkaErrorCode::InvalidReplicationFactor
                    | RDKafkaErrorCode::InvalidConfig
                    | RDKafkaErrorCode::PolicyViolation
            ) =>
        {
            FlowError::Config { problems: vec![format!("topic {name:?}: the brokers refuse it: {code}")] }
        }
        error => error,
    }
}

/// The topic as it is. Another service that starts may have made it a moment ago: it is waited for
/// like one's own.
fn describe_once_known(
    admin: &AdminClient<Logs>,
    observer: &BaseConsumer<Logs>,
    name: &str,
) -> Result<TopicSpec, FlowError> {
    let deadline = Instant::now() + VISIBLE_TIMEOUT;
    loop {
        match describe(admin, observer, name) {
            Err(FlowError::UnknownTopic { .. }) if Instant::now() < deadline => {
                std::thread::sleep(VISIBLE_POLL_INTERVAL);
            }
            described => return described,
        }
    }
}

/// The topic as it is.
fn describe(admin: &AdminClient<Logs>, observer: &BaseConsumer<Logs>, name: &str) -> Result<TopicSpec, FlowError> {
    let doing = "comparing topics";
    let metadata = observer.fetch_metadata(Some(name), ASK_TIMEOUT).map_err(|error| flow_error(doing, &error))?;
    let found = metadata.topics().iter().find(|topic| topic.name() == name && topic.error().is_none());
    let found = found.ok_or_else(|| FlowError::UnknownTopic { topic: name.to_owned() })?;
    let replicas = found.partitions().first().map(|partition| partition.replicas().len() as i16);
    let resources = Handle::current()
        .block_on(admin.describe_configs([&ResourceSpecifier::Topic(name)], &options()))
        .map_err(|error| flow_error(doing, &error))?;
    let resource = resources.into_iter().next();
    let resource = resource.ok_or_else(|| FlowError::Internal { detail: format!("no answer about topic {name}") })?;
    let resource = resource.map_err(|code| match code {
        code if is_unknown_topic(code) => FlowError::UnknownTopic { topic: name.to_owned() },
        code => flow_error(doing, &rdkafka::error::KafkaError::AdminOp(code)),
    })?;
    let entry = |key: &str| resource.get(key).and_then(|entry| entry.value.as_deref()).unwrap_or_default();
    let compacted = entry("cleanup.policy").contains("compact");
    let deletes = entry("cleanup.policy").contains("delete");
    Ok(TopicSpec {
        name: name.to_owned(),
        partitions: found.partitions().len() as i32,
        compacted,
        retention_ms: entry("retention.ms").parse().ok().filter(|retention_ms| deletes && *retention_ms >= 0),
        max_message_bytes: entry("max.message.bytes").parse().unwrap_or_default(),
        replication: replicas,
    })
}

/// Brokers learn of a topic one after the other: wait until it can be written to.
fn wait_until_visible(observer: &BaseConsumer<Logs>, spec: &TopicSpec) -> Result<(), FlowError> {
    let deadline = Instant::now() + VISIBLE_TIMEOUT;
    loop {
        let metadata = observer
            .fetch_metadata(Some(&spec.name), ASK_TIMEOUT)
            .map_err(|error| flow_error("waiting for a topic", &error))?;
        if is_visible(&metadata, spec) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let detail = format!("topic {} was created and has no leaders yet", spec.name);
            return Err(FlowError::Unavailable { doing: "waiting for a topic", detail });
        }
        std::thread::sleep(VISIBLE_POLL_INTERVAL);
    }
}

fn is_visible(metadata: &Metadata, spec: &TopicSpec) -> bool {
    metadata.topics().iter().any(|topic| {
        topic.name() == spec.name
            && topic.error().is_none()
            && topic.partitions().len() == spec.partitions as usize
            && topic.partitions().iter().all(|partition| partition.error().is_none() && partition.leader() >= 0)
    })
}

/// All topics that are not the brokers' own, without their ends.
pub(super) fn names(observer: &BaseConsumer<Logs>) -> Result<Vec<(String, Vec<i32>)>, FlowError> {
    names_where(observer, |topic| !topic.starts_with("__"))
}

/// The same of those topics, the brokers' own among them, that are `wanted` by their names.
pub(super) fn names_where(
    observer: &BaseConsumer<Logs>,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(String, Vec<i32>)>, FlowError> {
    let metadata = observer.fetch_metadata(None, ASK_TIMEOUT).map_err(|error| flow_error("listing topics", &error))?;
    let mut names: Vec<_> = metadata
        .topics()
        .iter()
        .filter(|topic| wanted(topic.name()))
        .map(|topic| {
            let mut partitions: Vec<i32> =
                topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect();
            partitions.sort_unstable();
            (topic.name().to_owned(), partitions)
        })
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// The same with their ends.
pub(super) fn statuses(observer: &BaseConsumer<Logs>) -> Result<Vec<TopicStatus>, FlowError> {
    let mut statuses = Vec::new();
    for (name, partitions) in names(observer)? {
        let mut ends = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let (low, high) = ends_of(observer, &name, partition)?;
            ends.push(PartitionStatus { partition, low, high });
        }
        statuses.push(TopicStatus { name, partitions: ends });
    }
    Ok(statuses)
}

/// The first offset still there and, since the observer reads committed records only, the last
/// stable one.
pub(super) fn ends_of(observer: &BaseConsumer<Logs>, topic: &str, partition: i32) -> Result<(i64, i64), FlowError> {
    let deadline = Instant::now() + VISIBLE_TIMEOUT;
    loop {
        let error = match observer.fetch_watermarks(topic, partition, ASK_TIMEOUT) {
            Ok(ends) => return Ok(ends),
            Err(error) => error,
        };
        let code = error.rdkafka_error_code();
        // A topic that was just made, or a leader that just moved: known to one broker and not yet
        // to another.
        let moving =
            matches!(code, Some(RDKafkaErrorCode::NotLeaderForPartition | RDKafkaErrorCode::LeaderNotAvailable));
        if !moving || Instant::now() >= deadline {
            return Err(match code {
                Some(code) if is_unknown_topic(code) => FlowError::UnknownTopic { topic: topic.to_owned() },
                _ => flow_error("reading where partitions end", &error),
            });
        }
        std::thread::sleep(VISIBLE_POLL_INTERVAL);
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ASK_TIMEOUT)).operation_timeout(Some(ASK_TIMEOUT))
}
