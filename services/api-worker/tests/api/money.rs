//! The ledger against the provider's own count, without crashes and with kill -9.
//!
//! The process that is killed is this test program again, running the one test [`child`] with its
//! orders in the environment.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use precis_api_worker::budget::Budgets;
use precis_api_worker::caller::{ApiError, Caller, Subject};
use precis_api_worker::ledger::Ledger;
use precis_flow::LogConfig;
use precis_objects::DirectoryStore;
use precis_policy::{Budget, Policy, PriceTable, Tokens};
use precis_schemas::{Purpose, Usd};
use tokio_util::sync::CancellationToken;

use crate::calls::caller;
use crate::deployment::{Always, TENANT, TestDeployment, policy, spending, unlimited};
use crate::faults::{Answer, Faults};
use crate::wires::{ANTHROPIC, OPENAI, Wire};

const ORDERS: &str = "PRECIS_TEST_SPENDER";
/// What each answer of the tests with kills uses.
const USED: Tokens = Tokens { input: 80, cached_input: 0, cache_write: 0, output: 20 };
const BUDGET: &str = "[[budgets]]\nname = \"daily\"\nwindow = \"day\"\nusd = \"0.01\"\nslice_usd = \"0.0005\"\n";

async fn deployment_for(wire: &Wire) -> TestDeployment {
    TestDeployment::open(&policy(wire.name, wire.model)).await
}

