//! The router: decides for every document which tier summarises it, or settles it at once. The only
//! place that decides tiers.
//!
//! ```text
//!  documents.<tenant> ─▶ read ─▶ seen lately? ─no──▶ valid? ─▶ cached? ─▶ gate ─▶ late? ─▶ score ─▶ mix ─▶ work.<tier>
//!                         │        │ yes          ▲     │ no      │        │ yes    │ yes: failed
//!                         │        ▼              │     ▼         ▼        │ none
//!                         │     settled? ──no─────┘  summaries  summaries  ▼
//!                         │        │ yes             (failed) + (answered, summaries
//!                         ▼        ▼               dead-letters  exact)    (failed)
//!                   dead-letters  summaries (the stored bytes)
//!
//!  escalations ─▶ settled? ─▶ gate with the trail ─▶ late? next tier ─▶ work.<tier>
//!                                                     │ none
//!                                                     ▼
//!                                                  summaries (flagged with the best answer, or failed)
//! ```
//!
//! - A document that looks new is not looked up: the store is asked once for each document, by the
//!   tier's worker, before anything that costs money. So a repeat of an old document goes the way
//!   of a new one (and counts in the mix as one), and the worker publishes the stored bytes, or
//!   rejects another request under the same identity as `id_conflict`. The router asks where it is
//!   cheap or it is the end: for an identity that it saw lately (`recent`), for a replay, for an
//!   escalation, and before it rejects what may be settled. That is sound because every settlement,
//!   here too, creates the result or adopts the one that is there; and because a document's way out
//!   of the router enters the log with its offset: of a redelivered one nothing was published.
//! - The hard gate comes before any score, and no fallback widens it ([`precis_policy::gate`]).
//! - A record whose owner or identity cannot be told leaves a dead letter only. Every other
//!   document ends as exactly one outcome.

mod admission;
mod assign;
mod backlog;
mod exhausted;
mod recent;
mod request;
mod router;
mod settings;
mod shares;
mod validate;

use std::sync::Arc;

use anyhow::Context as _;
use precis_flow::{Subscription, run_stage};
use precis_pipeline::{Runtime, topics};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use router::Router;
pub use settings::RouterSettings;
pub use validate::{
    MAX_DOCUMENT_ID_BYTES, MAX_INSTRUCTION_BYTES, MAX_LABEL_BYTES, MAX_SUBJECTS, MAX_TITLE_BYTES, MIN_SUMMARY_WORDS,
    Verdict, check_options,
};

/// Name of the stage; its consumer group follows from it.
pub const STAGE: &str = "router";

/// Runs the router until `shutdown`, then drains.
///
/// # Errors
/// The stage's fatal errors.
pub async fn run(runtime: &Runtime, settings: RouterSettings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let router = Router::new(runtime.settler.clone(), runtime.control.clone());
    let (admission, log, control) = (router.admission().clone(), runtime.log.clone(), runtime.control.clone());
    // Once before anything is let in, so that a restart does not fill what is full.
    let _ = shutdown.run_until_cancelled(admission.look(&*log, &control)).await;
    let _following = AbortOnDropHandle::new(tokio::spawn(async move { admission.follow(log, control).await }));
    let subscription = Subscription::topics([topics::ESCALATIONS]).and_prefix(topics::DOCUMENTS_PREFIX);
    let stage = runtime.stage(STAGE, subscription, &settings.stage);
    let stage = run_stage(runtime.log.clone(), stage, Arc::new(router), runtime.health.clone(), shutdown);
    // Among the tasks that it starts and waits for, not on the thread of main.
    AbortOnDropHandle::new(tokio::spawn(stage))
        .await
        .context("the router's stage ended early")?
        .context("the router's stage stopped")
}
