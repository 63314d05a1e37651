//! Section `[log]` of the configuration: which log, and how to reach it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use precis_base::loopback::is_loopback;
use precis_config::{Validate, Violations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::FlowError;

mod security;

pub use security::{Protocol, SaslMechanism, SecurityConfig};

/// Which log, and how to reach it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `embedded`: a file on this machine, nothing to install. `kafka`: a Kafka cluster.
    pub kind: LogKind,
    /// Used when `kind` is `embedded`.
    pub embedded: EmbeddedConfig,
    /// Used when `kind` is `kafka`.
    pub kafka: KafkaConfig,
}

/// The two logs there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    /// A file on this machine.
    #[default]
    Embedded,
    /// A Kafka cluster.
    Kafka,
}

/// The embedded log.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddedConfig {
    /// The log's file; lock files lie beside it. Must be on a local disk: SQLite's locks do not
    /// hold on network file systems.
    pub path: PathBuf,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self { path: PathBuf::from(".precis/log.db") }
    }
}

/// A Kafka cluster.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaConfig {
    /// Bootstrap servers: `host:port`, separated by commas. Brokers on other machines need TLS
    /// (`security.protocol`), or `allow_plaintext`.
    pub brokers: String,
    /// Accept brokers on other machines without TLS: documents, summaries, the policy and, with
    /// the SASL mechanism `PLAIN`, the password then cross the network in clear.
    pub allow_plaintext: bool,
    /// How this client calls itself in the brokers' logs.
    pub client_id: String,
    /// A name that is this instance's for ever and no other's, such as a pod's ordinal. With it a
    /// restart ends at once what a crash left open; without it, readers of committed records wait
    /// up to `transaction_timeout_ms` after a crash. Two live instances with one name fence each
    /// other.
    pub instance_id: Option<String>,
    /// Put before transactional ids: `<prefix>.<group>.<instance>`. ACLs can be granted on it.
    pub transactional_id_prefix: String,
    /// After how long the brokers abort a transaction whose writer fell silent, in milliseconds.
    /// All readers of committed records wait behind an open one: keep it short.
    pub transaction_timeout_ms: u32,
    /// How long a write may take before it counts as failed, in milliseconds. Not longer than
    /// `transaction_timeout_ms`.
    pub message_timeout_ms: u32,
    /// Who decides which member reads what: `classic`, the members; `consumer`, the brokers
    /// (KIP-848, Kafka 4.0 or newer). With either, no member is static: the partitions of one that
    /// was killed wait for its session to end.
    pub group_protocol: GroupProtocol,
    /// After how long without a heartbeat the group gives a member's partitions away, in
    /// milliseconds. With `group_protocol` `consumer` the brokers'
    /// `group.consumer.session.timeout.ms` counts instead.
    pub session_timeout_ms: u32,
    /// How long a rebalance waits for a member, in milliseconds. Must exceed a stage's drain budget
    /// and `transaction_timeout_ms` together.
    pub max_poll_interval_ms: u32,
    /// How often to look for new topics and partitions, in milliseconds.
    pub topic_refresh_ms: u32,
    /// The compression of what is written: `none`, `gzip`, `lz4` or `zstd`.
    pub compression: Compression,
    /// Encryption and identity.
    pub security: SecurityConfig,
    /// Further librdkafka properties, passed through as they are. Those that exactly-once rests on
    /// are refused.
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: "localhost:9092".to_owned(),
            allow_plaintext: false,
            client_id: "precis".to_owned(),
            instance_id: None,
            transactional_id_prefix: "precis".to_owned(),
            transaction_timeout_ms: 30_000,
            message_timeout_ms: 30_000,
            group_protocol: GroupProtocol::Classic,
            session_timeout_ms: 45_000,
            max_poll_interval_ms: 300_000,
            topic_refresh_ms: 5_000,
            compression: Compression::Zstd,
            security: SecurityConfig::default(),
            properties: BTreeMap::new(),
        }
    }
}

