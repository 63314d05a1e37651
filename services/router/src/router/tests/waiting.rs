//! Documents that wait for room in their tier's topic: the router's stage on the embedded log, with
//! and without a worker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use precis_flow::{Delivery, Output, Processor, StageConfig, StageError, Subscription, run_stage};
use precis_objects::claim_check;
use precis_pipeline::{TextBudget, now_ms, runtime, topics};
use precis_schemas::{Document, Outcome, RoutedDocument, SwitchState, codec};
use precis_telemetry::Health;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::harness::*;
use super::stage::values;
use crate::STAGE;

/// The limit of each tier in these tests. A transaction's marker counts as a document, too.
const MAX_BACKLOG: usize = 4;

/// The tests' policy with [`MAX_BACKLOG`] places at each tier.
fn limited(on_late: &str) -> String {
    THREE_TIERS
        .replace("on_late = \"run\"", &format!("on_late = \"{on_late}\""))
        .replace("\nshare =", &format!("\nmax_backlog = {MAX_BACKLOG}\nshare ="))
}

/// A stage that runs until it is told to stop.
struct RunningStage {
    stop: CancellationToken,
    stage: JoinHandle<Result<(), precis_flow::FlowError>>,
    _following: Option<tokio_util::task::AbortOnDropHandle<()>>,
}

impl RunningStage {
    fn start(deployment: &Deployment, name: &str, subscription: Subscription, processor: Arc<dyn Processor>) -> Self {
        let stop = CancellationToken::new();
        let config = StageConfig::new(name, runtime::group(name), subscription);
        let stage = tokio::spawn(run_stage(deployment.log.clone(), config, processor, Health::new(), stop.clone()));
        Self { stop, stage, _following: None }
    }

    async fn router(deployment: &Deployment) -> Self {
        let router = deployment.router_on(deployment.store.clone());
        let (admission, log, control) =
            (router.admission().clone(), deployment.log.clone(), deployment.control.clone());
        admission.measure_and_serve(&*log, &control).await;
        let following = tokio::spawn(async move { admission.follow(log, control).await });
        let subscription = crate::subscription(&runtime::TopicSettings::default());
        let running = Self::start(deployment, STAGE, subscription, Arc::new(router));
        Self { _following: Some(tokio_util::task::AbortOnDropHandle::new(following)), ..running }
    }

    /// A worker that finishes every record at once.
    fn worker(deployment: &Deployment, tier: &str) -> Self {
        let topic = topics::work(tier);
        Self::start(deployment, &topic, Subscription::topics([topic.clone()]), Arc::new(DiscardingProcessor))
    }

    async fn stop(self) {
        self.stop.cancel();
        self.stage.await.unwrap().unwrap();
    }
}

struct DiscardingProcessor;

#[async_trait]
impl Processor for DiscardingProcessor {
    async fn process(&self, _: &Delivery) -> Result<Vec<Output>, StageError> {
        Ok(Vec::new())
    }
}

/// Documents that may not leave the network.
async fn publish(deployment: &Deployment, tenant: &str, ids: std::ops::Range<usize>, deadline: Option<i64>) {
    let output = |id: usize| {
        let id = format!("{tenant}-{id}");
        let document = Document { document_id: id.clone(), sensitivity: None, deadline, ..document() };
        Output::to(topics::documents(tenant)).key(id).value(codec::encode(&document).unwrap())
    };
    deployment.log.publish(ids.map(output).collect()).await.unwrap();
}

/// The ids of the documents in a tier's topic, in order, once there are at least `least`.
async fn work(deployment: &Deployment, tier: &str, least: usize) -> Vec<String> {
    let values = values(deployment, &topics::work(tier), least).await;
    values.iter().map(|value| codec::decode::<RoutedDocument>(value).unwrap().document_id).collect()
}

