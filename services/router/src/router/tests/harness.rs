//! A deployment on a directory and the embedded log, with the inputs of publishers and tiers.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use precis_flow::{
    Delivery, EmbeddedConfig, Headers, Log, LogConfig, LogKind, Output, Processor, Record, Rejection, Scope, StageError,
};
use precis_objects::{DirectoryConfig, ObjectError, ObjectInfo, ObjectStore, Put, StoreConfig, StoreKind, keys};
use precis_pipeline::control::{apply_policy, switch_tier};
use precis_pipeline::settle::{Claim, Draft, REPEAT_HEADER};
use precis_pipeline::{Control, RoutingKeys, Settler, topics};
use precis_policy::Policy;
use precis_schemas::{
    Answer, AvroRecord, CacheLayer, Document, Escalation, ModelIdentity, Outcome, RoutedDocument, Sensitivity,
    SwitchState, Trial, TrialResult, Usd, codec,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::Router;

/// The policy of the tests: three tiers, two of them external.
pub(super) const THREE_TIERS: &str = include_str!("../../../../../infra/policy/70-20-10.toml");

pub(super) const TEXT: &str = "The committee met on Monday and agreed to repair the bridge before the winter comes. Work \
    begins in May and ends in August; the town pays half of it.";

pub(super) struct Deployment {
    pub(super) log: Arc<dyn Log>,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) control: Arc<Control>,
    pub(super) keys: Arc<RoutingKeys>,
    pub(super) router: Router,
    _directory: TempDir,
}

impl Deployment {
    pub(super) async fn with(policy: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = precis_flow::open(&LogConfig {
            kind: LogKind::Embedded,
            embedded: EmbeddedConfig { path: directory.path().join("log.db") },
            ..LogConfig::default()
        })
        .await
        .unwrap();
        let store = precis_objects::open(&StoreConfig {
            kind: StoreKind::Directory,
            directory: DirectoryConfig { path: directory.path().join("objects") },
            ..StoreConfig::default()
        })
        .await
        .unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let specs = topics::all(&names(&["acme", "other"]), &names(&["gpu", "mid", "premium"]), 1, None);
        log.ensure_topics(&specs).await.unwrap();
        let control = Control::follow(&log, Policy::parse(policy).unwrap()).await.unwrap();
        let keys = Arc::new(RoutingKeys::open(&*store).await.unwrap());
        let router = Router::new(Settler::new(store.clone()), control.clone(), keys.clone());
        Self { log, store, control, keys, router, _directory: directory }
    }

    /// Replaces the router by one that knows no document yet.
    pub(super) fn replace_router(&mut self) {
        self.router = self.router_on(self.store.clone());
    }

    /// A router that knows no document yet, on another store.
    pub(super) fn router_on(&self, store: Arc<dyn ObjectStore>) -> Router {
        Router::new(Settler::new(store), self.control.clone(), self.keys.clone())
    }

    /// Makes a policy the one in force.
    pub(super) async fn apply(&self, policy: &str) {
        let digest = apply_policy(&*self.log, &*self.store, policy, "", "tests").await.unwrap();
        let effective = self.control.for_record(&digest).await.unwrap();
        assert_eq!(effective.digest, digest);
    }

    /// Switches a tier.
    pub(super) async fn switch(&self, tier: &str, state: SwitchState) {
        switch_tier(&*self.log, tier, state, "tests", "tests").await.unwrap();
        // A digest that is not in force makes the follower read to the end.
        self.control.for_record("another").await.unwrap();
    }

    /// Processes a record as the stage does, the rejection's outputs included.
    pub(super) async fn deliver(&self, record: Record) -> Result<Output, (&'static str, Vec<Output>)> {
        let delivery = Delivery::new(record, CancellationToken::new());
        match self.router.process(&delivery).await {
            Ok(outputs) => {
                assert_eq!(outputs.len(), 1);
                Ok(outputs.into_iter().next().unwrap())
            }
            Err(StageError::Reject(rejection)) => Err(self.reject(&delivery, rejection).await),
            // The stage would try the record a few times more, and then reject it with the same
            // code.
            Err(StageError::Retry { scope: Scope::Record, code, message, .. }) => {
                Err(self.reject(&delivery, Rejection::new(code, message).of_tenant("acme")).await)
            }
            Err(error) => panic!("{error}"),
        }
    }

    async fn reject(&self, delivery: &Delivery, rejection: Rejection) -> (&'static str, Vec<Output>) {
        (rejection.code, self.router.rejected(delivery, &rejection).await.unwrap())
    }

    /// Publishes a document at an offset of its tenant's topic.
    pub(super) async fn publish(
        &self,
        document: &Document,
        offset: i64,
    ) -> Result<Output, (&'static str, Vec<Output>)> {
        self.deliver(record(&topics::documents("acme"), codec::encode(document).unwrap(), offset)).await
    }

    /// Publishes a document and takes the work that follows.
    pub(super) async fn route(&self, document: &Document) -> RoutedDocument {
        routed(&self.publish(document, 7).await.unwrap())
    }

    /// Gives work back to the router.
    pub(super) async fn escalate(&self, routed: &RoutedDocument, trial: Trial) -> Output {
        let escalation = Escalation { routed: codec::encode(routed).unwrap(), trial };
        self.deliver(self.proved(codec::encode(&escalation).unwrap(), 3)).await.unwrap()
    }

