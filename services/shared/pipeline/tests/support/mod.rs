//! A tier's worker on the embedded log and a directory store, with a summariser whose answer is
//! fixed, and the work that a router would give it.
#![allow(dead_code, reason = "each suite uses a part of it")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use precis_flow::{Delivery, EmbeddedConfig, Log, LogConfig, Output, Record};
use precis_objects::{DirectoryConfig, ObjectStore, StoreConfig};
use precis_pipeline::prompt::Prompt;
use precis_pipeline::{Control, GenerateError, Generated, Job, RoutingKeys, Summariser, TierWorker, identity, topics};
use precis_policy::{DecodingRules, Policy, TierKind};
use precis_schemas::{Decision, Document, ModelIdentity, Origin, Outcome, RoutedDocument, Sensitivity, Usd, codec};
use tokio_util::sync::CancellationToken;

pub(crate) const LOCAL: &str = include_str!("../../../../../infra/policy/local.toml");
pub(crate) const TEXT: &str = "The harbour board met on Monday. It agreed to rebuild the old ferry terminal, because the roof leaks and the \
    tickets are still sold by hand. Work begins in spring and the ferries keep running from the second pier meanwhile.";
/// Gives one answer to everything, and counts how often it was asked.
pub(crate) struct FixedAnswer {
    pub(crate) text: String,
    pub(crate) kind: TierKind,
    pub(crate) calls: Arc<AtomicUsize>,
}

#[async_trait]
impl Summariser for FixedAnswer {
    fn model(&self, prompt: &Prompt) -> ModelIdentity {
        ModelIdentity {
            provider: "test".into(),
            name: "fixed".into(),
            revision: "1".into(),
            quantisation: "none".into(),
            adapter: None,
            prompt_digest: prompt.digest.clone(),
        }
    }

    fn decoding(&self, _rules: &DecodingRules) -> String {
        "greedy".into()
    }

    fn tier_kind(&self) -> TierKind {
        self.kind
    }

    async fn summarise(&self, _job: Job<'_>) -> Result<Generated, GenerateError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(Generated {
            text: self.text.clone(),
            finish_reason: "stop".into(),
            input_tokens: 50,
            cached_input_tokens: 0,
            output_tokens: 20,
            chunks: 1,
            cut_chunks: 0,
            cost: Usd::ZERO,
            price_digest: None,
            logprob: Some(-2.5),
        })
    }
}

/// What a worker stands on.
pub(crate) struct Bench {
    _directory: tempfile::TempDir,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) control: Arc<Control>,
    pub(crate) keys: Arc<RoutingKeys>,
    pub(crate) calls: Arc<AtomicUsize>,
}

impl Bench {
    pub(crate) async fn new(policy: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config =
            LogConfig { embedded: EmbeddedConfig { path: directory.path().join("log.db") }, ..LogConfig::default() };
        let log = precis_flow::open(&config).await.unwrap();
        log.ensure_topics(&topics::all(&["acme".into()], &["gpu".into(), "mid".into()], 1, None)).await.unwrap();
        let store = StoreConfig {
            directory: DirectoryConfig { path: directory.path().join("objects") },
            ..StoreConfig::default()
        };
        let store = precis_objects::open(&store).await.unwrap();
        let control = Control::follow(&log, Policy::parse(policy).unwrap()).await.unwrap();
        let keys = Arc::new(RoutingKeys::open(&*store).await.unwrap());
        Self { _directory: directory, log, store, control, keys, calls: Arc::default() }
    }

    pub(crate) fn worker(&self, tier: &str, text: impl Into<String>) -> TierWorker<FixedAnswer> {
        let kind = if tier == "gpu" { TierKind::Gpu } else { TierKind::Api };
        let fixed = FixedAnswer { text: text.into(), kind, calls: self.calls.clone() };
        TierWorker::new(tier, fixed, self.store.clone(), self.control.clone(), self.keys.clone())
    }

    pub(crate) fn routed(&self, document: &Document, tier: &str, offset: i64) -> Delivery {
        self.deliver(&self.work(document, tier, offset))
    }

    /// What the router decides for a document that lies at this offset.
    pub(crate) fn work(&self, document: &Document, tier: &str, offset: i64) -> RoutedDocument {
        RoutedDocument {
            tenant: "acme".into(),
            document_id: document.document_id.clone(),
            revision: document.revision,
            origin: Origin { topic: "documents.acme".into(), partition: 0, offset },
            request_digest: identity::request_digest(document),
            request_fingerprint: identity::request_fingerprint(
                "acme",
                document,
                document.text.as_deref().unwrap_or_default(),
            ),
            document: codec::encode(document).unwrap(),
            tier: tier.into(),
            decision: Decision {
                eligible: vec![tier.into()],
                excluded: Vec::new(),
                features: BTreeMap::new(),
                score: 0.5,
                thresholds: BTreeMap::new(),
                shadow_price: 0.0,
                chosen: tier.into(),
                reason: "target_mix".into(),
                policy_digest: self.control.effective().digest,
                arm: String::new(),
            },
            trail: Vec::new(),
            policy_digest: self.control.effective().digest,
            purpose: document.purpose,
            priority: 0,
            deadline: None,
            replay: false,
            routed_at: 0,
            evaluation: None,
        }
    }

    /// Work as the router writes it: with its proof.
    pub(crate) fn deliver(&self, routed: &RoutedDocument) -> Delivery {
        self.deliver_bytes(&routed.tier, codec::encode(routed).unwrap())
    }

    pub(crate) fn deliver_bytes(&self, tier: &str, value: Vec<u8>) -> Delivery {
        let Output { topic, value, headers, .. } = self.keys.prove(Output::to(topics::work(tier)).value(value));
        let record =
            Record { topic: topic.into(), partition: 0, offset: 0, timestamp_ms: 0, key: None, value, headers };
        Delivery::new(record, CancellationToken::new())
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

pub(crate) fn document(id: &str) -> Document {
    Document {
        document_id: id.into(),
        text: Some(TEXT.into()),
        sensitivity: Some(Sensitivity::Public),
        ..Document::default()
    }
}

pub(crate) fn outcome(output: &Output) -> Outcome {
    assert_eq!(output.topic, topics::SUMMARIES);
    codec::decode(output.value.as_deref().unwrap()).unwrap()
}
