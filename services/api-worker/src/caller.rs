//! One paid call: attempts until an answer or a limit, each in the ledger before it leaves and
//! after it is over.
//!
//! ```text
//!  pacer, breaker ─▶ budgets: reserve ─▶ document's marker ─▶ ledger: attempt ─▶ clearance ─▶ request
//!                                                                                                │
//!                                              budgets: settle ◀─ ledger: settlement ◀───────────┘
//!                                │
//!                                ├─▶ failure ─┬─ may succeed later: from the start, after a pause
//!                                ▼ answer     ▼ not, or enough
//!                              Paid        ApiError
//! ```
//!
//! A document's requests that may be billed are counted in the store ([`PaidRequests`]), over all
//! calls for the document. At the policy's limit the call ends, even after a failure that could be
//! retried. After an unreadable answer at most one more request leaves.
//!
//! A request that has left always finishes, whatever is cancelled meanwhile, since its answer is
//! paid for. Only waits are cut short, also by a switch or a policy that forbids the document to
//! go. The last step before a request leaves is to check its [`SendPermission`]: each step before
//! it may take longer than the permission stays valid.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use precis_objects::ObjectError;
use precis_pipeline::{Clearance, Denied, PaidRequests, PipelineError, Spent, now_ms};
use precis_policy::{Budget, Price, PriceError, Tokens};
use precis_schemas::{LedgerAttempt, LedgerSettlement, Purpose, SettlementResult, Usd};
use precis_telemetry::metrics::{Counter, Histogram};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::backoff;
use crate::breaker::{Breaker, CallResult, Down, HeldBack};
use crate::budget::{BudgetError, Budgets, Reservation};
use crate::ledger::Ledger;
use crate::pacer::{NoMoney, Pacer};
use crate::provider::{Billing, Failure, FailureKind, Provider, Reply, Request};

/// Longest pause between attempts. The stage makes longer pauses, and takes no documents in
/// meanwhile.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Code of a model that seems down.
pub use precis_schemas::codes::PROVIDER_DOWN;
/// Code of a document that had as many requests as the policy allows.
pub const PAID_REQUESTS_EXHAUSTED: &str = "paid_requests_exhausted";
/// Tokens that a provider's own template adds to a prompt at most.
const MAX_TEMPLATE_TOKENS: usize = 256;

/// Sends requests of one tier to its provider.
pub struct Caller {
    /// The tier, for the ledger and the metrics.
    pub tier: String,
    /// The provider that requests go to.
    pub provider: Arc<dyn Provider>,
    /// Shared by all tiers of the provider.
    pub pacer: Arc<Pacer>,
    /// Shared by all tiers of the model.
    pub breaker: Arc<Breaker>,
    /// How long documents wait for a model that is down before another tier gets them.
    pub refuse_after: Duration,
    /// The budgets. Shared by all tiers.
    pub budgets: Arc<Budgets>,
    /// The ledger of attempts and settlements.
    pub ledger: Ledger,
    /// What the model costs.
    pub price: Price,
    /// Digest of the table behind `price`.
    pub price_digest: String,
    /// Attempts in a row before the document goes back to the stage.
    pub max_attempts: u32,
    /// Ends all waits when the stage drains.
    pub draining: CancellationToken,
}

/// Whose document a call is for.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Owner of the document.
    pub tenant: &'a str,
    /// The publisher's identifier of the document.
    pub document_id: &'a str,
    /// Version of the document.
    pub revision: i64,
    /// What the request is for.
    pub purpose: Purpose,
}

/// Limits on the cost of a call.
#[derive(Debug, Clone, Copy)]
pub struct Spending<'a> {
    /// Every budget of the policy.
    pub budgets: &'a [Budget],
    /// The document's requests at this tier.
    pub requests: &'a PaidRequests,
}

/// Permission of a document to go to its tier.
#[async_trait]
pub trait SendPermission: Send + Sync {
    /// Checks the permission, right before a request leaves.
    ///
    /// # Errors
    /// See [`Denied`]: the request must not leave.
    fn check(&self) -> Result<(), Denied>;
    /// Ends when the document may not go any more.
    async fn revoked(&self) -> Denied;
}

#[async_trait]
impl SendPermission for Clearance {
    fn check(&self) -> Result<(), Denied> {
        self.check()
    }

    async fn revoked(&self) -> Denied {
        self.revoked().await
    }
}

