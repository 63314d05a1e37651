//! The wait for the documents of a run. It always ends: with their outcomes, or with the reason why
//! some have none.
//!
//! The wait ends
//! - when every document has ended,
//! - after an interruption, when the services have drained,
//! - when a service failed,
//! - when nothing can be saved ([`Standstill`]),
//! - when every stage here has processed all records and a document still has no end: then nobody
//!   here takes the work of its tier ([`left`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use precis_inference::Engine;
use precis_pipeline::Runtime;
use precis_schemas::CacheLayer;
use precis_telemetry::Troubles;
use tokio_util::sync::CancellationToken;

use super::left;
use super::standstill::Standstill;
use crate::compose::Services;
use crate::follow::{Ending, Follower};
use crate::output::Output;
use crate::output::words::plural;
use crate::progress::{Progress, Tokens};
use crate::workers::Workers;

/// How often progress, policy and failures are checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// How often it is checked whether anything is left to wait for. Two checks in a row that find
/// nothing end the run.
const LEFT_INTERVAL: Duration = Duration::from_secs(5);
/// How long the last outcomes are waited for after all services have drained.
const LAST_OUTCOMES_TIMEOUT: Duration = Duration::from_millis(500);

/// Ends with an error once nothing could be saved for too long. Before that, tells why.
pub(super) async fn until_over(troubles: &Troubles, out: &Output) -> anyhow::Error {
    let (mut standstill, started) = (Standstill::default(), Instant::now());
    let mut tick = tokio::time::interval(CHECK_INTERVAL);
    loop {
        tick.tick().await;
        if let Some(remark) = standstill.note(started.elapsed(), 0, troubles.take()) {
            out.note(remark);
        }
        if let Some(error) = standstill.over(started.elapsed()) {
            return error;
        }
    }
}

/// What works while the outcomes are waited for.
pub(super) struct OutcomeWait<'a> {
    runtime: &'a Arc<Runtime>,
    services: &'a mut Services,
    workers: &'a mut Workers,
    troubles: &'a Troubles,
    stop: &'a CancellationToken,
    out: &'a Output,
    standstill: Standstill,
    /// When it was last checked whether anything is left.
    checked: Instant,
    /// Whether that check found nothing.
    nothing_left: bool,
}

impl<'a> OutcomeWait<'a> {
    /// Waits for nothing yet.
    pub(super) fn new(
        runtime: &'a Arc<Runtime>,
        services: &'a mut Services,
        workers: &'a mut Workers,
        troubles: &'a Troubles,
        stop: &'a CancellationToken,
        out: &'a Output,
    ) -> Self {
        let (standstill, checked) = (Standstill::default(), Instant::now());
        Self { runtime, services, workers, troubles, stop, out, standstill, checked, nothing_left: false }
    }

    /// Whether the log or the store failed and nothing has ended since.
    pub(super) fn nothing_is_saved(&self) -> bool {
        self.standstill.reason().is_some()
    }

    /// Adds the end of every document to `endings`, until all that the follower waits for have one
    /// or, after an interruption, until the services have drained.
    ///
    /// # Errors
    /// A service that failed; what keeps the rest of the documents from ending.
    pub(super) async fn until_all_ended(
        &mut self,
        follower: &mut Follower,
        progress: &mut Progress<'_>,
        endings: &mut BTreeMap<String, Ending>,
    ) -> anyhow::Result<()> {
        let mut told = false;
        let mut drained = None;
        while follower.open() > 0 && drained.is_none_or(|since: Instant| since.elapsed() < LAST_OUTCOMES_TIMEOUT) {
            tokio::select! {
                ending = follower.next(CHECK_INTERVAL) => {
                    if let Some((id, ending)) = ending? {
                        account(progress, &id, &ending);
                        endings.insert(id, ending);
                        self.something_ended();
                    }
                }
                ended = self.services.one_ended(), if !self.services.all_ended() => ended?,
            }
            let stats = self.workers.engine().map(|(engine, _)| Engine::stats(engine)).unwrap_or_default();
            progress.tick(Tokens { read: stats.prefill_tokens, written: stats.decode_tokens }, stats.running);
            self.saved(progress, endings.len())?;
            if self.stop.is_cancelled() {
                if !told {
                    progress.note(
                        "finishing what is in flight; once more Ctrl-C ends at once, and nothing settled is lost",
                    );
                    told = true;
                }
            } else {
                self.workers.serve(self.runtime, self.services, self.out).await?;
                self.anything_left(follower.open()).await?;
            }
            if self.services.all_ended() && drained.is_none() {
                drained = Some(Instant::now());
            }
        }
        Ok(())
    }

    fn something_ended(&mut self) {
        (self.checked, self.nothing_left) = (Instant::now(), false);
    }

    /// Fails when nothing was saved for too long, and at once when somebody wants the run to stop
    /// meanwhile.
    fn saved(&mut self, progress: &Progress<'_>, done: usize) -> anyhow::Result<()> {
        let at = progress.elapsed();
        if let Some(remark) = self.standstill.note(at, done, self.troubles.take()) {
            progress.note(&remark);
        }
        if let Some(error) = self.standstill.over(at) {
            return Err(error);
        }
        match self.standstill.reason() {
            Some(why) if self.stop.is_cancelled() => {
                Err(anyhow!("stopped while nothing could be saved: {} ({})", why.message, why.code))
            }
            _ => Ok(()),
        }
    }

    /// Fails when every stage here has processed all there is, twice in a row, and documents are
    /// open all the same.
    async fn anything_left(&mut self, open: usize) -> anyhow::Result<()> {
        if self.checked.elapsed() < LEFT_INTERVAL {
            return Ok(());
        }
        let served = self.workers.topics(self.runtime);
        let before = self.nothing_left;
        // A log that does not answer ends the run as a standstill.
        self.nothing_left = matches!(left::any_left(self.runtime, &served).await, Ok(false));
        self.checked = Instant::now();
        if !before || !self.nothing_left {
            return Ok(());
        }
        let (open, stranded) = (plural(open, "document"), left::stranded(self.runtime, &served).await?);
        Err(if stranded.is_empty() {
            anyhow!("{open} ended without an outcome: nothing is left to wait for; summarise again")
        } else {
            anyhow!(
                "nobody here takes the work of {}, where {open} wait: enable the tier in the policy and summarise again",
                stranded.join(", ")
            )
        })
    }
}

fn account(progress: &mut Progress<'_>, id: &str, ending: &Ending) {
    match ending {
        Ending::Outcome { outcome, repeat: false } if outcome.cache == CacheLayer::None => {
            let count = |tokens: i64| u64::try_from(tokens).unwrap_or(0);
            progress.computed(id, Tokens { read: count(outcome.input_tokens), written: count(outcome.output_tokens) });
        }
        Ending::Outcome { .. } | Ending::DeadLetter(_) => progress.settled(id),
    }
}
