//! What a service writes: a [`Processor`]. Everything else about a stage is this crate's.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use precis_schemas::BodyReference;
use precis_schemas::codes::{self, Fault};
use precis_telemetry::TraceContext;
use precis_telemetry::trace::TRACEPARENT;
use tokio_util::sync::CancellationToken;

use crate::values::{Output, Position, Record};

/// Turns one record into outputs.
///
/// It may run for any number of records at once, though never for two of one key, and more than
/// once for the same record: after a crash, a rebalance or a retry. Its outputs enter the log
/// exactly once; what else it does must bear repetition.
#[async_trait]
pub trait Processor: Send + Sync + 'static {
    /// Processes one record. A panic counts as a retry of scope [`Scope::Record`] with the code
    /// `processor_panicked`.
    async fn process(&self, delivery: &Delivery) -> Result<Vec<Output>, StageError>;

    /// What a rejection leaves beside its dead letter, such as the failed outcome; it enters the
    /// log together with the dead letter. Called again until it succeeds when it asks for a retry
    /// of scope [`Scope::Dependency`]; after any other failure, and the usual retries in place, the
    /// dead letter goes alone and says so.
    async fn rejected(&self, delivery: &Delivery, rejection: &Rejection) -> Result<Vec<Output>, StageError> {
        let _ = (delivery, rejection);
        Ok(Vec::new())
    }

    /// Who sent the record, where that can be told: asked of records that are rejected. In a topic
    /// of many senders, one alone must not bring about a pause.
    fn sender(&self, record: &Record) -> Option<String> {
        let _ = record;
        None
    }
}

/// One record on its way through a processor.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The record.
    pub record: Record,
    /// Earlier deliveries that ended in a re-enqueueing: the header `precis-attempts`, where it is
    /// to be believed.
    pub attempts: u32,
    origin: Position,
    /// The span of this processing: a child of what the record's `traceparent` names, or a new
    /// trace.
    pub trace: TraceContext,
    /// Cancelled when the result is no longer wanted, because the partition is gone or the stage
    /// has stopped waiting: return soon, whatever is returned is dropped. It is not cancelled while
    /// a stage that shuts down still waits.
    pub shutdown: CancellationToken,
    /// Cancelled when the record's partition begins to leave or the stage begins to stop, and no
    /// later than `shutdown`: no more waiting. What is under way may finish, and is still wanted; a
    /// wait for something that is away, or for room, should end, with [`StageError::dependency`]. A
    /// try that fails from now on is not made again: the record is left to whoever comes next, as
    /// it is.
    pub draining: CancellationToken,
}

impl Delivery {
    /// A delivery, of a topic that nobody else writes, whose stage does not drain: for tests of
    /// processors.
    pub fn new(record: Record, shutdown: CancellationToken) -> Self {
        let draining = shutdown.child_token();
        Self::with(record, false, shutdown, draining)
    }

    /// A delivery as the stage makes it. `foreign`: whether others write the record's topic.
    pub(crate) fn with(
        record: Record,
        foreign: bool,
        shutdown: CancellationToken,
        draining: CancellationToken,
    ) -> Self {
        let trace = TraceContext::continue_from(record.headers.get_str(TRACEPARENT));
        let (attempts, origin) =
            if foreign { (0, record.position()) } else { (record.claimed_attempts(), record.claimed_origin()) };
        Self { record, attempts, origin, trace, shutdown, draining }
    }

    /// Where the first copy of this record lay: the same for a redelivery, a re-enqueued and a
    /// replayed record.
    pub fn origin(&self) -> &Position {
        &self.origin
    }
}

/// Why a record can never be processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Stable code: metric label, header of the dead letter, runbook anchor.
    pub code: &'static str,
    /// What happened, for people. No document text, no secrets.
    pub message: String,
    /// Whose record it is, when that could be told.
    pub tenant: Option<String>,
    /// Whose fault it is: what only senders can cause pauses nothing.
    pub fault: Fault,
}

impl Rejection {
    /// A rejection of unknown tenant, for whose fault the list of codes has it.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), tenant: None, fault: codes::fault_of(code) }
    }

    /// Sets the tenant.
    #[must_use]
    pub fn of_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Sets whose fault it is, where the code alone does not say it.
    #[must_use]
    pub fn by_fault(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }
}

/// Why a record ended as a dead letter, as far as it decides what else is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) code: &'static str,
    pub(crate) fault: Fault,
    pub(crate) sender: Option<Arc<str>>,
}

