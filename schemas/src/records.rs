//! The records, one module for each stretch of a document's way. Field names and defaults are those
//! of the `.avsc` files, and `tests/` compares the two.

mod answer;
mod audit;
mod control;
mod dead_letter;
mod document;
mod evaluation;
mod ledger;
mod outcome;
mod routing;
mod scores;

pub use answer::{Answer, CheckResult, ModelIdentity};
pub use audit::AuditRecord;
pub use control::{PolicyApplied, SwitchState, TierSwitch};
pub use dead_letter::{DeadLetter, DeadLetterAction, RecordHeader};
pub use document::{BodyReference, Document, Format, Purpose, Sensitivity};
pub use evaluation::{Evaluation, EvaluationStatus, JudgeScores};
pub use ledger::{LedgerAttempt, LedgerSettlement, SettlementResult};
pub use outcome::{CacheLayer, Outcome, Status};
pub use routing::{Decision, Escalation, EvaluationRequest, Exclusion, Origin, RoutedDocument, Trial, TrialResult};
pub use scores::{PrecisionRecall, ReferenceScores, Rouge, Scores};
