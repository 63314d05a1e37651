//! What can go wrong in the log and in a stage, with a class that says what to do about it and a
//! code that never changes.

use std::path::PathBuf;

/// What an error asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The record at hand is at fault: settle it as failed and keep its bytes.
    Reject,
    /// Something the log depends on is away: try the same again later.
    Retry,
    /// This process cannot go on: exit, and let whoever started it decide.
    Fatal,
}

/// Every way in which the log or a stage fails.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// The configuration cannot work.
    #[error("the log's configuration is wrong: {}", problems.join("; "))]
    Config {
        /// Every problem found, each naming its field.
        problems: Vec<String>,
    },
    /// TLS is asked for in a build that has none.
    #[error(
        "log.kafka.security.{field} needs TLS, which this build does not have: \
         build with the feature `tls` of precis-flow"
    )]
    TlsNotBuilt {
        /// The configuration field that asks for it.
        field: &'static str,
    },
    /// A topic that does not exist was written to or read from.
    #[error("topic {topic} does not exist: create it with `precis topics apply`")]
    UnknownTopic {
        /// The topic's name.
        topic: String,
    },
    /// A record is larger than its topic allows.
    #[error(
        "a record of {size_bytes} bytes for topic {topic} is over the topic's limit{}: \
         store the bytes elsewhere and send a reference",
        .limit_bytes.map(|limit| format!(" of {limit} bytes")).unwrap_or_default()
    )]
    RecordTooLarge {
        /// The topic's name.
        topic: String,
        /// The record's size.
        size_bytes: usize,
        /// The limit, when it is known.
        limit_bytes: Option<usize>,
    },
    /// A topic's rules refuse a record: such as one without a key in a compacted topic.
    #[error("topic {topic} refuses a record: {detail}")]
    RecordRefused {
        /// The topic's name.
        topic: String,
        /// What the log said.
        detail: String,
    },
    /// The log cannot be reached at the moment.
    #[error("the log is unavailable while {doing}: {detail}")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// What the log's client said.
        detail: String,
    },
    /// The log refuses this principal.
    #[error("the log denies {doing}: {detail}; check the principal's ACLs")]
    Denied {
        /// What was being done.
        doing: &'static str,
        /// What the log's client said.
        detail: String,
    },
    /// The disk of the embedded log is full.
    #[error("the disk of the embedded log {} is full: free space, nothing acknowledged is lost", path.display())]
    Full {
        /// The log's file.
        path: PathBuf,
    },
    /// The embedded log's file is damaged or is not one.
    #[error("{} is damaged or not an embedded log ({detail}): move it away, or restore it from a copy", path.display())]
    Corrupt {
        /// The log's file.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// The embedded log's file was written by another version.
    #[error("{} has format {found}, this build reads format {expected}: use the build that wrote it", path.display())]
    Format {
        /// The log's file.
        path: PathBuf,
        /// The format found.
        found: i64,
        /// The format this build reads.
        expected: i64,
    },
    /// Another live process works for this group on the embedded log.
    #[error(
        "group {group} of {} is held by another live process{}: stop it, or use another path",
        path.display(),
        .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    GroupHeld {
        /// The group's name.
        group: String,
        /// The log's file.
        path: PathBuf,
        /// The holder's process, when it could be read.
        pid: Option<u32>,
    },
    /// A newer holder of the same name has taken over.
    #[error("{name} was taken over by a newer holder: this one must stop")]
    Fenced {
        /// The group, transactional id or writer name.
        name: String,
    },
    /// Where to start is unknown, and guessing would lose or repeat documents.
    #[error(
        "group {group} cannot know where to start in {place}: {detail}; \
         set the group's offsets by hand, then start again"
    )]
    OffsetsLost {
        /// The group's name.
        group: String,
        /// The partition, as far as it is known.
        place: String,
        /// What is known of committed and available offsets.
        detail: String,
    },
    /// A dead letter does not fit into a record and there is nowhere else to put its bytes.
    #[error(
        "the dead letter of {position} has {size_bytes} bytes, over the limit of {limit_bytes}, \
         and stage {stage} has no store for large ones: configure one"
    )]
    DeadLetterTooLarge {
        /// The stage's name.
        stage: String,
        /// The rejected record.
        position: String,
        /// The dead letter's size.
        size_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// A processor said that its process cannot go on.
    #[error("stage {stage} stops: {message}")]
    Processor {
        /// The stage's name.
        stage: String,
        /// The processor's code.
        code: &'static str,
        /// The processor's message.
        message: String,
    },
    /// The Kafka client is beyond repair: only a new process is.
    #[error("the Kafka client failed while {doing}: {detail}")]
    Client {
        /// What was being done.
        doing: &'static str,
        /// What the client said.
        detail: String,
    },
    /// Whether a transaction is committed is not known: the brokers did not say so in time. Whoever
    /// takes the transactional id over ends it, and can then read what is committed.
    #[error("whether a transaction is committed is not known: {detail}; who joins or takes over next can read it")]
    CommitUnknown {
        /// What was waited for.
        detail: String,
    },
    /// The log was closed while something was still asked of it.
    #[error("the log is closed")]
    Closed,
    /// A bug in this crate or a value that it must never be given.
    #[error("this should not happen: {detail}")]
    Internal {
        /// What was found.
        detail: String,
    },
}

impl FlowError {
    /// What to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::RecordTooLarge { .. } | Self::RecordRefused { .. } => Class::Reject,
            Self::Unavailable { .. } | Self::Full { .. } | Self::Denied { .. } => Class::Retry,
            Self::Config { .. }
            | Self::TlsNotBuilt { .. }
            | Self::UnknownTopic { .. }
            | Self::Corrupt { .. }
            | Self::Format { .. }
            | Self::GroupHeld { .. }
            | Self::Fenced { .. }
            | Self::OffsetsLost { .. }
            | Self::DeadLetterTooLarge { .. }
            | Self::Processor { .. }
            | Self::Client { .. }
            | Self::CommitUnknown { .. }
            | Self::Closed
            | Self::Internal { .. } => Class::Fatal,
        }
    }

    /// Whether the same process may join its group again: what is left open is ended before it has
    /// joined, and what is committed is then known.
    pub(crate) fn ends_membership_only(&self) -> bool {
        self.class() == Class::Retry || matches!(self, Self::CommitUnknown { .. })
    }

    /// The stable name: metric label, header value and runbook anchor.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "log_config",
            Self::TlsNotBuilt { .. } => "tls_not_built",
            Self::UnknownTopic { .. } => "unknown_topic",
            Self::RecordTooLarge { .. } => "record_too_large",
            Self::RecordRefused { .. } => "record_refused",
            Self::Unavailable { .. } => "log_unavailable",
            Self::Denied { .. } => "log_denied",
            Self::Full { .. } => "log_full",
            Self::Corrupt { .. } => "log_corrupt",
            Self::Format { .. } => "log_format",
            Self::GroupHeld { .. } => "group_held",
            Self::Fenced { .. } => "fenced",
            Self::OffsetsLost { .. } => "offsets_lost",
            Self::DeadLetterTooLarge { .. } => "dead_letter_too_large",
            Self::Processor { code, .. } => code,
            Self::Client { .. } => "kafka_client",
            Self::CommitUnknown { .. } => "commit_unknown",
            Self::Closed => "log_closed",
            Self::Internal { .. } => "internal",
        }
    }
}
