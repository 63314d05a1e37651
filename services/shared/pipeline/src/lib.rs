//! What the router and the workers share of a document's way: who a document is ([`identity`]),
//! what it says ([`source`]), what is asked of a model ([`prompt`]), which policy and switches are
//! in force ([`control`]), whether it may go where it is about to ([`clearance`]), how it ends
//! ([`settle`]) and what a worker of any tier does with it ([`worker`]); how a process gets all of
//! it from its settings ([`runtime`]); and what is on record of those who changed any of it
//! ([`audit`]).
//!
//! **Invariants.** Identity is (tenant, document id, revision) and the tenant comes from the topic.
//! The result object is created once and never changed; whoever loses the race publishes the
//! winner's bytes, so topic and store cannot disagree. A worker may refuse a document, never widen
//! where it may go.

pub mod answer_text;
mod attempts;
pub mod audit;
pub mod clearance;
pub mod control;
pub mod error;
pub mod identity;
mod paid_requests;
mod partials;
pub mod prompt;
pub mod runtime;
pub mod settle;
pub mod source;
pub mod topics;
mod unsaved;
pub mod worker;

pub use clearance::{Clearance, Denied};
pub use control::{Control, EffectivePolicy};
pub use error::PipelineError;
pub use identity::Identity;
pub use paid_requests::{PaidRequests, Spent};
pub use partials::PartialAnswers;
pub use runtime::Runtime;
pub use settle::Settler;
pub use worker::{BUILT_IN_PROVIDER, GenerateError, Generated, Job, Summariser, TierWorker};

/// Milliseconds since 1970-01-01 UTC. The only clock the pipeline reads; pure parts take the value.
pub fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