/// Who decides which member of a group reads what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GroupProtocol {
    /// The members, with the assignor cooperative-sticky.
    Classic,
    /// The brokers: KIP-848.
    Consumer,
}

/// Compression of what is written to Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// None.
    None,
    /// Gzip.
    Gzip,
    /// LZ4: fast.
    Lz4,
    /// Zstandard: small.
    Zstd,
}

impl Compression {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Properties that may not be passed through, and where they are set instead. A prefix ends in a
/// dot.
const FORBIDDEN: &[(&str, &str)] = &[
    ("acks", "it is always `all`: an acknowledged record must survive a broker"),
    ("allow.auto.create.topics", "topics are created as specified, by `precis topics apply`"),
    ("api.version.request", "transactions need it"),
    ("auto.offset.reset", "where to start is decided by committed offsets alone"),
    ("auto.commit.", "offsets are committed in transactions only"),
    ("bootstrap.servers", "set `brokers`"),
    ("metadata.broker.list", "set `brokers`"),
    ("client.id", "set `client_id`"),
    ("delivery.report.only.error", "whether a record was acknowledged is told by its report"),
    ("enable.auto.commit", "offsets are committed in transactions only"),
    ("enable.auto.offset.store", "offsets are committed in transactions only"),
    ("enable.idempotence", "it is always on"),
    ("enable.partition.eof", "reading to the end rests on it"),
    ("enable.gapless.guarantee", "it is not what exactly-once needs"),
    ("group.id", "it is the service's name"),
    (
        "group.instance.id",
        "a static member's successor would inherit partitions without a rebalance, and some would be nobody's",
    ),
    ("group.protocol", "set `group_protocol`"),
    ("isolation.level", "it is always read_committed: a new owner of a partition must see pending offsets"),
    ("max.in.flight", "idempotence sets it"),
    ("max.in.flight.requests.per.connection", "idempotence sets it"),
    ("max.poll.interval.ms", "set `max_poll_interval_ms`"),
    ("message.send.max.retries", "idempotence sets it"),
    ("message.timeout.ms", "set `message_timeout_ms`"),
    ("delivery.timeout.ms", "set `message_timeout_ms`"),
    ("partition.assignment.strategy", "it is always cooperative-sticky"),
    ("partitioner", "it is always murmur2_random: one key, one partition, for Java clients too"),
    ("plugin.library.paths", "it would load code"),
    ("request.required.acks", "it is always `all`"),
    ("retries", "idempotence sets it"),
    ("session.timeout.ms", "set `session_timeout_ms`"),
    ("topic.metadata.refresh.interval.ms", "set `topic_refresh_ms`"),
    ("transaction.timeout.ms", "set `transaction_timeout_ms`"),
    ("transactional.id", "set `instance_id` and `transactional_id_prefix`"),
    ("compression.codec", "set `compression`"),
    ("compression.type", "set `compression`"),
    ("security.protocol", "set `security.protocol`"),
    ("sasl.", "set `security`, which keeps secrets out of logs"),
    ("ssl.", "set `security`, which keeps secrets out of logs"),
];

/// Brokers refuse session timeouts outside of these by default.
const SESSION_TIMEOUT_MS: std::ops::RangeInclusive<u32> = 6_000..=1_800_000;

impl LogConfig {
    /// Every problem of this section, as `field: what is wrong`, with field names relative to it.
    /// Empty: it can be used.
    pub fn problems(&self) -> Vec<String> {
        match self.kind {
            LogKind::Embedded => self.embedded.problems(),
            LogKind::Kafka => self.kafka.problems(),
        }
    }

