//! Paid calls: attempts, limits and the ledger.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use precis_api_worker::breaker::{self, Breaker};
use precis_api_worker::budget::Budgets;
use precis_api_worker::caller::{ApiError, Caller, Paid, Subject};
use precis_api_worker::ledger::Ledger;
use precis_api_worker::pacer::{Pace, Pacer};
use precis_api_worker::provider::{Billing, Failure, FailureKind, Finish, Provider, Remaining, Reply, Request};
use precis_flow::LogConfig;
use precis_policy::{Budget, Policy, PriceTable, Tokens};
use precis_schemas::{Purpose, SettlementResult, Usd};
use tokio_util::sync::CancellationToken;

use crate::deployment::{Always, TENANT, TestDeployment, policy, spending, unlimited};
use crate::faults::{Answer, Faults};
use crate::memory::MemoryStore;
use crate::wires::{ANTHROPIC, OPENAI, Wire};

const SUBJECT: Subject<'_> =
    Subject { tenant: TENANT, document_id: "document", revision: 3, purpose: Purpose::Production };

pub(crate) const PACE: Pace = Pace { concurrency: 4, requests_per_minute: None, tokens_per_minute: None };

/// A breaker that opens after three failures, for half a second.
const SOON_DOWN: breaker::Limits = breaker::Limits {
    window: Duration::from_secs(60),
    min_requests: 3,
    failure_share: 0.5,
    open: Duration::from_millis(500),
};

/// A breaker that never opens: no test has so many failures.
const NEVER_DOWN: breaker::Limits = breaker::Limits { min_requests: 100_000, ..SOON_DOWN };

pub(crate) fn caller(wire: &Wire, provider: Arc<dyn Provider>, ledger: Ledger) -> Caller {
    let prices = PriceTable::builtin();
    Caller {
        tier: "api".to_owned(),
        provider,
        pacer: Arc::new(Pacer::new(PACE)),
        breaker: Arc::new(Breaker::new(wire.name, wire.model, NEVER_DOWN)),
        refuse_after: Duration::from_secs(60),
        budgets: Arc::new(Budgets::new(MemoryStore::new())),
        ledger,
        price: prices.price(wire.name, wire.model).unwrap().clone(),
        price_digest: prices.digest(),
        max_attempts: 4,
        draining: CancellationToken::new(),
    }
}

async fn deployment() -> TestDeployment {
    TestDeployment::open(&policy("anthropic", "claude-haiku-4-5")).await
}

async fn call(caller: &Caller, wire: &Wire) -> Result<Paid, ApiError> {
    caller.call(wire.request(), SUBJECT, spending(&[], &unlimited()), &Always, &CancellationToken::new()).await
}

/// A provider in this process that runs a script for each request.
struct Scripted<F>(F);

#[async_trait]
impl<F, R> Provider for Scripted<F>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Reply, Failure>> + Send,
{
    fn name(&self) -> &'static str {
        "anthropic"
    }

    async fn complete(&self, request: &Request) -> Result<Reply, Failure> {
        (self.0)(request.clone()).await
    }
}

fn answered(usage: Option<Tokens>) -> Reply {
    Reply {
        text: "A summary.".to_owned(),
        finish: Finish::Stop,
        usage,
        request_id: None,
        remaining: Remaining::default(),
    }
}

fn failed(kind: FailureKind, retry_after: Option<Duration>) -> Failure {
    Failure {
        provider: "anthropic",
        kind,
        detail: String::new(),
        retry_after,
        billing: Billing::NotBilled,
        request_id: None,
    }
}

