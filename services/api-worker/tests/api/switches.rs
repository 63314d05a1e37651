//! A tier that is switched off while one of its requests waits: the request does not leave.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use precis_api_worker::caller::{ApiError, Caller, Paid, Subject};
use precis_api_worker::ledger::Ledger;
use precis_api_worker::pacer::{Pace, Pacer};
use precis_flow::member::{JoinRequest, Membership};
use precis_flow::{
    ExclusiveWriter, FlowError, Log, Output, PartitionLag, Position, ReadStart, Reader, TopicChange, TopicSpec,
    TopicStatus,
};
use precis_pipeline::control::switch_tier;
use precis_pipeline::{Clearance, topics};
use precis_schemas::{Purpose, SettlementResult, SwitchState};
use tokio_util::sync::CancellationToken;

use crate::calls::caller;
use crate::deployment::{TENANT, TestDeployment, policy, spending, unlimited};
use crate::faults::{Answer, Faults};
use crate::wires::ANTHROPIC;

async fn deployment() -> Arc<TestDeployment> {
    Arc::new(TestDeployment::open(&policy(ANTHROPIC.name, ANTHROPIC.model)).await)
}

async fn switch(log: &dyn Log, state: SwitchState) {
    switch_tier(log, "api", state, "incident", "someone").await.unwrap();
}

async fn call(caller: &Caller, clearance: &Clearance) -> Result<Paid, ApiError> {
    let subject = Subject { tenant: TENANT, document_id: "document", revision: 0, purpose: Purpose::Production };
    caller.call(ANTHROPIC.request(), subject, spending(&[], &unlimited()), clearance, &CancellationToken::new()).await
}

async fn seen(faults: &Faults, count: usize) {
    while faults.seen().len() < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_for_its_place_goes_back_at_once() {
    let deployment = deployment().await;
    let faults = Faults::start(Vec::new(), Answer::Hangs).await;
    let mut caller = caller(&ANTHROPIC, ANTHROPIC.at(&faults.url), Ledger::new(deployment.log()));
    caller.pacer = Arc::new(Pacer::new(Pace { concurrency: 1, requests_per_minute: None, tokens_per_minute: None }));
    let caller = Arc::new(caller);
    let start = || {
        let (caller, deployment) = (Arc::clone(&caller), Arc::clone(&deployment));
        tokio::spawn(async move { call(&caller, &deployment.clearance()).await })
    };
    let in_flight = start();
    seen(&faults, 1).await;
    let waiting = start();
    switch(&*deployment.log(), SwitchState::Off).await;
    assert_eq!(waiting.await.unwrap().unwrap_err().code(), "tier_off");
    assert!(!in_flight.is_finished(), "what has left is let finish, and was not waited for");
    in_flight.abort();
    assert_eq!((faults.seen().len(), deployment.ledger().await.0.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_for_its_next_attempt_goes_back_at_once() {
    let deployment = deployment().await;
    let throttled = ANTHROPIC.problem(ANTHROPIC.throttled).with("retry-after", "25");
    let faults = Faults::start(Vec::new(), throttled).await;
    let caller = caller(&ANTHROPIC, ANTHROPIC.at(&faults.url), Ledger::new(deployment.log()));
    let clearance = deployment.clearance();
    let off = async {
        seen(&faults, 1).await;
        switch(&*deployment.log(), SwitchState::Off).await;
    };
    let (result, ()) = tokio::join!(call(&caller, &clearance), off);
    assert_eq!(result.unwrap_err().code(), "tier_off");
    assert_eq!(faults.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_tier_finishes_what_it_has() {
    let deployment = deployment().await;
    let again = ANTHROPIC.problem(ANTHROPIC.throttled).with("retry-after", "1");
    let faults = Faults::start(vec![again], ANTHROPIC.ok("A summary.", "stop", 1, 0, 1)).await;
    let caller = caller(&ANTHROPIC, ANTHROPIC.at(&faults.url), Ledger::new(deployment.log()));
    let clearance = deployment.clearance();
    let drain = async {
        seen(&faults, 1).await;
        switch(&*deployment.log(), SwitchState::Drain).await;
    };
    let (result, ()) = tokio::join!(call(&caller, &clearance), drain);
    assert!(result.is_ok());
    assert_eq!(faults.seen().len(), 2);
}

/// The last check comes after the ledger, and a request that does not leave costs nothing.
#[tokio::test(flavor = "multi_thread")]
async fn permission_is_checked_after_the_ledger_record() {
    let deployment = deployment().await;
    let faults = Faults::start(Vec::new(), ANTHROPIC.ok("A summary.", "stop", 1, 0, 1)).await;
    let slow = Arc::new(SlowLedger(Arc::clone(&deployment)));
    let caller = caller(&ANTHROPIC, ANTHROPIC.at(&faults.url), Ledger::new(slow));
    assert_eq!(call(&caller, &deployment.clearance()).await.unwrap_err().code(), "tier_off");
    assert!(faults.seen().is_empty());
    let (attempts, settlements) = deployment.ledger().await;
    assert_eq!((attempts.len(), settlements.len()), (1, 1));
    assert_eq!(settlements[0].result, SettlementResult::NotBilled);
}

/// A ledger that writes an attempt only after the tier is known to be off.
struct SlowLedger(Arc<TestDeployment>);

#[async_trait]
impl Log for SlowLedger {
    async fn publish(&self, outputs: Vec<Output>) -> Result<Vec<Position>, FlowError> {
        let is_attempt = outputs.iter().any(|output| output.topic == topics::LEDGER);
        let positions = self.0.log().publish(outputs).await?;
        if is_attempt && self.0.runtime.control.switches().is_empty() {
            switch(&*self.0.log(), SwitchState::Off).await;
            self.0.clearance().revoked().await;
        }
        Ok(positions)
    }

    async fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicChange>, FlowError> {
        self.0.log().ensure_topics(specs).await
    }
    async fn topics(&self) -> Result<Vec<TopicStatus>, FlowError> {
        self.0.log().topics().await
    }
    async fn group_lag(&self, group: &str) -> Result<Vec<PartitionLag>, FlowError> {
        self.0.log().group_lag(group).await
    }
    async fn reader(&self, topic: &str, start: ReadStart) -> Result<Box<dyn Reader>, FlowError> {
        self.0.log().reader(topic, start).await
    }
    async fn exclusive(&self, name: &str) -> Result<Box<dyn ExclusiveWriter>, FlowError> {
        self.0.log().exclusive(name).await
    }
    async fn join(&self, request: JoinRequest) -> Result<Membership, FlowError> {
        self.0.log().join(request).await
    }
    fn describe(&self) -> String {
        self.0.log().describe()
    }
}
