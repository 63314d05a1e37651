//! How long a document may leave the network after the log stopped answering. Time is paused.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use precis_flow::member::{JoinRequest, Membership};
use precis_flow::{
    ExclusiveWriter, FlowError, Log, Output, PartitionLag, Position, ReadStart, Reader, Record, Scope, TopicChange,
    TopicSpec, TopicStatus,
};
use precis_pipeline::control::{MAX_STALENESS, SEND_TIME_BUDGET};
use precis_pipeline::{Clearance, Control, Denied, GenerateError};
use precis_policy::{DocumentFacts, Policy, TierKind};
use precis_schemas::{Document, Sensitivity};
use tokio::time::Instant;

const POLICY: &str = r#"
version = 1
[[tiers]]
name = "gpu"
kind = "gpu"
share = 0.5
max_sensitivity = "restricted"
[[tiers]]
name = "api"
kind = "api"
provider = "openai"
model = "gpt-5.4-nano"
share = 0.5
max_sensitivity = "internal"
residency = ["*"]
"#;

/// A log with an empty topic; it answers until it is cut.
struct Cuttable(Arc<AtomicBool>);

/// A reader of the empty topic.
struct EmptyReader {
    cut: Arc<AtomicBool>,
    reached: Option<Instant>,
}

#[async_trait]
impl Reader for EmptyReader {
    async fn next(&mut self, timeout: Duration) -> Result<Option<Record>, FlowError> {
        if self.reached.is_some() {
            tokio::time::sleep(timeout).await;
        }
        if !self.cut.load(Ordering::SeqCst) {
            self.reached = Some(Instant::now());
        }
        Ok(None)
    }

    fn end_reached(&self) -> Option<Instant> {
        self.reached
    }
}

#[async_trait]
impl Log for Cuttable {
    async fn reader(&self, _topic: &str, _start: ReadStart) -> Result<Box<dyn Reader>, FlowError> {
        Ok(Box::new(EmptyReader { cut: self.0.clone(), reached: None }))
    }
    fn describe(&self) -> String {
        "a log of the tests".to_owned()
    }
    // A follower asks for nothing else.
    async fn ensure_topics(&self, _specs: &[TopicSpec]) -> Result<Vec<TopicChange>, FlowError> {
        unreachable!("a follower asks for nothing else")
    }
    async fn topics(&self) -> Result<Vec<TopicStatus>, FlowError> {
        unreachable!("a follower asks for nothing else")
    }
    async fn group_lag(&self, _group: &str) -> Result<Vec<PartitionLag>, FlowError> {
        unreachable!("a follower asks for nothing else")
    }
    async fn publish(&self, _outputs: Vec<Output>) -> Result<Vec<Position>, FlowError> {
        unreachable!("a follower asks for nothing else")
    }
    async fn exclusive(&self, _name: &str) -> Result<Box<dyn ExclusiveWriter>, FlowError> {
        unreachable!("a follower asks for nothing else")
    }
    async fn join(&self, _request: JoinRequest) -> Result<Membership, FlowError> {
        unreachable!("a follower asks for nothing else")
    }
}

/// What was allowed to leave has left before the knowledge of `control` is too old.
#[tokio::test(start_paused = true)]
async fn permission_ends_before_knowledge_is_too_old() {
    let cut = Arc::new(AtomicBool::new(false));
    let log: Arc<dyn Log> = Arc::new(Cuttable(cut.clone()));
    let control = Control::follow(&log, Policy::parse(POLICY).unwrap()).await.unwrap();
    let facts =
        DocumentFacts::of("acme", &Document { sensitivity: Some(Sensitivity::Public), ..Document::new("a", 0) });
    let api = Clearance::new(control.clone(), facts.clone(), "api", TierKind::Api);
    let gpu = Clearance::new(control, facts, "gpu", TierKind::Gpu);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(api.check(), Ok(()));

    cut.store(true, Ordering::SeqCst);
    let cut_at = Instant::now();
    while api.check().is_ok() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(cut_at.elapsed() + SEND_TIME_BUDGET <= MAX_STALENESS, "still allowed after {:?}", cut_at.elapsed());
    }
    assert_eq!(api.check(), Err(Denied::Stale));
    assert_eq!(gpu.check(), Ok(()), "what stays on own machines goes on");
    let waits = GenerateError::from(Denied::Stale);
    assert!(matches!(waits, GenerateError::Retry { scope: Scope::Dependency, code: "control_stale", .. }), "{waits:?}");

    cut.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(api.check(), Ok(()), "once the end was reached again");
}