/// An answer and its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// The answer.
    pub reply: Reply,
    /// Cost of the attempt that gave the answer. Failed attempts that may have been billed are in
    /// the ledger alone.
    pub cost: Usd,
}

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The provider's last failure.
    #[error("{failure}")]
    Provider {
        /// The failure.
        failure: Failure,
        /// The breaker's state, where the provider seems down.
        down: Option<Down>,
    },
    /// The provider seems down: nothing was sent.
    #[error("the provider has seemed down for {} s: nothing is sent", .0.lasted.as_secs())]
    Down(Down),
    /// The provider answers, and too many answers in a row could not be read: nothing was sent.
    #[error("the provider's answers have been unreadable for {} s: nothing is sent", .0.lasted.as_secs())]
    Unreadable(Down),
    /// The document has had all its requests: nothing was sent.
    #[error("{} requests for this document may have been billed without an answer that can be read: no other is sent", .0.requests)]
    Spent(Spent),
    /// The request could not be marked in the store, so nothing was sent.
    #[error("a request cannot be marked in the store, so nothing is sent: {0}")]
    Unmarked(#[from] ObjectError),
    /// The provider said recently that there is no money.
    #[error("nothing is sent for now: the provider said that the account has no money or its limit is reached")]
    NoMoney,
    /// A budget does not allow the request, or cannot be read.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The attempt could not be recorded, so nothing was sent.
    #[error("the ledger cannot be written, so nothing is sent: {0}")]
    Ledger(PipelineError),
    /// The cost cannot be computed.
    #[error(transparent)]
    Price(#[from] PriceError),
    /// The document may not go to this tier any more, or its permission is unknown: nothing was
    /// sent.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The worker is stopping.
    #[error("the worker is stopping")]
    Stopping,
}

impl Caller {
    /// Sends the request until it is answered, within `spending` and as long as `clearance` lasts.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn call(
        &self,
        request: Request,
        subject: Subject<'_>,
        spending: Spending<'_>,
        clearance: &dyn SendPermission,
        stop: &CancellationToken,
    ) -> Result<Paid, ApiError> {
        let Spending { budgets, requests } = spending;
        let bound = upper_bound(&request);
        let reserved = self.price.cost(bound)?;
        let mut request = request;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let permit = tokio::select! {
                biased;
                permit = self.pacer.enter(bound.total()) => permit.map_err(|NoMoney| ApiError::NoMoney)?,
                () = self.stopped(stop) => return Err(ApiError::Stopping),
                denied = clearance.revoked() => return Err(denied.into()),
            };
            clearance.check()?;
            let admitted = self.breaker.admit()?;
            let now = OffsetDateTime::now_utc();
            let mut reservation = self.budgets.reserve(budgets, &self.tier, subject.tenant, reserved, now).await?;
            // The ledger's name for this attempt; nothing else is derived from it.
            request.attempt_id = format!("{:032x}", rand::random::<u128>());
            let number = requests.begin(&request.attempt_id).await?.map_err(ApiError::Spent)?;
            if let Err(error) = self.open(&request, subject, reserved).await {
                requests.withdraw(number).await;
                return Err(ApiError::Ledger(error));
            }
            if let Err(denied) = clearance.check() {
                self.withdraw(&request).await;
                requests.withdraw(number).await;
                return Err(denied.into());
            }
            reservation.leaves();
            if number > 0 {
                Counter::ApiRepeatedRequests.increment(&[&self.tier]);
            }
            let result = self.send(&request, reserved, reservation).await;
            let failure = match result {
                Ok(paid) => {
                    admitted.record(CallResult::Answered);
                    permit.succeeded(paid.reply.usage.map(Tokens::total), paid.reply.remaining);
                    return Ok(paid);
                }
                Err(failure) => failure,
            };
            admitted.record(CallResult::of(&failure, subject.document_id));
            permit.failed(&failure);
            let may_repeat = may_repeat(requests, number, &failure).await;
            let down = self.breaker.down();
            let pause = backoff::pause(attempt, failure.retry_after, rand::random());
            let enough = attempt >= self.max_attempts || pause > MAX_PAUSE || down.is_some();
            if !may_repeat || enough {
                return Err(ApiError::Provider { failure, down });
            }
            Counter::ApiRetries.increment(&[self.provider.name(), failure.kind.code()]);
            tracing::debug!(tier = self.tier, attempt, %failure, pause_ms = pause.as_millis(), "a request is tried again");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stopped(stop) => return Err(ApiError::Stopping),
                denied = clearance.revoked() => return Err(denied.into()),
            }
        }
    }

    /// Ends when the stage drains or the worker stops.
    async fn stopped(&self, stop: &CancellationToken) {
        tokio::select! {
            () = self.draining.cancelled() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn open(&self, request: &Request, subject: Subject<'_>, reserved: Usd) -> Result<(), PipelineError> {
        self.ledger
            .attempt(&LedgerAttempt {
                attempt_id: request.attempt_id.clone(),
                tenant: subject.tenant.to_owned(),
                document_id: subject.document_id.to_owned(),
                revision: subject.revision,
                tier: self.tier.clone(),
                provider: self.provider.name().to_owned(),
                model: request.model.clone(),
                reserved,
                price_digest: self.price_digest.clone(),
                at: now_ms(),
                purpose: subject.purpose,
            })
            .await
    }

    /// One request, and its settlement.
    async fn send(&self, request: &Request, reserved: Usd, reservation: Reservation) -> Result<Paid, Failure> {
        let name = self.provider.name();
        let started = Instant::now();
        let result = self.provider.complete(request).await;
        Histogram::ApiLatencySeconds.record(started.elapsed().as_secs_f64(), &[name]);
        let (paid, settlement) = match result {
            Ok(reply) => {
                Counter::ApiRequests.increment(&[name, "ok"]);
                let request_id = reply.request_id.clone();
                let usage = reply.usage;
                // An answer without usage or price counts as its upper bound.
                let cost = usage.and_then(|usage| self.price.cost(usage).ok());
                let result = if cost.is_some() { SettlementResult::Billed } else { SettlementResult::Unknown };
                let cost = cost.unwrap_or(reserved);
                (
                    Ok(Paid { reply, cost }),
                    self.settlement(request, result, usage.unwrap_or_default(), cost, request_id),
                )
            }
            Err(failure) => {
                Counter::ApiRequests.increment(&[name, failure.kind.code()]);
                let (result, cost) = match failure.billing {
                    Billing::NotBilled => (SettlementResult::NotBilled, Usd::ZERO),
                    Billing::Unknown => (SettlementResult::Unknown, reserved),
                };
                let request_id = failure.request_id.clone();
                (Err(failure), self.settlement(request, result, Tokens::default(), cost, request_id))
            }
        };
        self.count(&settlement);
        reservation.settle(settlement.cost);
        // The answer is paid for, so it counts even if its settlement cannot be written. An open
        // attempt counts as possibly billed.
        self.close(&settlement).await;
        paid
    }

    /// Settles an attempt whose request did not leave.
    async fn withdraw(&self, request: &Request) {
        let result = SettlementResult::NotBilled;
        self.close(&self.settlement(request, result, Tokens::default(), Usd::ZERO, None)).await;
    }

    async fn close(&self, settlement: &LedgerSettlement) {
        if let Err(error) = self.ledger.settle(settlement).await {
            Counter::LedgerUnsettled.increment(&[]);
            tracing::error!(tier = self.tier, attempt_id = settlement.attempt_id, %error, "a settlement could not be written");
        }
    }

    fn settlement(
        &self,
        request: &Request,
        result: SettlementResult,
        usage: Tokens,
        cost: Usd,
        provider_request_id: Option<String>,
    ) -> LedgerSettlement {
        LedgerSettlement {
            attempt_id: request.attempt_id.clone(),
            result,
            input_tokens: count(usage.read()),
            cached_input_tokens: count(usage.cached_input),
            output_tokens: count(usage.output),
            cost,
            price_digest: self.price_digest.clone(),
            provider_request_id,
            at: now_ms(),
        }
    }

    /// Counts tokens and cost that are certainly on the bill.
    fn count(&self, settlement: &LedgerSettlement) {
        if settlement.result != SettlementResult::Billed {
            return;
        }
        let name = self.provider.name();
        let fresh = settlement.input_tokens.saturating_sub(settlement.cached_input_tokens);
        for (kind, tokens) in
            [("input", fresh), ("cached_input", settlement.cached_input_tokens), ("output", settlement.output_tokens)]
        {
            Counter::ApiTokens.add(tokens.unsigned_abs(), &[name, kind]);
        }
        Counter::ApiCost.add(settlement.cost.nanos().unsigned_abs(), &[&self.tier]);
    }
}

/// Counts the failed request for its document, if it may be billed. Returns whether the same
/// request may leave once more.
async fn may_repeat(requests: &PaidRequests, number: u32, failure: &Failure) -> bool {
    if failure.billing == Billing::NotBilled {
        requests.withdraw(number).await;
    }
    if failure.kind != FailureKind::Unreadable {
        return failure.kind.is_retryable();
    }
    requests.unreadable(number).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "an unreadable answer could not be noted: its document is not sent again");
        false
    })
}

