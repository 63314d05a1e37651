//! `llmock`, a package of Python: providers that nobody here wrote. It plays the faults, keeps a journal and judges how the client
//! behaved.

use std::sync::Arc;

use precis_api_worker::caller::{ApiError, Subject};
use precis_api_worker::ledger::Ledger;
use precis_api_worker::provider::Kind;
use precis_schemas::SettlementResult;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::calls::caller;
use crate::house::{SUMMARY, TENANT, TEXT, TestHouse, policy};
use crate::wires::{ANTHROPIC, OPENAI, Wire};

struct LlMock {
    url: String,
    client: reqwest::Client,
}

impl LlMock {
    async fn send(&self, request: reqwest::RequestBuilder) -> Value {
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    async fn reset(&self) {
        self.send(self.client.post(format!("{}/_llmock/reset", self.url))).await;
    }

    /// Queues what the coming requests meet.
    async fn behave(&self, behaviors: Value) {
        let scenario = self.client.post(format!("{}/_llmock/scenario", self.url));
        self.send(scenario.json(&json!({ "behaviors": behaviors }))).await;
    }

    async fn get(&self, path: &str) -> Value {
        self.send(self.client.get(format!("{}/_llmock/{path}", self.url))).await
    }
}

/// One test for both wire formats: the journal is the server's one journal.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs llmock: make test starts it"]
async fn an_independent_judge_finds_no_fault_in_our_manners() {
    let url = std::env::var("PRECIS_TEST_LLMOCK").expect("PRECIS_TEST_LLMOCK names the base URL; make test sets it");
    // Also installs the TLS provider that every client of this process needs.
    let openai = OPENAI.at(&url);
    let anthropic = ANTHROPIC.at(&format!("{url}/anthropic"));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let llmock = LlMock { url, client };
    for (wire, provider) in [(&OPENAI, openai), (&ANTHROPIC, anthropic)] {
        llmock.reset().await;
        llmock.behave(json!([{ "type": "reply", "text": SUMMARY, "times": null }])).await;
        let house = TestHouse::open(&policy(wire.name, wire.model)).await;
        let caller = Arc::new(caller(wire, provider, Ledger::new(house.log())));
        let fail = |status: u16, times: u32| json!({ "type": "fail", "status": status, "times": times });
        let throttle = |seconds: f64| json!({ "type": "fail", "status": 429, "retry_after": seconds, "times": 1 });
        for (number, (faults, end)) in [
            (json!([throttle(1.0), throttle(0.3)]), Ok(())),
            (json!([fail(503, 1), fail(500, 2)]), Ok(())),
            (json!([fail(529, 1)]), Ok(())),
            (json!([fail(400, 1)]), Err(Kind::BadRequest)),
            (json!([fail(401, 1)]), Err(Kind::Auth)),
            (json!([fail(500, 4)]), Err(Kind::Transient)),
        ]
        .into_iter()
        .enumerate()
        {
            llmock.behave(faults.clone()).await;
            assert_eq!(ask(wire, &caller, number).await, end, "{} {faults}", wire.name);
        }
        llmock.behave(json!([throttle(1.0), throttle(1.0), fail(503, 2)])).await;
        let together: Vec<_> = (10..30)
            .map(|number| {
                let caller = Arc::clone(&caller);
                tokio::spawn(async move { ask(wire, &caller, number).await })
            })
            .collect();
        for call in together {
            assert_eq!(call.await.unwrap(), Ok(()));
        }

        let verdict = llmock.get("verdict").await;
        assert_eq!((&verdict["passed"], &verdict["warnings"]), (&json!(true), &json!(0)), "{verdict:#}");
        let requests = llmock.get("requests").await;
        let (attempts, settlements) = house.ledger().await;
        assert_eq!(requests["count"], attempts.len(), "the ledger knows every request that the provider saw");
        let billed = |settlement: &&precis_schemas::LedgerSettlement| settlement.result == SettlementResult::Billed;
        let served = requests["requests"].as_array().unwrap().iter().filter(|request| request["status"] == 200).count();
        assert_eq!(settlements.iter().filter(billed).count(), served);
        assert!(
            settlements
                .iter()
                .filter(billed)
                .all(|paid| paid.input_tokens > 0 && paid.output_tokens > 0 && paid.cost.nanos() > 0)
        );
    }
}

async fn ask(wire: &Wire, caller: &precis_api_worker::caller::Caller, number: usize) -> Result<(), Kind> {
    let mut request = wire.request();
    request.user = format!("{TEXT} Number {number}.");
    let document_id = format!("document-{number}");
    let subject = Subject { tenant: TENANT, document_id: &document_id, revision: 0 };
    match caller.call(request, subject, &[], &CancellationToken::new()).await {
        Ok(paid) => {
            assert_eq!(paid.reply.text, SUMMARY);
            Ok(())
        }
        Err(ApiError::Provider { failure, .. }) => Err(failure.kind),
        Err(error) => panic!("{error}"),
    }
}
