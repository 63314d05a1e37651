//! Why a dead letter is not replayed.

/// Each with what to do instead.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("no dead letter has this id; `precis dead-letters list` shows them")]
    Unknown,
    #[error("was replayed already at {at} by {by}; a dead letter is replayed once: publish the document anew instead")]
    AlreadyReplayed { at: String, by: String },
    #[error(
        "it names the topic {topic}, which no stage {stage:?} reads: no stage writes such a dead letter, and nothing is \
         written there; find out who can write to dead-letters"
    )]
    TopicNotAllowed { topic: String, stage: String },
    #[error(
        "the record at {position} is not the one that it holds: either is forged, or the topic was deleted and made again; \
         publish the document anew instead"
    )]
    OtherRecord { position: String },
    #[error(
        "there is no record at {position} any more to compare it with; look at it with `precis dead-letters show`, and \
         replay it with --from-letter if you believe it"
    )]
    RecordGone { position: String },
    #[error(
        "there is no record at {position} any more, and the dead letters with this id hold different ones: publish the document anew instead"
    )]
    Ambiguous { position: String },
    #[error("its body cannot be had: {0}")]
    BodyMissing(String),
    #[error(
        "its document is settled as {status} (revision {revision}), and a settled outcome never changes: replay it with --new-revision, \
         which asks again under revision {}", revision.saturating_add(1)
    )]
    Settled { status: &'static str, revision: i64 },
    #[error("its revision is the last there can be: publish the document anew under another id instead")]
    LastRevision,
    #[error(
        "nothing shows that it was ours, so nothing says whose document it is: publish the document anew instead, if it is known to be one"
    )]
    Unproved,
    #[error("it is no document ({0}), so it has no next revision: replay it without --new-revision")]
    NoDocument(String),
}

impl Refusal {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown_id",
            Self::AlreadyReplayed { .. } => "already_replayed",
            Self::TopicNotAllowed { .. } => "topic_not_allowed",
            Self::OtherRecord { .. } => "other_record",
            Self::RecordGone { .. } => "record_gone",
            Self::Ambiguous { .. } => "ambiguous_id",
            Self::BodyMissing(_) => "body_missing",
            Self::Settled { .. } => "already_settled",
            Self::LastRevision => "last_revision",
            Self::Unproved => precis_schemas::codes::UNPROVED,
            Self::NoDocument(_) => "no_document",
        }
    }
}
