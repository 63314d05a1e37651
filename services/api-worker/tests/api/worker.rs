//! The whole worker on an embedded log: documents in, outcomes and escalations out.

use std::sync::Arc;

use precis_api_worker::{ApiWorkerSettings, BreakerSettings, run};
use precis_pipeline::control::{apply_policy, switch_tier};
use precis_pipeline::topics;
use precis_schemas::{Escalation, Outcome, SettlementResult, Status, SwitchState, TrialResult, codec};
use tokio_util::sync::CancellationToken;

use crate::deployment::{SUMMARY, TestDeployment, policy};
use crate::faults::Faults;
use crate::wires::{ANTHROPIC, KEY, OPENAI, Wire};

/// Settings with both providers at this server. The keys come from a file, so that no test depends
/// on the environment.
pub(crate) fn settings(deployment: &TestDeployment, url: &str, with_key: bool) -> ApiWorkerSettings {
    let mut settings = ApiWorkerSettings::default();
    let key_file = deployment.root.path().join("key");
    std::fs::write(&key_file, format!("{KEY}\n")).unwrap();
    settings.anthropic.base_url = Some(url.to_owned());
    settings.openai.base_url = Some(format!("{url}/v1"));
    if with_key {
        settings.anthropic.key_file = Some(key_file.clone());
        settings.openai.key_file = Some(key_file);
    }
    settings
}

