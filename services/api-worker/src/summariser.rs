//! A tier at a provider as the pipeline's [`Summariser`].
//!
//! The document is in a tag of its own before the instruction (`message`). There is no
//! map-reduce here: providers' models read long documents whole, and a document that is too long
//! for them goes back to the router.

mod message;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use precis_flow::Scope;
use precis_pipeline::prompt::Prompt;
use precis_pipeline::{Control, GenerateError, Generated, Job, Summariser};
use precis_policy::{DecodingRules, TierKind};
use precis_schemas::{ModelIdentity, RoutedDocument, codes};
use serde_json::{Map, Value};

use crate::breaker::Down;
use crate::budget::BudgetError;
use crate::caller::{ApiError, Caller, PROVIDER_DOWN, Spending, Subject, count};
use crate::provider::{FailureKind, Request};
use crate::tiers::{ApiTier, UnusableTier};
use message::MESSAGE_LAYOUT;

/// How often a document tries a provider that does not accept the key.
const AUTH_RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Decoding parameters of a provider.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decoding {
    /// Sampling temperature; `None` leaves it to the provider.
    pub temperature: Option<f64>,
    /// Tokens beyond those of the summary, for models that reason before they answer.
    pub extra_output_tokens: u32,
    /// Further fields of the request.
    pub extra_body: Map<String, Value>,
}

/// Summaries from a provider. Documents leave the network here.
pub struct ApiSummariser {
    tier: ApiTier,
    decoding: Decoding,
    max_document_bytes: usize,
    caller: Result<Caller, UnusableTier>,
    control: Arc<Control>,
}

impl ApiSummariser {
    /// A summariser of this tier. Without a `caller` it refuses every document. `control` says
    /// whether the policy still has the tier unchanged.
    pub fn new(
        tier: ApiTier,
        decoding: Decoding,
        max_document_bytes: usize,
        caller: Result<Caller, UnusableTier>,
        control: Arc<Control>,
    ) -> Self {
        Self { tier, decoding, max_document_bytes, caller, control }
    }

    /// Whether the tier can be served at all.
    pub fn fitness(&self) -> Result<(), UnusableTier> {
        self.caller.as_ref().map(|_| ()).map_err(|unfit| *unfit)
    }
}

impl Decoding {
    /// All parameters in a stable spelling, which is included in every answer's fingerprint.
    fn spelling(&self) -> String {
        let temperature = self.temperature.map_or_else(|| "default".to_owned(), |value| value.to_string());
        let extra_body = Value::Object(self.extra_body.clone());
        let extra_tokens = self.extra_output_tokens;
        format!("{MESSAGE_LAYOUT};temperature={temperature};extra_output_tokens={extra_tokens};extra_body={extra_body}")
    }

    /// The request for a document.
    fn request(&self, model: &str, text: &str, prompt: &Prompt, is_judge: bool) -> Request {
        Request {
            model: model.to_owned(),
            system: message::system(&prompt.system, is_judge),
            user: message::user(text, &prompt.whole),
            max_output_tokens: prompt.max_output_tokens().saturating_add(self.extra_output_tokens),
            temperature: self.temperature,
            extra: self.extra_body.clone(),
            attempt_id: String::new(),
        }
    }
}

#[async_trait]
impl Summariser for ApiSummariser {
    fn model(&self, prompt: &Prompt) -> ModelIdentity {
        ModelIdentity {
            provider: self.tier.provider.clone(),
            name: self.tier.model.clone(),
            revision: String::new(),
            quantisation: String::new(),
            adapter: None,
            prompt_digest: prompt.digest.clone(),
        }
    }

    fn decoding(&self, _rules: &DecodingRules) -> String {
        self.decoding.spelling()
    }

    fn tier_kind(&self) -> TierKind {
        TierKind::Api
    }

