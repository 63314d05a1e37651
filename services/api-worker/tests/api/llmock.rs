//! `llmock`, a package of Python: providers that nobody here wrote. It plays the faults, keeps a
//! journal and judges how the client behaved.

use std::sync::Arc;

use precis_api_worker::caller::{ApiError, Subject};
use precis_api_worker::ledger::Ledger;
use precis_api_worker::provider::FailureKind;
use precis_policy::Tokens;
use precis_schemas::{Purpose, SettlementResult};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::calls::caller;
use crate::deployment::{Always, SUMMARY, TENANT, TEXT, TestDeployment, policy, spending, unlimited};
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

    /// A judge that passes everybody would prove nothing.
    async fn finds_fault_with_who_ignores_retry_after(&self) {
        self.reset().await;
        self.behave(json!([{ "type": "fail", "status": 429, "retry_after": 1.0, "times": 1 }])).await;
        for status in [429, 200] {
            let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "at once again" }] });
            let answer =
                self.client.post(format!("{}/v1/chat/completions", self.url)).json(&body).send().await.unwrap();
            assert_eq!(answer.status(), status);
        }
        assert_eq!(self.get("verdict").await["passed"], json!(false));
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
    llmock.finds_fault_with_who_ignores_retry_after().await;
    for (wire, provider) in [(&OPENAI, openai), (&ANTHROPIC, anthropic)] {
        llmock.reset().await;
        llmock.behave(json!([{ "type": "reply", "text": SUMMARY, "times": null }])).await;
        let deployment = TestDeployment::open(&policy(wire.name, wire.model)).await;
        let caller = Arc::new(caller(wire, provider, Ledger::new(deployment.log())));
        let fail = |status: u16, times: u32| json!({ "type": "fail", "status": status, "times": times });
        let throttle = |seconds: f64| json!({ "type": "fail", "status": 429, "retry_after": seconds, "times": 1 });
        for (number, (faults, end)) in [
            (json!([throttle(1.0), throttle(0.3)]), Ok(())),
            (json!([fail(503, 1), fail(500, 2)]), Ok(())),
            (json!([fail(529, 1)]), Ok(())),
            (json!([fail(400, 1)]), Err(FailureKind::BadRequest)),
            (json!([fail(401, 1)]), Err(FailureKind::Auth)),
            (json!([fail(500, 4)]), Err(FailureKind::Transient)),
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

        // Its counts are proved before they are believed: of short prompts an older one counted
        // nothing.
        let requests = llmock.get("requests").await;
        let requests = requests["requests"].as_array().unwrap();
        let served: Vec<_> = requests.iter().filter(|request| request["status"] == 200).collect();
        let read: i64 = served.iter().map(|request| tokens_read(&request["body"])).sum();
        let generated = tokens(&json!(SUMMARY)) * served.len() as i64;
        let price = caller.price.clone();
        let (attempts, settlements) = deployment.ledger().await;
        assert_eq!(requests.len(), attempts.len(), "the ledger knows every request that the provider saw");
        let billed: Vec<_> =
            settlements.iter().filter(|settlement| settlement.result == SettlementResult::Billed).collect();
        assert_eq!((billed.len(), read > 0), (served.len(), true));
        assert_eq!(billed.iter().map(|paid| paid.input_tokens).sum::<i64>(), read);
        assert_eq!(billed.iter().map(|paid| paid.output_tokens).sum::<i64>(), generated);
        let owed = Tokens { input: read as u64, output: generated as u64, ..Tokens::default() };
        let owed = price.cost(owed).unwrap().nanos();
        let paid = deployment.spend().await.total().billed.nanos();
        // Each request is rounded up to the billionth of a dollar, twice.
        assert!((owed..=owed + 2 * billed.len() as i64).contains(&paid), "{paid} of {owed}");

        let verdict = llmock.get("verdict").await;
        assert_eq!((&verdict["passed"], &verdict["warnings"]), (&json!(true), &json!(0)), "{verdict:#}");
    }
}

/// As it counts: a fourth of the characters of each text, rounded down.
fn tokens(text: &Value) -> i64 {
    text.as_str().unwrap().chars().count() as i64 / 4
}

fn tokens_read(body: &Value) -> i64 {
    let messages = body["messages"].as_array().unwrap().iter().map(|message| tokens(&message["content"]));
    messages.sum::<i64>() + body.get("system").map_or(0, tokens)
}

async fn ask(wire: &Wire, caller: &precis_api_worker::caller::Caller, number: usize) -> Result<(), FailureKind> {
    let mut request = wire.request();
    request.user = format!("{TEXT} Number {number}.");
    let document_id = format!("document-{number}");
    let subject = Subject { tenant: TENANT, document_id: &document_id, revision: 0, purpose: Purpose::Production };
    match caller.call(request, subject, spending(&[], &unlimited()), &Always, &CancellationToken::new()).await {
        Ok(paid) => {
            assert_eq!(paid.reply.text, SUMMARY);
            Ok(())
        }
        Err(ApiError::Provider { failure, .. }) => Err(failure.kind),
        Err(error) => panic!("{error}"),
    }
}