pub(crate) struct Running {
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

pub(crate) fn start(deployment: &Arc<TestDeployment>, settings: ApiWorkerSettings) -> Running {
    let shutdown = CancellationToken::new();
    let (deployment, token) = (Arc::clone(deployment), shutdown.clone());
    Running { shutdown, task: tokio::spawn(async move { run(&deployment.runtime, settings, token).await }) }
}

impl Running {
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

async fn deployment_for(wire: &Wire) -> Arc<TestDeployment> {
    Arc::new(TestDeployment::open(&policy(wire.name, wire.model)).await)
}

async fn outcomes(deployment: &TestDeployment, count: usize) -> Vec<Outcome> {
    let records = deployment.records(topics::SUMMARIES, count).await;
    records.iter().map(|record| codec::decode(record.value.as_deref().unwrap()).unwrap()).collect()
}

async fn escalation(deployment: &TestDeployment) -> Escalation {
    codec::decode(deployment.records(topics::ESCALATIONS, 1).await[0].value.as_deref().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_answered_checked_paid_and_settled() {
    for wire in [&ANTHROPIC, &OPENAI] {
        let deployment = deployment_for(wire).await;
        let faults =
            Faults::start(vec![wire.problem((500, "api_error", ""))], wire.ok(SUMMARY, "stop", 80, 0, 20)).await;
        let worker = start(&deployment, settings(&deployment, &faults.url, true));
        deployment.route("one").await;
        let outcome = outcomes(&deployment, 1).await.remove(0);
        assert_eq!((outcome.status, outcome.summary.as_deref()), (Status::Answered, Some(SUMMARY)), "{outcome:?}");
        assert_eq!((outcome.tier.as_deref(), outcome.input_tokens, outcome.output_tokens), (Some("api"), 80, 20));
        let model = outcome.model.unwrap();
        assert_eq!((model.provider.as_str(), model.name.as_str()), (wire.name, wire.model));
        worker.stop().await;
        let (attempts, settlements) = deployment.ledger().await;
        assert_eq!((attempts.len(), settlements.len(), faults.seen().len()), (2, 2, 2));
        let billed = settlements.iter().find(|settlement| settlement.result == SettlementResult::Billed).unwrap();
        assert_eq!((outcome.cost, outcome.price_digest), (billed.cost, Some(billed.price_digest.clone())));
        assert!(outcome.cost.nanos() > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_fails_its_checks_goes_back_and_is_kept() {
    let deployment = deployment_for(&OPENAI).await;
    let faults = Faults::start(Vec::new(), OPENAI.ok("In 1899 the harbour had 17 basins.", "length", 80, 0, 20)).await;
    let worker = start(&deployment, settings(&deployment, &faults.url, true));
    deployment.route("one").await;
    let trial = escalation(&deployment).await.trial;
    assert_eq!((trial.tier.as_str(), trial.result), ("api", TrialResult::FailedChecks));
    assert!(trial.failed_checks.iter().any(|check| check == "truncated"), "{:?}", trial.failed_checks);
    assert!(deployment.runtime.store.get(&trial.answer_key.unwrap()).await.unwrap().is_some());
    worker.stop().await;
}

/// A server that sends three mebibytes where a few hundred words were asked for: the answer is cut,
/// paid for once, and its document goes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_megabytes_is_cut_and_its_document_goes_on() {
    let deployment = deployment_for(&OPENAI).await;
    let flood = "The harbour had basins and more of them. ".repeat(3 * 1024 * 1024 / 41);
    let faults = Faults::start(Vec::new(), OPENAI.ok(&flood, "stop", 80, 0, 20)).await;
    let worker = start(&deployment, settings(&deployment, &faults.url, true));
    deployment.route("one").await;
    let trial = escalation(&deployment).await.trial;
    assert!(trial.failed_checks.iter().any(|check| check == "truncated"), "{:?}", trial.failed_checks);
    let stored = deployment.runtime.store.get(&trial.answer_key.unwrap()).await.unwrap().unwrap();
    assert!(stored.len() < 32 * 1024, "{} bytes", stored.len());
    assert_eq!(faults.seen().len(), 1);
    worker.stop().await;
}

/// Documents go back until there is a key.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_the_tier_is_off_and_documents_go_back() {
    let deployment = deployment_for(&ANTHROPIC).await;
    let faults = Faults::start(Vec::new(), ANTHROPIC.ok(SUMMARY, "stop", 80, 0, 20)).await;
    let worker = start(&deployment, settings(&deployment, &faults.url, false));
    deployment.route("one").await;
    let trial = escalation(&deployment).await.trial;
    assert_eq!((trial.tier.as_str(), trial.result), ("api", TrialResult::Refused));
    assert!(faults.seen().is_empty());
    worker.stop().await;
    let switch = deployment.runtime.control.switches().remove(0);
    assert_eq!((switch.tier.as_str(), switch.state, switch.reason.as_str()), ("api", SwitchState::Off, "no_key"));

    let worker = start(&deployment, settings(&deployment, &faults.url, true));
    let mut changes = deployment.records(topics::CONTROL, 2).await;
    let switch: precis_schemas::TierSwitch = codec::decode(changes.remove(1).value.as_deref().unwrap()).unwrap();
    assert_eq!(switch.state, SwitchState::On);
    deployment.route("two").await;
    assert_eq!(outcomes(&deployment, 1).await[0].document_id, "two");
    worker.stop().await;
}

/// A key that cannot be sent counts as no key. Its tiers are off, and the worker goes on for the
/// others.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_sent_switches_its_tier_off() {
    let deployment = deployment_for(&ANTHROPIC).await;
    let faults = Faults::start(Vec::new(), ANTHROPIC.ok(SUMMARY, "stop", 80, 0, 20)).await;
    let mut settings = settings(&deployment, &faults.url, true);
    let key_file = deployment.root.path().join("two-lines");
    std::fs::write(&key_file, "first\nsecond\n").unwrap();
    settings.anthropic.key_file = Some(key_file);
    let worker = start(&deployment, settings);
    deployment.route("one").await;
    assert_eq!(escalation(&deployment).await.trial.result, TrialResult::Refused);
    assert!(faults.seen().is_empty());
    worker.stop().await;
    let switch = deployment.runtime.control.switches().remove(0);
    assert_eq!((switch.state, switch.reason.as_str()), (SwitchState::Off, "key_unusable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_an_operator_set_is_left_alone() {
    let deployment = deployment_for(&OPENAI).await;
    switch_tier(&*deployment.log(), "api", SwitchState::Off, "maintenance", "someone").await.unwrap();
    let faults = Faults::start(Vec::new(), OPENAI.ok(SUMMARY, "stop", 80, 0, 20)).await;
    let worker = start(&deployment, settings(&deployment, &faults.url, true));
    deployment.route("one").await;
    assert_eq!(escalation(&deployment).await.trial.result, TrialResult::Refused);
    worker.stop().await;
    assert!(faults.seen().is_empty());
    assert_eq!(deployment.records(topics::CONTROL, 1).await.len(), 1, "nothing was added");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_without_a_price_is_never_called() {
    let deployment = Arc::new(TestDeployment::open(&policy("openai", "gpt-of-unknown-price")).await);
    let faults = Faults::start(Vec::new(), OPENAI.ok(SUMMARY, "stop", 80, 0, 20)).await;
    let worker = start(&deployment, settings(&deployment, &faults.url, true));
    deployment.route("one").await;
    assert_eq!(escalation(&deployment).await.trial.result, TrialResult::Refused);
    worker.stop().await;
    assert_eq!(deployment.runtime.control.switches()[0].reason, "price_unknown");
    assert!(faults.seen().is_empty() && deployment.ledger().await.0.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_budget_documents_go_back_and_nothing_is_sent() {
    let budget = "[[budgets]]\nname = \"tiny\"\nwindow = \"day\"\nusd = \"0.00000001\"\ntenant = \"*\"\n";
    let deployment = Arc::new(TestDeployment::open(&(policy(OPENAI.name, OPENAI.model) + budget)).await);
    let faults = Faults::start(Vec::new(), OPENAI.ok(SUMMARY, "stop", 80, 0, 20)).await;
    let worker = start(&deployment, settings(&deployment, &faults.url, true));
    deployment.route("one").await;
    let trial = escalation(&deployment).await.trial;
    assert_eq!((trial.result, trial.code.as_str()), (TrialResult::Refused, "budget_exhausted"));
    worker.stop().await;
    assert!(faults.seen().is_empty() && deployment.ledger().await.0.is_empty());
    let metrics = deployment.runtime.recorder.render();
    assert!(metrics.contains("precis_budget_left_dollars{budget=\"tiny\"}"), "{metrics}");
}

/// They go to other tiers until the provider answers again.
#[tokio::test(flavor = "multi_thread")]
async fn documents_leave_a_provider_that_stays_down() {
    let deployment = deployment_for(&ANTHROPIC).await;
    let down = vec![ANTHROPIC.problem((529, "overloaded_error", "")); 3];
    let faults = Faults::start(down, ANTHROPIC.ok(SUMMARY, "stop", 80, 0, 20)).await;
    let mut settings = settings(&deployment, &faults.url, true);
    let breaker = BreakerSettings { min_requests: 3, open_ms: 100, refuse_after_ms: 0, ..BreakerSettings::default() };
    settings.anthropic.breaker = breaker;
    let worker = start(&deployment, settings);
    deployment.route("one").await;
    let trial = escalation(&deployment).await.trial;
    assert_eq!((trial.result, trial.code.as_str()), (TrialResult::Refused, "provider_down"));
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    deployment.route("two").await;
    assert_eq!(outcomes(&deployment, 1).await[0].document_id, "two");
    worker.stop().await;
    assert_eq!(faults.seen().len(), 4);
    let metrics = deployment.runtime.recorder.render();
    for line in [
        "precis_api_breaker_state{provider=\"anthropic\",model=\"claude-haiku-4-5\"}",
        "precis_answer_tokens_total{tier=\"api\",kind=\"input\"}",
        "precis_premium_price_nano_dollars{kind=\"output\"}",
        "precis_ledger_open_attempts",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_policys_model_is_used_without_a_restart() {
    let deployment = deployment_for(&OPENAI).await;
    let faults =
        Faults::start(vec![OPENAI.ok(SUMMARY, "stop", 80, 0, 20)], ANTHROPIC.ok(SUMMARY, "stop", 80, 0, 20)).await;
    let worker = start(&deployment, settings(&deployment, &faults.url, true));
    deployment.route("one").await;
    outcomes(&deployment, 1).await;
    let text = policy(ANTHROPIC.name, ANTHROPIC.model);
    let digest = apply_policy(&*deployment.log(), &*deployment.runtime.store, &text, "", "someone").await.unwrap();
    while deployment.runtime.control.effective().digest != digest {
        deployment.runtime.control.for_record(&digest).await.unwrap();
    }
    deployment.route("two").await;
    let second = outcomes(&deployment, 2).await.remove(1);
    assert_eq!(second.model.unwrap().name, ANTHROPIC.model);
    worker.stop().await;
    let models: Vec<_> = faults.seen().iter().map(|seen| seen.body["model"].clone()).collect();
    assert_eq!(models, [OPENAI.model, ANTHROPIC.model]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tiers_at_a_provider_the_worker_waits_and_stops() {
    let policy =
        "version = 1\n[[tiers]]\nname = \"gpu\"\nkind = \"gpu\"\nshare = 1.0\nmax_sensitivity = \"restricted\"\n";
    let deployment = Arc::new(TestDeployment::open(policy).await);
    start(&deployment, ApiWorkerSettings::default()).stop().await;
}
