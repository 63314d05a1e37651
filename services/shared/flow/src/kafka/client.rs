//! How librdkafka's clients are configured, what their logs say, and what their errors mean.

use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{debug, error, info, warn};

use crate::config::{GroupProtocol, KafkaConfig};
use crate::error::FlowError;
use crate::values::MAX_RECORD_BYTES;

/// How long a question to the brokers may take before the log counts as unavailable.
pub(super) const ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// Room for keys, headers and framing beside the largest value.
const MESSAGE_SLACK_BYTES: usize = 64 * 1024;

/// What every client has.
fn base(config: &KafkaConfig) -> Result<ClientConfig, FlowError> {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &config.brokers)
        .set("client.id", &config.client_id)
        .set("topic.metadata.refresh.interval.ms", config.topic_refresh_ms.to_string())
        // The default, ten seconds, is long to wait for a broker that has come back.
        .set("reconnect.backoff.max.ms", "2000")
        .set("message.max.bytes", (MAX_RECORD_BYTES + MESSAGE_SLACK_BYTES).to_string())
        .set_log_level(RDKafkaLogLevel::Warning);
    for (name, value) in config.security.properties()? {
        client.set(name, value);
    }
    Ok(client)
}

/// Applied last, so that what is not refused wins over defaults.
fn pass_through(mut client: ClientConfig, config: &KafkaConfig) -> ClientConfig {
    for (name, value) in &config.properties {
        client.set(name, value);
    }
    client
}

/// A consumer that sees committed records only and commits nothing by itself.
fn committed_only(config: &KafkaConfig) -> Result<ClientConfig, FlowError> {
    let mut client = base(config)?;
    client
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("allow.auto.create.topics", "false")
        // What one consumer fetches ahead: the intake bounds what comes after it.
        .set("queued.max.messages.kbytes", "16384")
        // So long is nothing fetched once that is reached. A busy router has used it up in a
        // fraction of the default, a second, and would idle for the rest.
        .set("fetch.queue.backoff.ms", "50")
        // A partition that is new to a broker's fetch waits for the one under way: not for long.
        .set("fetch.wait.max.ms", "100");
    Ok(client)
}

/// A member of a group.
pub(super) fn member(config: &KafkaConfig, group: &str) -> Result<ClientConfig, FlowError> {
    let mut client = committed_only(config)?;
    client
        .set("group.id", group)
        .set("auto.offset.reset", "error")
        .set("max.poll.interval.ms", config.max_poll_interval_ms.to_string());
    match config.group_protocol {
        GroupProtocol::Classic => {
            client
                .set("partition.assignment.strategy", "cooperative-sticky")
                .set("session.timeout.ms", config.session_timeout_ms.to_string())
                // Members learn of a rebalance by their heartbeats.
                .set("heartbeat.interval.ms", "1000");
        }
        // The brokers decide on all three, and librdkafka refuses them.
        GroupProtocol::Consumer => {
            client.set("group.protocol", "consumer");
        }
    }
    // No `group.instance.id`: Kafka hands a static member's successor its assignment from memory,
    // without a rebalance, and what its predecessor had given up in one that it did not live to
    // finish then belongs to nobody, without end.
    Ok(pass_through(client, config))
}

/// Reads partitions that it is told, and reports their ends. It belongs to no group, but librdkafka
/// wants a name.
pub(super) fn reader(config: &KafkaConfig) -> Result<ClientConfig, FlowError> {
    let mut client = committed_only(config)?;
    client
        .set("group.id", format!("{}.reader", config.transactional_id_prefix))
        .set("enable.partition.eof", "true")
        // Retention may overtake a reader: it goes on with what is still there.
        .set("auto.offset.reset", "earliest");
    Ok(pass_through(client, config))
}

/// Asks for a group's committed offsets, or with no group for metadata and ends only.
pub(super) fn observer(config: &KafkaConfig, group: Option<&str>) -> Result<ClientConfig, FlowError> {
    let mut client = committed_only(config)?;
    if let Some(group) = group {
        client.set("group.id", group);
    }
    Ok(pass_through(client, config))
}

/// Writes outside of transactions.
pub(super) fn producer(config: &KafkaConfig) -> Result<ClientConfig, FlowError> {
    let mut client = base(config)?;
    client
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", config.compression.as_str())
        .set("partitioner", "murmur2_random")
        .set("message.timeout.ms", config.message_timeout_ms.to_string())
        // A topic that does not exist is an error after this time; one that was just made is found
        // well within it.
        .set("topic.metadata.propagation.max.ms", "5000");
    Ok(pass_through(client, config))
}

/// Writes transactions under an id.
pub(super) fn transactional(config: &KafkaConfig, id: &str) -> Result<ClientConfig, FlowError> {
    let mut client = producer(config)?;
    client
        .set("transactional.id", id)
        .set("transaction.timeout.ms", config.transaction_timeout_ms.to_string())
        // Failures alone are told: a report for each record would cost as much as the record.
        .set("delivery.report.only.error", "true")
        // What the client is told of brokers, some lines a refresh.
        .set("debug", "metadata")
        .set_log_level(RDKafkaLogLevel::Debug);
    Ok(client)
}

/// Creates and compares topics.
pub(super) fn admin(config: &KafkaConfig) -> Result<ClientConfig, FlowError> {
    Ok(pass_through(base(config)?, config))
}

/// Sends a client's log lines to this process's log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Logs;

impl ClientContext for Logs {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // A property of the other kind of client: the passed-through ones go to both.
        if facility == "CONFWARN" {
            debug!(facility, "{message}");
            return;
        }
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                error!(facility, "{message}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => warn!(facility, "{message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => info!(facility, "{message}"),
            RDKafkaLogLevel::Debug => debug!(facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, "Kafka client: {reason}");
    }
}

impl ConsumerContext for Logs {}

/// What an error of librdkafka means here.
pub(super) fn flow_error(doing: &'static str, error: &KafkaError) -> FlowError {
    let detail = error.to_string();
    match error {
        KafkaError::ClientConfig(_, problem, name, _) => {
            return FlowError::Config { problems: vec![format!("kafka.properties: {name}: {problem}")] };
        }
        KafkaError::ClientCreation(_) => return FlowError::Config { problems: vec![format!("kafka: {detail}")] },
        KafkaError::MessageConsumptionFatal(code) if !is_fenced(*code) => return FlowError::Client { doing, detail },
        KafkaError::Transaction(transaction) if transaction.is_fatal() && !is_fenced(transaction.code()) => {
            return FlowError::Client { doing, detail };
        }
        _ => {}
    }
    // `AdminOp` holds a code too, but `rdkafka_error_code` does not give it.
    let code = if let KafkaError::AdminOp(code) = error { Some(*code) } else { error.rdkafka_error_code() };
    match code {
        Some(code) if is_fenced(code) => FlowError::Fenced { name: format!("this Kafka client ({detail})") },
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::Authentication,
        ) => FlowError::Denied { doing, detail },
        Some(RDKafkaErrorCode::Fatal | RDKafkaErrorCode::PollExceeded) => FlowError::Client { doing, detail },
        _ => FlowError::Unavailable { doing, detail },
    }
}

/// Whether somebody else goes by the same name now.
fn is_fenced(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch
            | RDKafkaErrorCode::FencedInstanceId
    )
}

/// Whether a topic is not there.
pub(super) fn is_unknown_topic(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopicId
    )
}

/// Whether a record can never be written.
pub(super) fn is_too_large(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::MessageBatchTooLarge)
}