    /// Fails with all problems at once.
    pub(crate) fn check(&self) -> Result<(), FlowError> {
        if let (LogKind::Kafka, Some(field)) =
            (self.kind, self.kafka.security.tls_field().filter(|_| !cfg!(feature = "tls")))
        {
            return Err(FlowError::TlsNotBuilt { field });
        }
        let problems = self.problems();
        if problems.is_empty() { Ok(()) } else { Err(FlowError::Config { problems }) }
    }
}

impl Validate for LogConfig {
    fn validate(&self, at: &str, out: &mut Violations) {
        out.extend_lines(at, self.problems());
    }
}

impl EmbeddedConfig {
    fn problems(&self) -> Vec<String> {
        if self.path.file_name().is_none() { vec!["embedded.path: must name a file".to_owned()] } else { Vec::new() }
    }
}

impl KafkaConfig {
    /// The first broker on another machine where the protocol has no TLS, without its port: what
    /// goes there crosses the network in clear.
    pub fn clear_text_broker(&self) -> Option<&str> {
        if self.security.is_encrypted() {
            return None;
        }
        self.brokers.split(',').map(host_of).find(|host| !host.is_empty() && !is_loopback(host))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |fails: bool, problem: &str| {
            if fails {
                problems.push(format!("kafka.{problem}"));
            }
        };
        check(
            self.brokers.split(',').any(|broker| broker.trim().is_empty()),
            "brokers: must be `host:port`, separated by commas",
        );
        if let Some(host) = self.clear_text_broker().filter(|_| !self.allow_plaintext) {
            check(
                true,
                &format!(
                    "brokers: {host} is another machine and security.protocol has no TLS: {} would cross the network in clear; \
                     set kafka.security.protocol to \"ssl\" or \"sasl_ssl\", or set kafka.allow_plaintext",
                    self.security.clear_text()
                ),
            );
        }
        check(self.client_id.is_empty(), "client_id: must not be empty");
        check(self.instance_id.as_deref() == Some(""), "instance_id: must not be empty; leave it out instead");
        check(self.transactional_id_prefix.is_empty(), "transactional_id_prefix: must not be empty");
        check(self.transaction_timeout_ms < 1_000, "transaction_timeout_ms: must be at least 1000");
        check(self.message_timeout_ms < 1_000, "message_timeout_ms: must be at least 1000");
        check(
            self.message_timeout_ms > self.transaction_timeout_ms,
            &format!(
                "message_timeout_ms: {} is longer than transaction_timeout_ms, {}, and a record may not outlive it",
                self.message_timeout_ms, self.transaction_timeout_ms
            ),
        );
        check(
            !SESSION_TIMEOUT_MS.contains(&self.session_timeout_ms),
            &format!("session_timeout_ms: must be from {} to {}", SESSION_TIMEOUT_MS.start(), SESSION_TIMEOUT_MS.end()),
        );
        check(
            self.max_poll_interval_ms < self.session_timeout_ms,
            "max_poll_interval_ms: must not be shorter than session_timeout_ms",
        );
        check(
            self.max_poll_interval_ms <= self.transaction_timeout_ms,
            "max_poll_interval_ms: must be longer than transaction_timeout_ms: a rebalance waits for transactions",
        );
        check(self.topic_refresh_ms < 100, "topic_refresh_ms: must be at least 100");
        for name in self.properties.keys() {
            if let Some((_, why)) = FORBIDDEN.iter().find(|(forbidden, _)| forbids(forbidden, name)) {
                check(true, &format!("properties: `{name}` may not be set: {why}"));
            }
        }
        problems.extend(self.security.problems().into_iter().map(|problem| format!("kafka.security.{problem}")));
        problems
    }
}

/// The host of `host:port`, `[v6]:port` or, as librdkafka also takes it, `protocol://host:port`.
fn host_of(broker: &str) -> &str {
    let broker = broker.trim();
    let address = broker.split_once("://").map_or(broker, |(_, address)| address);
    match address.find(']').filter(|_| address.starts_with('[')) {
        Some(end) => &address[..=end],
        // More than one colon is an IPv6 address without brackets, so without a port.
        None if address.matches(':').count() > 1 => address,
        None => address.split(':').next().unwrap_or_default(),
    }
}

fn forbids(forbidden: &str, name: &str) -> bool {
    if forbidden.ends_with('.') { name.starts_with(forbidden) } else { name == forbidden }
}

#[cfg(test)]
mod tests;