/// A tier's topic is filled up to its limit; another tenant's documents come next.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_tiers_next_documents_are_another_tenants() {
    let deployment = Deployment::with(&limited("run")).await;
    let router = RunningStage::router(&deployment).await;
    publish(&deployment, "acme", 0..40, None).await;
    work(&deployment, "gpu", 1).await;
    publish(&deployment, "other", 0..2, None).await;
    // Long enough for several measurements of a topic that nobody works off.
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Documents that arrive together may overtake their predecessors, and are admitted beyond the
    // limit once these let them pass.
    let waiting = work(&deployment, "gpu", 1).await.len();
    assert!(waiting <= 2 * MAX_BACKLOG, "more than the limit were admitted: {waiting}");
    let worker = RunningStage::worker(&deployment, "gpu");
    let order = work(&deployment, "gpu", 42).await;
    assert_eq!(order.len(), 42);
    let last = order.iter().rposition(|id| id.starts_with("other")).unwrap();
    assert!(last < 2 * MAX_BACKLOG + 6, "the other tenant's two were let in with the first turns: {order:?}");
    worker.stop().await;
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_waits_for_a_tier_switched_off_goes_elsewhere() {
    let deployment = Deployment::with(&limited("run")).await;
    let router = RunningStage::router(&deployment).await;
    let public = |id: usize| {
        let document = Document { document_id: format!("public-{id}"), ..document() };
        Output::to("documents.acme").key(format!("public-{id}")).value(codec::encode(&document).unwrap())
    };
    deployment.log.publish((0..40).map(public).collect()).await.unwrap();
    work(&deployment, "gpu", 1).await;
    deployment.switch("gpu", SwitchState::Off).await;
    deployment.switch("premium", SwitchState::Off).await;
    let worker = RunningStage::worker(&deployment, "mid");
    // The mid tier's own share would be eight documents.
    assert!(work(&deployment, "mid", 20).await.len() >= 20);
    worker.stop().await;
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_while_waiting_settles_by_the_policy() {
    let deployment = Deployment::with(&limited("fail")).await;
    let router = RunningStage::router(&deployment).await;
    publish(&deployment, "acme", 0..20, Some(now_ms() + 3_000)).await;
    let waiting = 20 - work(&deployment, "gpu", 1).await.len();
    // A few more documents may have overtaken their predecessors at first.
    let outcomes = values(&deployment, topics::SUMMARIES, waiting - 2 * MAX_BACKLOG).await;
    let late = |value: &Vec<u8>| codec::decode::<Outcome>(value).unwrap().code.as_deref() == Some("deadline_passed");
    assert!(outcomes.iter().all(late));
    let (settled, sent) = (outcomes.len(), work(&deployment, "gpu", 1).await.len());
    assert!(settled + sent <= 20, "{settled} settled and {sent} sent");
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_drains_leaves_those_that_wait_to_the_next_one() {
    let deployment = Deployment::with(&limited("run")).await;
    let router = RunningStage::router(&deployment).await;
    publish(&deployment, "acme", 0..8, None).await;
    work(&deployment, "gpu", 1).await;
    let began = std::time::Instant::now();
    router.stop().await;
    assert!(began.elapsed() < Duration::from_secs(20), "the drain budget is 30 s: {:?}", began.elapsed());
    let (router, worker) = (RunningStage::router(&deployment).await, RunningStage::worker(&deployment, "gpu"));
    let mut ids = work(&deployment, "gpu", 8).await;
    ids.sort();
    assert_eq!(ids, (0..8).map(|id| format!("acme-{id}")).collect::<Vec<_>>());
    worker.stop().await;
    router.stop().await;
}

/// Many small records that name one large body: what they hold of it stays within the budget, and
/// while they wait for room at the tier they hold nothing.
#[tokio::test(flavor = "multi_thread")]
async fn documents_that_wait_for_room_hold_no_text() {
    const BODY: usize = 256 * 1024;
    let deployment = Deployment::with(&THREE_TIERS.replace("\nshare =", "\nmax_backlog = 1\nshare =")).await;
    let text = "The bridge is old. ".repeat(BODY / 19);
    let body = claim_check::put_body(&*deployment.store, "acme", "big", 0, text.into_bytes()).await.unwrap();
    let texts = TextBudget::new(3 * BODY as u64);
    let router = Arc::new(deployment.router_on(deployment.store.clone()).with_text_budget(texts.clone()));
    let admission = router.admission().clone();
    admission.measure_and_serve(&*deployment.log, &deployment.control).await;
    let draining = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    for id in 0..256 {
        let document = Document {
            document_id: format!("d{id}"),
            text: None,
            body: Some(body.clone()),
            sensitivity: None,
            ..document()
        };
        let record = record("documents.acme", codec::encode(&document).unwrap(), id);
        let (router, shutdown) = (router.clone(), draining.clone());
        tasks.spawn(async move { router.process(&Delivery::new(record, shutdown)).await.is_ok() });
    }
    let all_wait = async {
        while admission.waiting("gpu") < 255 {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_mins(1), all_wait).await;
    assert!(waited.is_ok(), "{} of 255 wait: the others wait for bytes that these hold", admission.waiting("gpu"));
    assert_eq!(texts.held_bytes(), 0, "none of those that wait holds a text");
    let (most, budget) = (texts.most_held_bytes(), 3 * BODY as u64);
    assert!((1..=budget).contains(&most), "{most} bytes at once of {budget}");
    draining.cancel();
    let sent = tasks.join_all().await.into_iter().filter(|sent| *sent).count();
    assert_eq!(sent, 1, "one went before the tier was full");
}
