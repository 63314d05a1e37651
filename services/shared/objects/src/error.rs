//! Errors of the object store, each with a class that tells the caller what to do.

/// What a caller should do about a failure. A stage maps it onto its own error classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// This record can never succeed.
    Reject,
    /// This record may succeed later; bounded attempts.
    RetryRecord,
    /// The store is down or refuses us: every record would fail, so wait without limit.
    RetryDependency,
    /// Going on would break a guarantee: exit.
    Fatal,
}

/// Failures of the stores and the claim check. Texts name keys (which hold hashes, not ids) and
/// numbers, never content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// The store did not answer, or answered that it cannot now.
    #[error("object store unavailable: {operation} {key}: {detail}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// On which key or prefix.
        key: String,
        /// What the store or the operating system said.
        detail: String,
    },
    /// The store refused our credentials or permissions. Callers wait as for an outage, since
    /// tokens expire and are renewed, but an operator should hear of it.
    #[error("object store denied {operation} {key}: {detail}; check credentials, bucket policy and file permissions")]
    Denied {
        /// What was tried.
        operation: &'static str,
        /// On which key or prefix.
        key: String,
        /// What the store or the operating system said.
        detail: String,
    },
    /// Two writers created one key: the store ignores the condition.
    #[error(
        "{store} does not honour create-only writes: {created} of {writers} racing writers created the same key; \
         use a store that honours If-None-Match"
    )]
    NotConditional {
        /// The store, as it describes itself.
        store: String,
        /// How many writers were told that they created the object.
        created: usize,
        /// How many writers raced.
        writers: usize,
    },
    /// Settings that cannot work.
    #[error("{detail}")]
    Misconfigured {
        /// What is wrong and what to do.
        detail: String,
    },
    /// A key outside the alphabet or the limits that all stores share.
    #[error("invalid object key {key:?}: {reason}")]
    InvalidKey {
        /// The key.
        key: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// More bytes than the store is set to hold in one object.
    #[error("object {key} has {size} bytes, the limit is {limit}; raise store.max_object_bytes or split the document")]
    TooLarge {
        /// The key.
        key: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The object that a record refers to is not there (or not there yet).
    #[error("body {key} is missing: upload the body before the record, and keep it longer than the topic")]
    BodyMissing {
        /// The key of the reference.
        key: String,
    },
    /// The store refuses to give the object that a record refers to, whoever asks: such as one that
    /// was encrypted with a key of the publisher's own.
    #[error("body {key} cannot be read: {detail}; upload it as any program with this deployment's rights can read it")]
    BodyUnreadable {
        /// The key of the reference.
        key: String,
        /// What the store said.
        detail: String,
    },
    /// The object is not the one that the record refers to.
    #[error("body {key} has {size} bytes and sha-256 {found}, its reference says {expected_size} bytes and {expected}")]
    BodyDigestMismatch {
        /// The key of the reference.
        key: String,
        /// Size found (reading stops one byte after the expected size).
        size: u64,
        /// Digest of what was read, in hex.
        found: String,
        /// Size that the reference states.
        expected_size: i64,
        /// Digest that the reference states.
        expected: String,
    },
    /// The reference states more than a document may have.
    #[error("body {key} has {size} bytes, the limit for a document is {limit}")]
    BodyTooLarge {
        /// The key of the reference.
        key: String,
        /// Size that the reference states.
        size: i64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The reference points outside its tenant's bodies, or makes no sense.
    #[error("body reference {key:?} is not acceptable: {reason}")]
    BodyReferenceInvalid {
        /// The key of the reference.
        key: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
}

impl ObjectError {
    /// A stable name for metrics, headers and the runbook.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "store_unavailable",
            Self::Denied { .. } => "store_denied",
            Self::NotConditional { .. } => "store_not_conditional",
            Self::Misconfigured { .. } => "store_misconfigured",
            Self::InvalidKey { .. } => "invalid_key",
            Self::TooLarge { .. } => "object_too_large",
            Self::BodyMissing { .. } => "body_missing",
            Self::BodyUnreadable { .. } => "body_unreadable",
            Self::BodyDigestMismatch { .. } => "body_digest_mismatch",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyReferenceInvalid { .. } => "body_reference_invalid",
        }
    }

    /// What the caller should do about the failure.
    pub fn class(&self) -> Class {
        match self {
            Self::Unavailable { .. } | Self::Denied { .. } => Class::RetryDependency,
            Self::NotConditional { .. } | Self::Misconfigured { .. } => Class::Fatal,
            Self::BodyMissing { .. } | Self::BodyUnreadable { .. } => Class::RetryRecord,
            Self::InvalidKey { .. }
            | Self::TooLarge { .. }
            | Self::BodyDigestMismatch { .. }
            | Self::BodyTooLarge { .. }
            | Self::BodyReferenceInvalid { .. } => Class::Reject,
        }
    }
}