    async fn summarise(&self, job: Job<'_>) -> Result<Generated, GenerateError> {
        let caller = match &self.caller {
            Ok(caller) => caller,
            Err(unfit) => return Err(GenerateError::Refused { code: unfit.code(), message: unfit.to_string() }),
        };
        let policy = self.control.effective().policy;
        if !self.tier.is_in(&policy) {
            let message = format!("the policy changed the tier {}: its stage starts anew", self.tier.name);
            // Long enough for the stage to drain. The document then waits at the tail of its topic
            // for the new stage.
            let after = Some(crate::POLICY_POLL_INTERVAL);
            return Err(GenerateError::Retry { scope: Scope::Record, code: codes::TIER_CHANGED, message, after });
        }
        if job.text.len() > self.max_document_bytes {
            let (size, limit) = (job.text.len(), self.max_document_bytes);
            let message =
                format!("the document has {size} bytes, this tier takes {limit} (api_worker.max_document_bytes)");
            return Err(GenerateError::Refused { code: FailureKind::TooLong.code(), message });
        }
        let RoutedDocument { tenant, document_id, revision, purpose, .. } = job.routed;
        let subject = Subject { tenant, document_id, revision: *revision, purpose: *purpose };
        let is_judge = job.routed.evaluation.is_some();
        let request = self.decoding.request(&self.tier.model, job.text, job.prompt, is_judge);
        let spending = Spending { budgets: &policy.budgets, requests: job.paid_requests };
        let paid = caller.call(request, subject, spending, job.clearance, job.shutdown).await;
        let paid = paid.map_err(|error| generate_error(error, caller.refuse_after))?;
        let usage = paid.reply.usage.unwrap_or_default();
        Ok(Generated {
            text: paid.reply.text.trim().to_owned(),
            finish_reason: paid.reply.finish.as_str().to_owned(),
            input_tokens: count(usage.read()),
            cached_input_tokens: count(usage.cached_input),
            output_tokens: count(usage.output),
            chunks: 1,
            cut_chunks: 0,
            cost: paid.cost,
            price_digest: Some(caller.price_digest.clone()),
            logprob: None,
        })
    }
}

/// The meaning of a failed call for the document.
fn generate_error(error: ApiError, refuse_after: Duration) -> GenerateError {
    let (code, message) = (error.code(), error.to_string());
    let retry = |scope, after| GenerateError::Retry { scope, code, message: message.clone(), after };
    // A provider that fails on all documents must not use up their deliveries: documents wait, up
    // to a bound.
    let wait_for = |code, down: Down, after: Option<Duration>| {
        if down.lasted >= refuse_after {
            return GenerateError::Refused { code, message: message.clone() };
        }
        retry(Scope::Dependency, Some(after.unwrap_or_default().max(down.wait)))
    };
    match error {
        ApiError::Down(down) | ApiError::Unreadable(down) => wait_for(code, down, None),
        ApiError::Provider { failure, down } => match (failure.kind, down) {
            (
                FailureKind::Overloaded | FailureKind::Unreachable | FailureKind::Transient | FailureKind::Auth,
                Some(down),
            ) => wait_for(PROVIDER_DOWN, down, failure.retry_after),
            (FailureKind::Throttled | FailureKind::Overloaded | FailureKind::Unreachable, _) => {
                retry(Scope::Dependency, failure.retry_after)
            }
            // One document that a provider fails on must not stop the others.
            (FailureKind::Transient, None) => retry(Scope::Record, failure.retry_after),
            // Keys expire and are replaced, so documents wait, as they do for a broker.
            (FailureKind::Auth, None) => retry(Scope::Dependency, Some(AUTH_RETRY_INTERVAL)),
            // The second request was made, or none was left.
            (
                FailureKind::Unreadable
                | FailureKind::OutOfMoney
                | FailureKind::TooLong
                | FailureKind::Refused
                | FailureKind::BadRequest,
                _,
            ) => GenerateError::Refused { code, message },
        },
        ApiError::NoMoney
        | ApiError::Spent(_)
        | ApiError::Price(_)
        | ApiError::Budget(BudgetError::Exhausted { .. }) => GenerateError::Refused { code, message },
        ApiError::Denied(denied) => denied.into(),
        // None of these is the document's fault, so none costs a delivery.
        ApiError::Ledger(_) | ApiError::Unmarked(_) | ApiError::Budget(_) | ApiError::Stopping => {
            retry(Scope::Dependency, None)
        }
    }
}

#[cfg(test)]
mod tests;