fn cents(text: &str) -> Usd {
    text.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_in_the_ledger_before_its_request_leaves() {
    let deployment = Arc::new(deployment().await);
    let provider = Scripted({
        let deployment = Arc::clone(&deployment);
        move |request: Request| {
            let deployment = Arc::clone(&deployment);
            async move {
                let (attempts, settlements) = deployment.ledger().await;
                assert_eq!(attempts.last().unwrap().attempt_id, request.attempt_id);
                assert!(settlements.iter().all(|settlement| settlement.attempt_id != request.attempt_id));
                Ok(answered(None))
            }
        }
    });
    call(&caller(&ANTHROPIC, Arc::new(provider), Ledger::new(deployment.log())), &ANTHROPIC).await.unwrap();
    assert_eq!(deployment.ledger().await.0.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_settled_at_its_price() {
    for (wire, cost) in [(&ANTHROPIC, "0.000428"), (&OPENAI, "0.0004387")] {
        let deployment = deployment().await;
        let script =
            vec![wire.problem(wire.throttled).with("retry-after-ms", "1"), wire.problem((500, "api_error", ""))];
        let faults = Faults::start(script, wire.ok("A summary.", "stop", 86, 1920, 30)).await;
        let caller = caller(wire, wire.at(&faults.url), Ledger::new(deployment.log()));
        let paid = call(&caller, wire).await.unwrap();
        assert_eq!((paid.reply.text.as_str(), paid.cost), ("A summary.", cents(cost)), "{}", wire.name);

        let (attempts, settlements) = deployment.ledger().await;
        let reserved = attempts[0].reserved;
        let expected = [
            (SettlementResult::NotBilled, Usd::ZERO, (0, 0, 0)),
            (SettlementResult::Unknown, reserved, (0, 0, 0)),
            (SettlementResult::Billed, cents(cost), (2006, 1920, 30)),
        ];
        for (settlement, (result, cost, tokens)) in settlements.iter().zip(expected) {
            assert_eq!((settlement.result, settlement.cost), (result, cost));
            assert_eq!((settlement.input_tokens, settlement.cached_input_tokens, settlement.output_tokens), tokens);
            assert_eq!(settlement.provider_request_id.as_deref(), Some("req_1"));
            assert_eq!(settlement.price_digest, PriceTable::builtin().digest());
        }
        let ids = |attempts: Vec<String>| attempts.into_iter().collect::<std::collections::BTreeSet<_>>();
        let opened = ids(attempts.iter().map(|attempt| attempt.attempt_id.clone()).collect());
        assert_eq!(opened, ids(settlements.into_iter().map(|settlement| settlement.attempt_id).collect()));
        assert_eq!((opened.len(), faults.seen().len()), (3, 3));
        for attempt in attempts {
            assert_eq!(
                (attempt.tenant.as_str(), attempt.document_id.as_str(), attempt.revision),
                (TENANT, "document", 3)
            );
            assert_eq!(
                (attempt.tier.as_str(), attempt.provider.as_str(), attempt.model.as_str()),
                ("api", wire.name, wire.model)
            );
            assert!(attempt.reserved > cents(cost) || wire.name == "openai", "an upper bound");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_price_counts_as_its_upper_bound() {
    let deployment = deployment().await;
    let provider = Scripted(|_| async { Ok(answered(None)) });
    let paid = call(&caller(&ANTHROPIC, Arc::new(provider), Ledger::new(deployment.log())), &ANTHROPIC).await.unwrap();
    let (attempts, settlements) = deployment.ledger().await;
    assert_eq!((settlements[0].result, settlements[0].cost), (SettlementResult::Unknown, attempts[0].reserved));
    assert_eq!(paid.cost, attempts[0].reserved);
    // The upper bound: each byte a token, 276 at 1 dollar, and 100 generated at 5 dollars a
    // million.
    let bytes = ANTHROPIC.request().system.len() + ANTHROPIC.request().user.len() + 256;
    assert_eq!(attempts[0].reserved.nanos(), bytes as i64 * 1_000 + 100 * 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_end_and_what_never_succeeds_is_sent_once() {
    let deployment = deployment().await;
    for (answer, kind, requests) in [
        (ANTHROPIC.problem((500, "api_error", "")), FailureKind::Transient, 2),
        (ANTHROPIC.problem(ANTHROPIC.bad_request), FailureKind::BadRequest, 1),
        (ANTHROPIC.problem(ANTHROPIC.too_long), FailureKind::TooLong, 1),
        (ANTHROPIC.problem(ANTHROPIC.wrong_key), FailureKind::Auth, 1),
        (ANTHROPIC.problem(ANTHROPIC.throttled).with("retry-after", "120"), FailureKind::Throttled, 1),
    ] {
        let faults = Faults::start(Vec::new(), answer).await;
        let mut caller = caller(&ANTHROPIC, ANTHROPIC.at(&faults.url), Ledger::new(deployment.log()));
        caller.max_attempts = 2;
        let ApiError::Provider { failure, .. } = call(&caller, &ANTHROPIC).await.unwrap_err() else {
            panic!("{kind:?}")
        };
        assert_eq!((failure.kind, faults.seen().len()), (kind, requests));
        if kind == FailureKind::Throttled {
            assert_eq!(failure.retry_after, Some(Duration::from_mins(2)), "a long wait is left to the stage");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_that_the_ledger_cannot_take() {
    let root = tempfile::tempdir().unwrap();
    let mut config = LogConfig::default();
    config.embedded.path = root.path().join("log.db");
    // No topic was created in this log.
    let ledger = Ledger::new(precis_flow::open(&config).await.unwrap());
    let faults = Faults::start(Vec::new(), ANTHROPIC.ok("A summary.", "stop", 1, 0, 1)).await;
    let error = call(&caller(&ANTHROPIC, ANTHROPIC.at(&faults.url), ledger), &ANTHROPIC).await.unwrap_err();
    assert_eq!(error.code(), "ledger_unavailable", "{error}");
    assert!(faults.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_money_ends_it_for_every_document() {
    let deployment = deployment().await;
    let money = Answer::json(402, &serde_json::json!({}));
    let faults = Faults::start(vec![money], OPENAI.ok("A summary.", "stop", 1, 0, 1)).await;
    let caller = caller(&OPENAI, OPENAI.at(&faults.url), Ledger::new(deployment.log()));
    assert_eq!(call(&caller, &OPENAI).await.unwrap_err().code(), "out_of_money");
    assert!(matches!(call(&caller, &OPENAI).await, Err(ApiError::NoMoney)));
    assert_eq!(faults.seen().len(), 1, "nothing is sent to be refused again");
    assert_eq!(deployment.ledger().await.0.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_let_finish_when_the_worker_stops() {
    let deployment = deployment().await;
    let stop = CancellationToken::new();
    let provider = Scripted({
        let stop = stop.clone();
        move |_| {
            stop.cancel();
            async { Ok(answered(Some(Tokens { input: 1, cached_input: 0, cache_write: 0, output: 1 }))) }
        }
    });
    let caller = caller(&ANTHROPIC, Arc::new(provider), Ledger::new(deployment.log()));
    assert!(caller.call(ANTHROPIC.request(), SUBJECT, spending(&[], &unlimited()), &Always, &stop).await.is_ok());
    let (_, settlements) = deployment.ledger().await;
    assert_eq!(settlements[0].result, SettlementResult::Billed);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_the_worker_stops() {
    let deployment = deployment().await;
    let stop = CancellationToken::new();
    let requests = Arc::new(Mutex::new(0));
    let provider = Scripted({
        let (stop, requests) = (stop.clone(), Arc::clone(&requests));
        move |_| {
            stop.cancel();
            *requests.lock().unwrap() += 1;
            async { Err(failed(FailureKind::Throttled, Some(Duration::from_secs(20)))) }
        }
    });
    let caller = caller(&ANTHROPIC, Arc::new(provider), Ledger::new(deployment.log()));
    assert!(matches!(
        caller.call(ANTHROPIC.request(), SUBJECT, spending(&[], &unlimited()), &Always, &stop).await,
        Err(ApiError::Stopping)
    ));
    assert_eq!(*requests.lock().unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_the_stage_drains() {
    let deployment = deployment().await;
    let throttled = ANTHROPIC.problem(ANTHROPIC.throttled).with("retry-after", "20");
    let faults = Faults::start(Vec::new(), throttled).await;
    let mut caller = caller(&ANTHROPIC, ANTHROPIC.at(&faults.url), Ledger::new(deployment.log()));
    let draining = CancellationToken::new();
    caller.draining = draining.clone();
    let caller = Arc::new(caller);
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let caller = Arc::clone(&caller);
            tokio::spawn(async move { call(&caller, &ANTHROPIC).await })
        })
        .collect();
    while faults.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    draining.cancel();
    for call in calls {
        assert!(matches!(call.await.unwrap(), Err(ApiError::Stopping)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_is_probed_by_one_request() {
    let deployment = deployment().await;
    let down = vec![ANTHROPIC.problem((529, "overloaded_error", "")); 3];
    let faults = Faults::start(down, ANTHROPIC.ok("A summary.", "stop", 1, 0, 1)).await;
    let mut caller = caller(&ANTHROPIC, ANTHROPIC.at(&faults.url), Ledger::new(deployment.log()));
    caller.breaker = Arc::new(Breaker::new(ANTHROPIC.name, ANTHROPIC.model, SOON_DOWN));
    let ApiError::Provider { failure, down } = call(&caller, &ANTHROPIC).await.unwrap_err() else { panic!() };
    assert_eq!(
        (failure.kind, down.is_some(), faults.seen().len()),
        (FailureKind::Overloaded, true, 3),
        "and not a fourth time"
    );
    let ApiError::Down(down) = call(&caller, &ANTHROPIC).await.unwrap_err() else { panic!() };
    assert_eq!((faults.seen().len(), deployment.ledger().await.0.len()), (3, 3));
    tokio::time::sleep(down.wait).await;
    assert!(call(&caller, &ANTHROPIC).await.is_ok());
    assert!(call(&caller, &ANTHROPIC).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_room_in_a_budget_gives_its_place_back() {
    let deployment = deployment().await;
    let faults = Faults::start(Vec::new(), ANTHROPIC.ok("A summary.", "stop", 1, 0, 1)).await;
    let mut caller = caller(&ANTHROPIC, ANTHROPIC.at(&faults.url), Ledger::new(deployment.log()));
    caller.pacer = Arc::new(Pacer::new(Pace { concurrency: 1, requests_per_minute: Some(6), tokens_per_minute: None }));
    let budgets = budget("0.00000001");
    let stop = CancellationToken::new();
    for _ in 0..3 {
        let error = caller
            .call(ANTHROPIC.request(), SUBJECT, spending(&budgets, &unlimited()), &Always, &stop)
            .await
            .unwrap_err();
        assert_eq!(error.code(), "budget_exhausted");
    }
    assert!(call(&caller, &ANTHROPIC).await.is_ok(), "the one request of ten seconds is still there");
    assert_eq!((faults.seen().len(), deployment.ledger().await.0.len()), (1, 1));
}

fn budget(usd: &str) -> Vec<Budget> {
    let budget = format!("[[budgets]]\nname = \"tiny\"\nwindow = \"month\"\nusd = \"{usd}\"\n");
    Policy::parse(&(policy("anthropic", "claude-haiku-4-5") + &budget)).unwrap().budgets
}

/// The attempt stays open in the ledger.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_given_up_in_flight_counts_as_spent_and_stays_open() {
    let deployment = deployment().await;
    let faults = Faults::start(vec![Answer::Hangs], ANTHROPIC.ok("A summary.", "stop", 1, 0, 1)).await;
    let caller = Arc::new(caller(&ANTHROPIC, ANTHROPIC.at(&faults.url), Ledger::new(deployment.log())));
    // Room for one request, whose bound is 276 tokens at 1 dollar and 100 at 5 dollars a million,
    // and a half.
    let budgets = Arc::new(budget("0.001"));
    let call = |document: &'static str| {
        let (caller, budgets) = (Arc::clone(&caller), Arc::clone(&budgets));
        let subject = Subject { document_id: document, ..SUBJECT };
        async move {
            caller
                .call(
                    ANTHROPIC.request(),
                    subject,
                    spending(&budgets, &unlimited()),
                    &Always,
                    &CancellationToken::new(),
                )
                .await
        }
    };
    let given_up = tokio::spawn(call("given up"));
    while faults.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    assert_eq!(call("next").await.unwrap_err().code(), "budget_exhausted");
    let total = deployment.spend().await.total();
    assert_eq!((total.open, total.billed), (1, Usd::ZERO));
    assert!(total.possibly_billed > Usd::ZERO);
}