/// Calls with a document of its own each, `width` at a time, until a budget refuses one or all are
/// made.
async fn calls(caller: Arc<Caller>, wire: &'static Wire, budgets: Vec<Budget>, width: usize, count: usize) {
    let budgets = Arc::new(budgets);
    let lanes: Vec<_> = (0..width)
        .map(|lane| {
            let (caller, budgets) = (Arc::clone(&caller), Arc::clone(&budgets));
            tokio::spawn(async move {
                for number in (lane..count).step_by(width) {
                    let document_id = format!("document-{number}");
                    let subject = Subject {
                        tenant: TENANT,
                        document_id: &document_id,
                        revision: 0,
                        purpose: Purpose::Production,
                    };
                    let result = caller
                        .call(
                            wire.request(),
                            subject,
                            spending(&budgets, &unlimited()),
                            &Always,
                            &CancellationToken::new(),
                        )
                        .await;
                    if matches!(result, Err(ApiError::Budget(_))) {
                        return;
                    }
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_crashes_the_ledger_says_what_the_provider_counts() {
    for wire in [&ANTHROPIC, &OPENAI] {
        let deployment = deployment_for(wire).await;
        let prices = PriceTable::builtin();
        let price = prices.price(wire.name, wire.model).unwrap();
        let (mut script, mut owed, mut answers) = (Vec::new(), Usd::ZERO, 0);
        for number in 0..60_u64 {
            let (input, cached, output) = (70 + number * 13 % 97, number * 128 % 1_024, 5 + number * 7 % 40);
            let answer = wire.ok("A summary.", "stop", input, cached, output);
            match number % 6 {
                0 => script.push(wire.problem(wire.throttled).with("retry-after-ms", "5")),
                1 => script.push(wire.problem(wire.bad_request)),
                2 => script.push(wire.problem((529, "overloaded_error", "")).with("retry-after-ms", "1")),
                _ => {}
            }
            let answer =
                if number % 5 == 0 { Answer::Late(Duration::from_millis(20), Box::new(answer)) } else { answer };
            script.push(answer);
            let tokens = Tokens { input, cached_input: cached, cache_write: 0, output };
            owed = owed.checked_add(price.cost(tokens).unwrap()).unwrap();
            answers += 1;
        }
        let faults = Faults::start(script, wire.problem(wire.bad_request)).await;
        let caller = Arc::new(caller(wire, wire.at(&faults.url), Ledger::new(deployment.log())));
        calls(caller, wire, Vec::new(), 4, 90).await;
        let total = deployment.spend().await.total();
        assert_eq!((total.billed, total.possibly_billed, total.open), (owed, Usd::ZERO, 0), "{}", wire.name);
        assert_eq!((faults.billed(), total.requests), (answers, faults.seen().len() as u64));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_on_the_way_are_possibly_billed() {
    for wire in [&ANTHROPIC, &OPENAI] {
        let deployment = deployment_for(wire).await;
        let Answer::Http { body, .. } = wire.ok("A summary.", "stop", 80, 0, 20) else { unreachable!() };
        let script = vec![Answer::Half(body), Answer::Closes, wire.ok("A summary.", "stop", 80, 0, 20)];
        let faults = Faults::start(script, wire.problem(wire.bad_request)).await;
        let caller = Arc::new(caller(wire, wire.at(&faults.url), Ledger::new(deployment.log())));
        calls(caller, wire, Vec::new(), 1, 1).await;
        let total = deployment.spend().await.total();
        let provider = times(cost(wire), faults.billed());
        assert_eq!(faults.billed(), 3);
        assert!(total.billed < provider && provider <= total.billed.checked_add(total.possibly_billed).unwrap());
    }
}

fn cost(wire: &Wire) -> Usd {
    PriceTable::builtin().price(wire.name, wire.model).unwrap().cost(USED).unwrap()
}

fn times(cost: Usd, count: u64) -> Usd {
    Usd::from_nanos(cost.nanos() * count as i64).unwrap()
}

/// What a child is told to do: call until the budget is gone.
#[derive(serde::Serialize, serde::Deserialize)]
struct Orders {
    log: LogConfig,
    store: PathBuf,
    url: String,
}

/// No test of its own: the process that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let log = precis_flow::open(&orders.log).await.unwrap();
    let store = DirectoryStore::open(&orders.store, 1024 * 1024).await.unwrap();
    let mut caller = caller(&OPENAI, OPENAI.at(&orders.url), Ledger::new(log));
    caller.budgets = Arc::new(Budgets::new(Arc::new(store)));
    let budgets = Policy::parse(&(policy(OPENAI.name, OPENAI.model) + BUDGET)).unwrap().budgets;
    calls(Arc::new(caller), &OPENAI, budgets, 4, usize::MAX).await;
}

fn start(orders: &Orders) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "money::child", "--nocapture"])
        .env(ORDERS, serde_json::to_string(orders).unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// With kills, the provider counts no more than what is billed and possibly billed.
#[tokio::test(flavor = "multi_thread")]
async fn with_kills_the_count_is_within_billed_and_possibly_billed() {
    let deployment = deployment_for(&OPENAI).await;
    let answer = OPENAI.ok("A summary.", "stop", USED.input, 0, USED.output);
    let faults = Faults::start(Vec::new(), Answer::Late(Duration::from_millis(15), Box::new(answer))).await;
    let mut log = LogConfig::default();
    log.embedded.path = deployment.root.path().join("log.db");
    let orders = Orders { log, store: deployment.root.path().join("objects"), url: faults.url.clone() };
    for _ in 0..5 {
        let mut child = start(&orders);
        let before = faults.billed();
        while faults.billed() < before + 8 {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself: this shows little");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(rand::random::<u64>() % 20)).await;
        // On Unix SIGKILL: no destructor runs, nothing is flushed.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let killed = deployment.spend().await.total();
    assert!(killed.open > 0, "none of the kills met a request in flight: this shows little");
    // The last one runs until the budget is gone.
    assert!(start(&orders).wait().unwrap().success());

    let total = deployment.spend().await.total();
    let provider = times(cost(&OPENAI), faults.billed());
    let most = total.billed.checked_add(total.possibly_billed).unwrap();
    assert!(total.billed <= provider && provider <= most, "{} {provider} {most}", total.billed);
    assert_eq!(total.open, killed.open, "the last one settled what it sent");
    let (attempts, _) = deployment.ledger().await;
    let known: std::collections::HashSet<_> = attempts.iter().map(|attempt| attempt.attempt_id.as_str()).collect();
    for seen in faults.seen() {
        assert!(known.contains(seen.header("x-client-request-id")), "a request that the ledger does not know");
    }
    let limit: Usd = "0.01".parse().unwrap();
    assert!(provider <= limit, "{provider}");
    // Each kill leaves at most its open slices and what was reserved in flight; all else is spent.
    let slices = times("0.0005".parse().unwrap(), 6);
    let in_flight = total.possibly_billed;
    let reserved = attempts[0].reserved;
    let least = limit.checked_sub(slices).unwrap().checked_sub(in_flight).unwrap();
    let least = least.checked_sub(times(reserved, 4)).unwrap();
    assert!(provider >= least, "{provider} of {limit}: {least} should have been spent");
}
