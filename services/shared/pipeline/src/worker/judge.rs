//! What a worker does with a summary that it is to judge.
//!
//! The way is that of a document: clearance, text, a stored answer or a new one, and a refusal goes
//! back to the router. Each answer of the judge is stored before it is read, so a crash costs no
//! second request. The checks of summaries say nothing of a verdict, so none is made.

use precis_flow::{Delivery, Output};
use precis_policy::DecodingRules;
use precis_schemas::{Answer, Outcome, codes};

use super::generate::{self, Summariser};
use super::work::{AnswerSpec, Work};
use super::{DecodedWork, TierWorker, unanswered};
use crate::evaluation::rubric::{self, Verdict};
use crate::evaluation::{Judgement, Subject};
use crate::settle::Claim;
use crate::{GenerateError, PipelineError, source};

/// A verdict is JSON: what keeps a summary to its text would break it.
const PLAIN: DecodingRules =
    DecodingRules { numbers_from_source: Some(false), names_from_source: Some(false), no_repeat_tokens: Some(0) };

/// A text that a judge would read in parts is refused: it would judge what it has not read.
const MAX_PARTS: u32 = 1;

impl<S: Summariser> TierWorker<S> {
    /// Judges a summary, or publishes what was said of it already.
    pub(super) async fn judge(
        &self,
        delivery: &Delivery,
        decoded: &DecodedWork,
        subject: &Subject<'_>,
    ) -> Result<Output, PipelineError> {
        let DecodedWork { routed, document } = decoded;
        if let Some(output) = self.evaluations.settled(subject).await? {
            return Ok(output);
        }
        let document = document.as_ref().map_err(Clone::clone)?;
        super::request::check_document(routed, document)?;
        let effective = self.control.for_work(&routed.policy_digest, self.summariser.tier_kind()).await?;
        let clearance = self.clearance(routed, document);
        // What is paid for a verdict is counted apart from what the document's summary took.
        let claim = Claim { request_digest: routed.request_fingerprint.clone(), ..Claim::of(routed) };
        let work = Work { tier: &self.tier, delivery, routed, document, claim, effective, clearance };
        let Some(outcome) = self.evaluations.outcome(subject).await? else {
            return self
                .failed(&work, subject, None, (codes::RESULT_GONE, "the document has no result any more"))
                .await;
        };
        let Some(summary) = outcome.summary.as_deref() else {
            return self
                .failed(&work, subject, Some(&outcome), (codes::RESULT_GONE, "its result has no summary"))
                .await;
        };
        if let Err(denied) = work.clearance.allowed_by(&work.effective) {
            return unanswered(&work, &work.effective, denied.into());
        }
        let text = source::text_of(&routed.tenant, document, &*self.store).await?;
        let mut answers = Vec::new();
        let mut problem = "";
        for attempt in 1..=rubric::MAX_ATTEMPTS {
            let prompt = rubric::prompt(document, summary, subject.request().round, attempt);
            let spec = AnswerSpec::of_judge(&work, &text, &self.summariser, prompt, PLAIN);
            match self.answer_of_judge(&work, &spec).await {
                Ok(answer) => answers.push(answer),
                Err(PipelineError::Unanswered(error @ GenerateError::Refused { .. })) => {
                    return unanswered(&work, &self.control.effective(), error);
                }
                Err(error) => return Err(error),
            }
            let said = answers.last().map_or("", |answer| answer.text.as_str());
            match rubric::parse(said) {
                Ok(verdict) => return self.settle_verdict(&work, subject, &outcome, verdict, &answers).await,
                Err(why) => problem = why,
            }
        }
        tracing::warn!(
            tier = self.tier,
            code = codes::JUDGE_UNREADABLE,
            "the judge's answer cannot be used: {problem}"
        );
        let message = format!("the judge answered {} times, the last answer cannot be used: {problem}", answers.len());
        let judgement = Judgement::failed(Some(&self.tier), codes::JUDGE_UNREADABLE, &message, &answers);
        self.evaluations.settle(subject, document, Some(&outcome), &work.effective, judgement).await
    }

    /// The stored answer, or a new one.
    async fn answer_of_judge(&self, work: &Work<'_>, spec: &AnswerSpec<'_>) -> Result<Answer, PipelineError> {
        if let Some(answer) = self.answers.recall(spec).await? {
            return Ok(answer);
        }
        let asked = generate::ask(&self.summariser, &self.answers, work, spec, MAX_PARTS).await?;
        let (answer, _) = self.answers.store(&spec.key, asked.answer).await?;
        asked.paid_requests.clear().await;
        Ok(answer)
    }

    async fn settle_verdict(
        &self,
        work: &Work<'_>,
        subject: &Subject<'_>,
        outcome: &Outcome,
        verdict: Verdict,
        answers: &[Answer],
    ) -> Result<Output, PipelineError> {
        let judgement = Judgement::verdict(&self.tier, verdict, answers);
        self.evaluations.settle(subject, work.document, Some(outcome), &work.effective, judgement).await
    }

    async fn failed(
        &self,
        work: &Work<'_>,
        subject: &Subject<'_>,
        outcome: Option<&Outcome>,
        (code, message): (&'static str, &str),
    ) -> Result<Output, PipelineError> {
        let judgement = Judgement::failed(None, code, message, &[]);
        self.evaluations.settle(subject, work.document, outcome, &work.effective, judgement).await
    }
}
