//! The router: decides for every document which tier summarises it, or settles it at once. The only place that decides tiers.
//!
//! ```text
//!  documents.<tenant> ─▶ read ─▶ settled? ─▶ valid? ─▶ gate ─▶ cached? ─▶ late? ─▶ score ─▶ mix ─▶ work.<tier>
//!                         │        │ yes        │ no      │        │ yes    │ yes: failed
//!                         │        ▼            ▼         │ empty  ▼
//!                         │     summaries   summaries     ▼      summaries
//!                         ▼    (the stored  (failed) +  summaries (answered, cache: exact)
//!                   dead-letters  bytes)  dead-letters  (failed)
//!
//!  escalations ─▶ settled? ─▶ gate with the trail ─▶ late? next tier ─▶ work.<tier>
//!                                                     │ none
//!                                                     ▼
//!                                                  summaries (flagged with the best answer, or failed)
//! ```
//!
//! - Nothing that costs money comes before the look at what is settled already: a redelivery and the publisher's repeat
//!   get the stored bytes, another request under the same identity becomes a dead letter `id_conflict`.
//! - The hard gate comes before any score, and no fallback widens it ([`precis_policy::gate`]).
//! - A record whose owner or identity cannot be told leaves a dead letter only. Every other document ends as exactly one outcome.

mod assign;
mod exhausted;
mod request;
mod router;
mod settings;
mod shares;
mod validate;

use std::sync::Arc;

use anyhow::Context as _;
use precis_flow::{Subscription, run_stage};
use precis_pipeline::{House, topics};
use tokio_util::sync::CancellationToken;

pub use router::Router;
pub use settings::RouterSettings;
pub use validate::{
    MAX_DOCUMENT_ID_BYTES, MAX_INSTRUCTION_BYTES, MAX_LABEL_BYTES, MAX_SUBJECTS, MAX_TITLE_BYTES, MIN_SUMMARY_WORDS,
};

/// Name of the stage; its consumer group follows from it.
pub const STAGE: &str = "router";

/// Runs the router until `shutdown`, then drains.
///
/// # Errors
/// The stage's fatal errors.
pub async fn run(house: &House, settings: RouterSettings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let router = Router::new(house.settler.clone(), house.control.clone());
    let subscription = Subscription::topics([topics::ESCALATIONS]).and_prefix(topics::DOCUMENTS_PREFIX);
    let stage = house.stage(STAGE, subscription, &settings.stage);
    run_stage(house.log.clone(), stage, Arc::new(router), house.health.clone(), shutdown)
        .await
        .context("the router's stage stopped")
}