impl Cause {
    pub(crate) fn of(rejection: &Rejection) -> Self {
        Self { code: rejection.code, fault: rejection.fault, sender: rejection.tenant.as_deref().map(Arc::from) }
    }
}

/// How far a fault reaches, and so what to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Something that all records need is away (Kafka, S3, a provider): intake pauses, the record
    /// is tried again without limit.
    Dependency,
    /// This record only: tried again a few times in place, then re-enqueued at the tail of its
    /// topic, or of the topic of returns, a few times, then rejected.
    Record,
}

/// Why a record could not be processed, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    /// Never again: dead letter, and what [`Processor::rejected`] adds.
    #[error("rejected as {}: {}", .0.code, .0.message)]
    Reject(Rejection),
    /// Later again.
    #[error("to be tried again, {code}: {message}")]
    Retry {
        /// How far the fault reaches.
        scope: Scope,
        /// Stable code.
        code: &'static str,
        /// What happened, for people.
        message: String,
        /// Not before this time has passed, such as a provider's `Retry-After`. For scope
        /// [`Scope::Record`] never longer than the stage's longest wait, since others wait behind
        /// the record.
        after: Option<Duration>,
    },
    /// This process cannot go on: the stage stops, nothing of this record is committed.
    #[error("cannot go on, {code}: {message}")]
    Fatal {
        /// Stable code.
        code: &'static str,
        /// What happened, for people.
        message: String,
    },
}

impl StageError {
    /// A rejection of unknown tenant.
    pub fn reject(code: &'static str, message: impl Into<String>) -> Self {
        Self::Reject(Rejection::new(code, message))
    }

    /// A dependency is away.
    pub fn dependency(code: &'static str, message: impl Into<String>) -> Self {
        Self::Retry { scope: Scope::Dependency, code, message: message.into(), after: None }
    }

    /// This record failed and may succeed later.
    pub fn record(code: &'static str, message: impl Into<String>) -> Self {
        Self::Retry { scope: Scope::Record, code, message: message.into(), after: None }
    }

    /// This process cannot go on.
    pub fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self::Fatal { code, message: message.into() }
    }

    /// The same, of a record that a service of this deployment wrote: no sender can be at fault.
    #[must_use]
    pub fn of_own_record(self) -> Self {
        match self {
            Self::Reject(rejection) => Self::Reject(rejection.by_fault(Fault::Ours)),
            other => other,
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Reject(rejection) => rejection.code,
            Self::Retry { code, .. } | Self::Fatal { code, .. } => code,
        }
    }
}

/// Where the value of a dead letter goes that is too large for a record. A service gives its stage
/// one; this crate knows of no object store.
#[async_trait]
pub trait DeadLetterStore: Send + Sync + 'static {
    /// Stores the value of a rejected record durably, for as long as dead letters are kept, and
    /// says where. Must bear repetition. A [`StageError::Retry`] is tried again without limit.
    async fn store(&self, record: &Record, value: &[u8]) -> Result<BodyReference, StageError>;
}

/// Where it is noted that a record is about to run alone: outside of the process, which it may take
/// with it. A service gives its stage one.
#[async_trait]
pub trait AttemptMarkers: Send + Sync + 'static {
    /// Notes durably that this process begins the attempt. `false`: earlier processes began it and
    /// did not note that they survived, as many as the store takes for proof. Must bear repetition:
    /// whoever asks twice in one process is told the same twice. Another copy of the record,
    /// re-enqueued or replayed, is another record. A [`StageError::Retry`] is tried again without
    /// limit.
    async fn begin(&self, record: &Record, attempt: Attempt) -> Result<bool, StageError>;

    /// Notes durably that this process outlived the attempt, whatever came of it: who finds its
    /// marker later does not take the record for a killer. Partitions are lost for other reasons
    /// than death.
    async fn survived(&self, record: &Record, attempt: Attempt) -> Result<(), StageError>;
}

/// What is about to be done with a record that runs alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// [`Processor::process`].
    Process,
    /// [`Processor::rejected`]: even that may be deadly, since it reads the record.
    Reject,
}

impl Attempt {
    /// How many processes may die with a record that runs alone before the record counts as their
    /// killer. One process may have been killed from outside; a rejection runs no processor.
    pub const fn max_deaths(self) -> u32 {
        match self {
            Self::Process => 2,
            Self::Reject => 1,
        }
    }

    /// Its name in a key.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Reject => "reject",
        }
    }
}
