//! No output of the process holds the key or the document, while providers misbehave in every way
//! and repeat both: logs at level trace, metrics, headers and keys of records, the ledger and
//! escalations.
//!
//! Results, answers, work, escalations' documents and dead letters hold text by design.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;

use precis_flow::Record;
use precis_pipeline::topics;
use precis_schemas::{Escalation, Outcome, Status, codec};
use precis_telemetry::{TelemetryConfig, init_logging};
use serde_json::json;

use crate::deployment::{SUMMARY, TEXT, TestDeployment, policy};
use crate::faults::{Answer, Faults};
use crate::wires::{ANTHROPIC, KEY, OPENAI, Wire};
use crate::worker::{settings, start};

const ORDERS: &str = "PRECIS_TEST_TALKER";
/// Words of document and answer, and the key.
const SECRETS: [&str; 5] = ["harbour", "Brest", "dry docks", KEY, "very-secret"];

fn assert_silent(what: &str, said: &str) {
    for secret in SECRETS {
        let found = said.find(secret).map(|at| said[..at].lines().last().unwrap_or_default().to_owned() + secret);
        assert_eq!(found, None, "{what}");
    }
}

/// Faults that repeat what the request said, in bodies, codes and headers.
fn faults(wire: &Wire) -> Vec<Answer> {
    let echo = format!("bad input {KEY}: {TEXT}");
    let echo = echo.as_str();
    let with_headers = |mut answer: Answer| {
        if let Answer::Http { headers, .. } = &mut answer {
            headers.retain(|(name, _)| *name != wire.request_id_header);
        }
        // As short as an identifier may be.
        let id = format!("{KEY} Brest");
        answer.with(wire.request_id_header, &id).with("retry-after", echo).with(wire.remaining_headers[0], echo)
    };
    let garbage = Answer::Http { status: 200, headers: Vec::new(), body: echo.as_bytes().to_vec() };
    let Answer::Http { body, .. } = wire.ok(SUMMARY, "stop", 80, 0, 20) else { unreachable!() };
    vec![
        with_headers(wire.problem((500, echo, echo))),
        with_headers(garbage),
        Answer::Half(body),
        Answer::Closes,
        with_headers(wire.problem((529, "overloaded_error", echo))),
        with_headers(wire.problem((429, "rate_limit_error", echo))).with("retry-after-ms", "1"),
        with_headers(wire.problem((400, "invalid_request_error", echo))),
        with_headers(wire.ok("In 1899 Brest had 17 dry docks.", "length", 80, 0, 20)),
        with_headers(wire.ok(SUMMARY, "stop", 80, 0, 20)),
        with_headers(Answer::json(402, &json!({ "error": { "message": echo, "code": echo, "type": echo } }))),
    ]
}

/// Documents go in until each fault was met; returns the deployment.
async fn chaos(wire: &Wire) -> Arc<TestDeployment> {
    let deployment = Arc::new(TestDeployment::open(&policy(wire.name, wire.model)).await);
    let faults = Faults::start(faults(wire), wire.ok(SUMMARY, "stop", 80, 0, 20)).await;
    let worker = start(&deployment, settings(&deployment, &faults.url, true));
    for name in ["one", "two", "three", "four"] {
        deployment.route(name).await;
    }
    // One answered, one whose checks failed, one with a wrong request, one without money.
    deployment.records(topics::ESCALATIONS, 3).await;
    let outcome: Outcome =
        codec::decode(deployment.records(topics::SUMMARIES, 1).await[0].value.as_deref().unwrap()).unwrap();
    assert_eq!((outcome.status, outcome.summary.as_deref()), (Status::Answered, Some(SUMMARY)));
    assert_eq!(faults.seen().len(), 10, "each fault was met");
    assert!(faults.seen().iter().all(|seen| seen.body.to_string().contains("harbour")), "the text was sent, each time");
    worker.stop().await;
    deployment
}

fn bytes(record: &Record) -> String {
    let headers = record.headers.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value)));
    let key = record.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    headers.collect::<String>() + &key
}

/// Everything of a deployment that people without access to documents may see.
async fn show(deployment: &TestDeployment) -> String {
    let mut shown = deployment.runtime.recorder.render();
    let work = topics::work("api");
    for topic in [topics::ESCALATIONS, topics::SUMMARIES, topics::LEDGER, topics::CONTROL, &work] {
        for record in deployment.all_records(topic).await {
            shown += &bytes(&record);
            let value = record.value.as_deref().unwrap();
            if [topics::LEDGER, topics::CONTROL].contains(&topic) {
                shown += &String::from_utf8_lossy(value);
            }
            if topic == topics::ESCALATIONS {
                let trial = codec::decode::<Escalation>(value).unwrap().trial;
                write!(shown, "{trial:?}").unwrap();
            }
        }
    }
    assert!(deployment.all_records(topics::DEAD_LETTERS).await.is_empty());
    shown
}

/// No test of its own: the process whose output is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the parent reads it")]
async fn child() {
    if std::env::var(ORDERS).is_err() {
        return;
    }
    init_logging(&TelemetryConfig { log_level: "trace".to_owned(), ..TelemetryConfig::default() }).unwrap();
    for wire in [&ANTHROPIC, &OPENAI] {
        let deployment = chaos(wire).await;
        println!("{}", show(&deployment).await);
    }
}

#[test]
fn nothing_the_process_says_holds_the_key_or_the_document() {
    let said = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "secrets::child", "--nocapture"])
        .env(ORDERS, "")
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    let (shown, logs) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{shown}\n{logs}");
    assert!(shown.contains("precis_api_requests_total") && shown.contains("unsupported"), "{shown}");
    assert!(logs.contains("a request is tried again") && logs.contains("TRACE"), "the logs were caught");
    assert_silent("metrics, headers, ledger or trials", &shown);
    assert_silent("logs", &logs);
}
