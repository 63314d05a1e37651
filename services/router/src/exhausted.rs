//! The end of a document for which no tier, or no time, is left.
//!
//! The outcome is, as the policy says: an extract that passes its checks; else the best answer at
//! hand, flagged; else a failure that says what was tried.

use precis_objects::ObjectStore;
use precis_pipeline::figures::Figures;
use precis_pipeline::settle::{Draft, own_answer_key};
use precis_pipeline::{EffectivePolicy, PipelineError, answer_checks, answer_text};
use precis_policy::{Eligibility, Exhausted};
use precis_schemas::{Answer, Document, Outcome, Status, Trial, TrialResult, Usd, codec};

use crate::extract::Extract;

/// How a document came to have no tier left.
pub(crate) struct NoTier<'a> {
    /// Its request's fingerprint.
    pub(crate) fingerprint: &'a str,
    /// What earlier tiers did.
    pub(crate) trail: &'a [Trial],
    /// What the hard rules allow.
    pub(crate) allowed: &'a Eligibility,
    /// Why no allowed tier takes it.
    pub(crate) why: Exhausted,
}

/// A document with its text, which is empty where its body is gone.
pub(crate) struct Source<'a> {
    pub(crate) document: &'a Document,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    /// The figures of a stored answer.
    async fn figures(&self, effective: &EffectivePolicy, answer: &Answer) -> Figures {
        if self.text.is_empty() && answer.scores.is_none() {
            return Figures::default();
        }
        answer_checks::figures_of_stored(self.text, self.document, &effective.policy, answer).await
    }
}

/// A stored answer that failed its checks, with its trial and its key.
struct FailedAnswer<'a> {
    trial: &'a Trial,
    key: &'a str,
    answer: Answer,
}

/// The outcome when no tier is left. `extract` is the document's, where the policy asks for it.
pub(crate) async fn outcome(
    store: &dyn ObjectStore,
    effective: &EffectivePolicy,
    draft: Draft,
    source: &Source<'_>,
    extract: Option<Extract>,
    &NoTier { trail, allowed: gate, why, .. }: &NoTier<'_>,
) -> Result<Outcome, PipelineError> {
    let kept = answers(store, draft.tenant(), trail).await?;
    let spent = kept.iter().fold(Usd::ZERO, |sum, kept| sum.checked_add(kept.answer.cost).unwrap_or(Usd::MAX));
    let mut outcome = match (best(&kept), extract) {
        (_, Some(extract)) if extract.failed.is_empty() => {
            let mut outcome = draft.measured(&extract.figures).extracted(None, &extract.answer, Status::Answered);
            outcome.message = Some(message(trail, gate, why));
            // What the answers took that it stands in for: like the cost, it was spent.
            for FailedAnswer { answer, .. } in &kept {
                outcome.input_tokens = outcome.input_tokens.saturating_add(answer.input_tokens);
                outcome.cached_input_tokens = outcome.cached_input_tokens.saturating_add(answer.cached_input_tokens);
                outcome.output_tokens = outcome.output_tokens.saturating_add(answer.output_tokens);
                outcome.generation_ms = outcome.generation_ms.saturating_add(answer.generation_ms);
            }
            outcome
        }
        (Some(best), _) if effective.policy.flags(why) => {
            let draft = draft.measured(&source.figures(effective, &best.answer).await);
            let mut outcome = draft.flagged(&best.trial.tier, &best.answer, best.key, &best.trial.code);
            outcome.message = Some(message(trail, gate, why));
            outcome
        }
        (None, Some(extract)) if !extract.answer.text.is_empty() => {
            let mut outcome = draft.measured(&extract.figures).extracted(None, &extract.answer, Status::Flagged);
            outcome.code = extract.failed.first().cloned();
            outcome.message = Some(message(trail, gate, why));
            outcome
        }
        _ => draft.failed(why.code(), &message(trail, gate, why)),
    };
    // Every answer on the way was paid for, not only the one that is published.
    outcome.cost = spent;
    outcome.price_digest =
        outcome.price_digest.or_else(|| kept.iter().find_map(|kept| kept.answer.price_digest.clone()));
    Ok(outcome)
}

/// The stored answers of a trail, oldest first. An answer whose object is gone is left out.
async fn answers<'a>(
    store: &dyn ObjectStore,
    tenant: &str,
    trail: &'a [Trial],
) -> Result<Vec<FailedAnswer<'a>>, PipelineError> {
    let mut kept = Vec::new();
    for trial in trail.iter().filter(|trial| trial.result == TrialResult::FailedChecks) {
        let Some(key) = own_answer_key(tenant, trial) else { continue };
        if let Some(bytes) = store.get(key).await? {
            let mut answer = codec::decode(&bytes)?;
            answer_text::bound(&mut answer, answer_text::MAX_ANSWER_BYTES);
            kept.push(FailedAnswer { trial, key, answer });
        }
    }
    Ok(kept)
}

/// The answer with the fewest failed checks; among equals the latest, which came from the strongest
/// tier. An answer without text does not count.
fn best<'a, 'b>(kept: &'b [FailedAnswer<'a>]) -> Option<&'b FailedAnswer<'a>> {
    kept.iter()
        .rev()
        .filter(|kept| !kept.answer.text.trim().is_empty())
        .min_by_key(|kept| kept.trial.failed_checks.len())
}

/// What was tried, and why no other tier could be.
fn message(trail: &[Trial], gate: &Eligibility, why: Exhausted) -> String {
    let tried = trail.iter().map(|trial| match trial.result {
        TrialResult::FailedChecks => format!("{} failed {}", trial.tier, trial.failed_checks.join(", ")),
        TrialResult::Refused => format!("{} refused ({})", trial.tier, trial.code),
    });
    let excluded = gate
        .excluded
        .iter()
        .filter(|(tier, _)| !trail.iter().any(|trial| trial.tier == *tier))
        .map(|(tier, reason)| format!("{tier} excluded ({reason})"));
    let reasons: Vec<String> = if why == Exhausted::Late { tried.collect() } else { tried.chain(excluded).collect() };
    let what = if why == Exhausted::Late { "the deadline passed" } else { "no tier is left" };
    if reasons.is_empty() { what.to_owned() } else { format!("{what}: {}", reasons.join("; ")) }
}
