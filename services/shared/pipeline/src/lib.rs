//! What the router and the workers share.
//!
//! | module | says |
//! | --- | --- |
//! | [`identity`] | who a document is, and when two requests are the same |
//! | [`source`] | what a document's text is |
//! | [`text_budget`] | how many bytes of text a process holds at once |
//! | [`text_work`] | where long texts are read |
//! | [`prompt`] | what is asked of a model |
//! | [`answer_text`] | what of a model's answer is the summary |
//! | [`answer_checks`] | what is measured on an answer |
//! | [`figures`] | what describes a summary and decides nothing |
//! | [`control`] | which policy and switches are in force |
//! | [`clearance`] | whether a document may still go where it is about to be sent |
//! | [`settle`] | how a document ends |
//! | [`evaluation`] | how a summary is judged by an evaluator model |
//! | [`quoted`] | how a text stands in a message to a model |
//! | [`worker`] | what a worker of any tier does with a document |
//! | [`topics`] | which topics there are |
//! | [`returns`] | where records go that are tried again |
//! | [`proof`] | which records between router and workers are ours |
//! | [`runtime`] | what a process opens from its settings |
//! | [`audit`] | what operators changed, and why |
//!
//! **Invariants.** Identity is (tenant, document id, revision), and the tenant comes from the topic
//! that publishers write. What a record's headers say of its treatment is believed on topics alone
//! that only Précis writes. The result object is created once and never changed. Whoever loses the
//! race publishes the winner's bytes, so topic and store cannot disagree. A worker may refuse a
//! document, and never widens where it may go.

pub mod answer_checks;
pub mod answer_text;
mod attempts;
pub mod audit;
pub mod clearance;
pub mod control;
pub mod error;
pub mod evaluation;
pub mod figures;
pub mod identity;
mod paid_requests;
mod partials;
pub mod prompt;
pub mod proof;
pub mod quoted;
pub mod returns;
pub mod runtime;
pub mod settle;
pub mod source;
pub mod text_budget;
pub mod text_work;
pub mod topics;
pub mod worker;

pub use clearance::{Clearance, Denied};
pub use control::{Control, EffectivePolicy};
pub use error::PipelineError;
pub use identity::Identity;
pub use paid_requests::{PaidRequests, Spent};
pub use partials::PartialAnswers;
pub use precis_base::clock::now_ms;
pub use proof::RoutingKeys;
pub use runtime::Runtime;
pub use settle::Settler;
pub use text_budget::{HoldsText, TextBudget, TextPermit};
pub use worker::{BUILT_IN_PROVIDER, GenerateError, Generated, Job, Summariser, TierWorker};