/// Upper bound of the tokens that a request is billed: a token is at least one byte of the prompt.
fn upper_bound(request: &Request) -> Tokens {
    let (shared, own) = (request.system.len() as u64, (request.user.len() + MAX_TEMPLATE_TOKENS) as u64);
    let cache_write = if request.shares_a_prefix() { shared } else { 0 };
    let output = u64::from(request.max_output_tokens);
    Tokens { input: shared - cache_write + own, cached_input: 0, cache_write, output }
}

pub(crate) fn count(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

impl From<HeldBack> for ApiError {
    fn from(held_back: HeldBack) -> Self {
        match held_back {
            HeldBack::Down(down) => Self::Down(down),
            HeldBack::Unreadable(down) => Self::Unreadable(down),
        }
    }
}

impl ApiError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Provider { failure, .. } => failure.kind.code(),
            Self::Down(_) => PROVIDER_DOWN,
            Self::Unreadable(_) | Self::Spent(Spent { unreadable: true, .. }) => FailureKind::Unreadable.code(),
            Self::Spent(_) => PAID_REQUESTS_EXHAUSTED,
            Self::Unmarked(error) => error.code(),
            Self::NoMoney => FailureKind::OutOfMoney.code(),
            Self::Budget(error) => error.code(),
            Self::Ledger(_) => "ledger_unavailable",
            Self::Price(error) => error.code(),
            Self::Denied(denied) => denied.code(),
            Self::Stopping => "stopping",
        }
    }
}
