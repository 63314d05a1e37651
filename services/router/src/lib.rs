//! The router: decides which tier summarises a document, or settles the document at once. No other
//! service decides tiers.
//!
//! ```text
//!  documents.<tenant> ─▶ read ─▶ known here?  ─no──▶ valid? ─▶ cached? ─▶ gate ─▶ late? ─▶ score ─▶ mix ─▶ work.<tier>
//!                         │        │ yes          ▲     │ no      │        │ yes    │ yes: failed
//!                         │        ▼              │     ▼         ▼        │ none
//!                         │     settled? ──no─────┘  summaries  summaries  ▼
//!                         │        │ yes             (failed) + (answered, summaries
//!                         ▼        ▼               dead-letters  exact)    (failed)
//!                   dead-letters  summaries (the stored bytes)
//!
//!  escalations ─▶ proved ours? ─▶ settled? ─▶ gate with the trail ─▶ late? next tier ─▶ work.<tier>
//!                     │ no                                             │ none
//!                     ▼                                                ▼
//!                dead-letters                                       summaries (an extract, flagged with the best answer, or failed)
//!
//!  escalations with a summary to judge ─▶ gate ─▶ judge? ─▶ work.<tier>
//!                                                   │ none
//!                                                   ▼
//!                                              evaluations (failed)
//! ```
//!
//! - The work of a tier of kind `extract` is done here (module `extract`): it asks no model, so
//!   there is nothing to wait or to pay for. Its outcome is settled like every other; where its
//!   checks fail, the document goes up a tier.
//! - A document that the router does not know is not looked up in the store. The tier's worker
//!   looks each document up once, before anything that costs money. So a repeat of an old document
//!   takes the way of a new one (and counts in the mix as one): the worker publishes the stored
//!   bytes, or rejects another request under the same identity as `id_conflict`.
//! - The router looks a document up where that is cheap or final: for an identity that it had
//!   recently (`recent`), for a replay, for an escalation, and before it rejects a document that
//!   may be settled already. Leaving out the other look-ups is sound for two reasons. Every
//!   settlement, here too, creates the result or adopts the stored one; and a document's output
//!   enters the log together with its offset, so nothing was published of a document that is
//!   delivered again.
//! - The gate comes before any score, and no fallback widens the gate ([`precis_policy::gate`]).
//! - Of a record on `documents.*` no header of ours is believed. Copies that are tried again come
//!   from `returns`, where the origin says whose they are ([`precis_pipeline::returns`]).
//! - A record whose owner or identity cannot be read leaves a dead letter only. Every other
//!   document ends as exactly one outcome.

mod admission;
mod assign;
mod backlog;
mod exhausted;
mod extract;
mod recent;
mod request;
mod router;
mod settings;
mod shares;
mod validate;

use std::sync::Arc;

use anyhow::Context as _;
use precis_flow::{Log, Subscription, run_stage};
use precis_pipeline::runtime::TopicSettings;
use precis_pipeline::{Runtime, TextBudget, topics};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use router::Router;
pub use settings::RouterSettings;
pub use validate::{
    MAX_DOCUMENT_ID_BYTES, MAX_INSTRUCTION_BYTES, MAX_LABEL_BYTES, MAX_SUBJECTS, MAX_TITLE_BYTES, MIN_SUMMARY_WORDS,
    Verdict, check_options,
};

/// Name of the stage; the consumer group is named after it.
pub const STAGE: &str = topics::ROUTER_STAGE;

/// What the router reads: documents, those that are tried again, and escalations.
pub fn subscription(settings: &TopicSettings) -> Subscription {
    let own = Subscription::topics([topics::ESCALATIONS, topics::RETURNS]);
    if !settings.only_listed_tenants {
        return own.and_prefix(topics::DOCUMENTS_PREFIX);
    }
    let listed = settings.tenants.iter().map(|tenant| topics::documents(tenant));
    Subscription { topics: own.topics.into_iter().chain(listed).collect(), ..own }
}

/// Names the `documents` topics that are not read, since the settings do not list their tenants.
async fn tell_unread(log: &dyn Log, settings: &TopicSettings) -> anyhow::Result<()> {
    if !settings.only_listed_tenants {
        return Ok(());
    }
    let topics = log.topics().await.context("the topics cannot be listed")?;
    for topic in unread(topics.iter().map(|topic| topic.name.as_str()), settings) {
        tracing::warn!(topic, "not read: topics.tenants does not list its tenant");
    }
    Ok(())
}

/// The `documents` topics among these that the router does not read.
pub fn unread<'a>(topics: impl IntoIterator<Item = &'a str>, settings: &TopicSettings) -> Vec<&'a str> {
    let read = subscription(settings);
    let is_unread = |topic: &&str| topic.starts_with(topics::DOCUMENTS_PREFIX) && !read.matches(topic);
    topics.into_iter().filter(is_unread).collect()
}

/// Runs the router until `shutdown`, then drains.
///
/// # Errors
/// The stage's fatal errors.
pub async fn run(runtime: &Runtime, settings: RouterSettings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let texts = TextBudget::new(settings.stage.max_text_bytes_in_process);
    let _shown = texts.show("router");
    let router = Router::new(runtime.settler.clone(), runtime.control.clone(), runtime.routing_keys.clone())
        .with_text_budget(texts);
    let (admission, log, control) = (router.admission().clone(), runtime.log.clone(), runtime.control.clone());
    // Measured once before any document is admitted, so that a restart does not fill a full topic.
    let _ = shutdown.run_until_cancelled(admission.measure_and_serve(&*log, &control)).await;
    let _following = AbortOnDropHandle::new(tokio::spawn(async move { admission.follow(log, control).await }));
    tell_unread(&*runtime.log, &runtime.topics).await?;
    let stage = runtime.stage(STAGE, subscription(&runtime.topics), &settings.stage);
    let stage = run_stage(runtime.log.clone(), stage, Arc::new(router), runtime.health.clone(), shutdown);
    // A task of its own: the stage runs beside the tasks that it starts, not on the main thread.
    AbortOnDropHandle::new(tokio::spawn(stage))
        .await
        .context("the router's stage ended early")?
        .context("the router's stage stopped")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlisted_tenants_are_read_unless_the_settings_say_not() {
        let all = TopicSettings { tenants: vec!["acme".to_owned()], ..TopicSettings::default() };
        let topics = ["documents.acme", "documents.other", topics::RETURNS, topics::ESCALATIONS, "work.gpu"];
        assert!(topics[..4].iter().all(|topic| subscription(&all).matches(topic)));
        assert!(!subscription(&all).matches("work.gpu") && unread(topics, &all).is_empty());
        let listed = TopicSettings { only_listed_tenants: true, ..all };
        assert!(!subscription(&listed).matches("documents.other"));
        assert!(
            ["documents.acme", topics::RETURNS, topics::ESCALATIONS]
                .iter()
                .all(|name| subscription(&listed).matches(name))
        );
        assert_eq!(unread(topics, &listed), ["documents.other"]);
    }
}