    /// An escalation as a worker writes it: with its proof.
    pub(super) fn proved(&self, value: Vec<u8>, offset: i64) -> Record {
        let Output { value, headers, .. } = self.keys.prove(Output::to(topics::ESCALATIONS).value(value));
        Record { headers, ..record(topics::ESCALATIONS, value.unwrap(), offset) }
    }

    /// A trial whose answer failed these checks; the answer is stored.
    pub(super) async fn failed(&self, routed: &RoutedDocument, text: &str, checks: &[&str]) -> Trial {
        let answer = answer(routed, text);
        let key = keys::answer(&routed.tenant, &routed.request_fingerprint, &routed.tier);
        self.store.put_if_absent(&key, codec::encode(&answer).unwrap()).await.unwrap();
        Trial {
            tier: routed.tier.clone(),
            result: TrialResult::FailedChecks,
            code: checks[0].to_owned(),
            answer_key: Some(key),
            failed_checks: checks.iter().map(|check| (*check).to_owned()).collect(),
            policy_digest: routed.policy_digest.clone(),
            at: 5,
        }
    }

    /// Settles a document as a tier would.
    pub(super) async fn settle(&self, routed: &RoutedDocument) -> Vec<u8> {
        let outcome = Draft::of(routed, &codec::decode(&routed.document).unwrap(), TEXT, 9).answered(
            &routed.tier,
            &answer(routed, "The bridge is repaired."),
            "key",
            CacheLayer::None,
        );
        let output = Settler::new(self.store.clone()).settle(&Claim::of(routed), &outcome).await.unwrap();
        output.value.unwrap()
    }

    /// The result object of a document of the tests' tenant.
    pub(super) async fn result(&self, document: &Document) -> Option<Vec<u8>> {
        self.store.get(&keys::result("acme", &document.document_id, document.revision)).await.unwrap()
    }
}

pub(super) fn document() -> Document {
    Document {
        document_id: "minutes-1".to_owned(),
        submitted_at: 1,
        text: Some(TEXT.to_owned()),
        sensitivity: Some(Sensitivity::Public),
        content_type: "text/plain".to_owned(),
        ..Document::default()
    }
}

pub(super) fn answer(routed: &RoutedDocument, text: &str) -> Answer {
    Answer {
        tenant: routed.tenant.clone(),
        request_fingerprint: routed.request_fingerprint.clone(),
        answer_fingerprint: routed.tier.clone(),
        text: text.to_owned(),
        finish_reason: "stop".to_owned(),
        model: ModelIdentity {
            provider: if routed.tier == "gpu" { precis_pipeline::BUILT_IN_PROVIDER } else { "anthropic" }.to_owned(),
            name: "model".to_owned(),
            revision: String::new(),
            quantisation: String::new(),
            adapter: None,
            prompt_digest: "p".to_owned(),
        },
        input_tokens: 100,
        cached_input_tokens: 0,
        output_tokens: 20,
        chunks: 1,
        checks: Vec::new(),
        accepted: true,
        cost: if routed.tier == "gpu" { Usd::ZERO } else { Usd::from_nanos(1_000).unwrap() },
        price_digest: None,
        generation_ms: 12,
        created_at: 2,
        subject_ids: Vec::new(),
        scores: None,
    }
}

pub(super) fn refused(routed: &RoutedDocument, code: &str) -> Trial {
    Trial {
        tier: routed.tier.clone(),
        result: TrialResult::Refused,
        code: code.to_owned(),
        answer_key: None,
        failed_checks: Vec::new(),
        policy_digest: routed.policy_digest.clone(),
        at: 5,
    }
}

pub(super) fn record(topic: &str, value: Vec<u8>, offset: i64) -> Record {
    Record {
        topic: topic.into(),
        partition: 0,
        offset,
        timestamp_ms: 0,
        key: None,
        value: Some(value),
        headers: Headers::new(),
    }
}

#[track_caller]
fn read<T: AvroRecord>(output: &Output) -> T {
    assert_eq!(output.headers.get_str(codec::SCHEMA_HEADER), Some(codec::schema_header::<T>().as_str()));
    codec::decode(output.value.as_deref().unwrap()).unwrap()
}

#[track_caller]
pub(super) fn routed(output: &Output) -> RoutedDocument {
    let routed: RoutedDocument = read(output);
    assert_eq!(output.topic, topics::work(&routed.tier));
    routed
}

#[track_caller]
pub(super) fn outcome(output: &Output) -> Outcome {
    assert_eq!(output.topic, topics::SUMMARIES);
    read(output)
}

pub(super) fn is_repeat(output: &Output) -> bool {
    output.headers.get(REPEAT_HEADER).is_some()
}

/// A store that cannot be reached.
pub(super) struct UnavailableStore;

#[async_trait]
impl ObjectStore for UnavailableStore {
    async fn put_if_absent(&self, _: &str, _: Vec<u8>) -> Result<Put, ObjectError> {
        Err(unavailable())
    }
    async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, ObjectError> {
        Err(unavailable())
    }
    async fn get_range(&self, _: &str, _: Range<u64>) -> Result<Option<Vec<u8>>, ObjectError> {
        Err(unavailable())
    }
    async fn list(&self, _: &str, _: usize) -> Result<Vec<ObjectInfo>, ObjectError> {
        Err(unavailable())
    }
    async fn delete(&self, _: &str) -> Result<(), ObjectError> {
        Err(unavailable())
    }
    fn describe(&self) -> String {
        "unavailable".to_owned()
    }
}

fn unavailable() -> ObjectError {
    ObjectError::Unavailable {
        operation: "ask",
        key: "any".to_owned(),
        detail: "the store is down in this test".to_owned(),
    }
}
