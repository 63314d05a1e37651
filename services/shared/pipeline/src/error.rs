//! Why a document cannot go on, and what the stage does about it.

use precis_flow::{Rejection, StageError};
use precis_objects::{Class, ObjectError};
use precis_schemas::{CodecError, codes};

use crate::GenerateError;
use crate::text_work::TimedOut;

/// An error of what router and workers share; [`PipelineError::into_stage`] gives it to `flow`.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The object store failed.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// An own record could not be written or read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The log failed.
    #[error(transparent)]
    Flow(#[from] precis_flow::FlowError),
    /// A tier has no answer.
    #[error(transparent)]
    Unanswered(#[from] GenerateError),
    /// The policy in force could not be read at start.
    #[error("the end of `control` was not reached within {seconds} s; is the log reachable?")]
    ControlUnread {
        /// How long the start waited.
        seconds: u64,
    },
    /// A record names a policy that is not in force here, and a newer one could not be read.
    #[error("the record was routed under another policy and the end of `control` could not be read")]
    PolicyUnknown,
    /// What is known of `control` is too old for anything to be sent to a provider.
    #[error("the end of `control` was not reached for too long; nothing is sent to a provider")]
    ControlStale,
    /// A document waited for room in a tier's topic until its stage drained: the record's next
    /// reader decides anew.
    #[error("no room in the topic of the tier {tier} before the wait for it ended")]
    WaitingEnded {
        /// The tier.
        tier: String,
    },
    /// A document waited for room among the texts that its process holds, until its stage drained.
    #[error("no room for the document's text before the wait for it ended")]
    TextWaitEnded,
    /// The key of routed work is not in the store as it should be.
    #[error("{} {detail}", precis_objects::keys::ROUTING)]
    RoutingKey {
        /// What is wrong; nothing of the key.
        detail: &'static str,
    },
    /// The document itself is at fault: it settles as failed, or becomes a dead letter.
    #[error("{message}")]
    Rejected {
        /// Stable `snake_case` code.
        code: &'static str,
        /// What is wrong, without document text.
        message: String,
    },
}

/// The text cannot be read in time: the document is at fault.
impl From<TimedOut> for PipelineError {
    fn from(error: TimedOut) -> Self {
        Self::rejected(codes::TEXT_TOO_SLOW, format!("{error}; please report it"))
    }
}

impl PipelineError {
    /// A fault of the document.
    pub fn rejected(code: &'static str, message: impl Into<String>) -> Self {
        Self::Rejected { code, message: message.into() }
    }

    /// Stable code for metrics, dead letters and runbooks.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Objects(error) => error.code(),
            Self::Codec(error) => error.code(),
            Self::Flow(error) => error.code(),
            Self::Unanswered(error) => error.code(),
            Self::ControlUnread { .. } => codes::CONTROL_UNREAD,
            Self::PolicyUnknown | Self::ControlStale => codes::CONTROL_STALE,
            Self::WaitingEnded { .. } | Self::TextWaitEnded => codes::WAITING_ENDED,
            Self::RoutingKey { .. } => codes::ROUTING_KEY_UNUSABLE,
            Self::Rejected { code, .. } => code,
        }
    }

    /// The stage's view: a fault of the document rejects it, a fault of a dependency waits for it.
    pub fn into_stage(self, tenant: Option<&str>) -> StageError {
        let (code, message) = (self.code(), self.to_string());
        let reject = |code, message| {
            let rejection = Rejection::new(code, message);
            StageError::Reject(Rejection { tenant: tenant.map(str::to_owned), ..rejection })
        };
        match self {
            Self::Rejected { .. } => reject(code, message),
            Self::Codec(_) => reject(code, message).of_own_record(),
            Self::Objects(error) => match error.class() {
                Class::Reject => reject(code, message),
                Class::RetryRecord => StageError::record(code, message),
                Class::RetryDependency => StageError::dependency(code, message),
                Class::Fatal => StageError::Fatal { code, message },
            },
            Self::Unanswered(error) => error.into_stage(tenant),
            Self::RoutingKey { .. } => StageError::Fatal { code, message },
            Self::Flow(_)
            | Self::ControlUnread { .. }
            | Self::PolicyUnknown
            | Self::ControlStale
            | Self::WaitingEnded { .. }
            | Self::TextWaitEnded => StageError::dependency(code, message),
        }
    }
}
