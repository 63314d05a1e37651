//! A deployment on one machine: embedded log, directory, and a policy with one tier at a provider.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use precis_api_worker::caller::{SendPermission, Spending};
use precis_api_worker::ledger::spend::Spend;
use precis_config::Settings;
use precis_flow::{Log, Output, ReadStart, Record};
use precis_objects::ObjectStore;
use precis_pipeline::settle::Claim;
use precis_pipeline::{Clearance, Denied, Identity, PaidRequests, Runtime, identity, now_ms, topics};
use precis_policy::{Budget, DocumentFacts, TierKind};
use precis_schemas::{
    Decision, Document, LedgerAttempt, LedgerSettlement, Origin, Purpose, RoutedDocument, Sensitivity, codec,
};

use crate::memory::MemoryStore;

pub(crate) const TENANT: &str = "acme";
pub(crate) const TEXT: &str = "The harbour of Brest was built in 1631. It has three basins and two dry docks. Ships of the line were fitted out there for two centuries.";
/// Passes the checks against [`TEXT`].
pub(crate) const SUMMARY: &str = "The harbour of Brest was built in 1631 and has three basins and two dry docks.";

pub(crate) struct TestDeployment {
    pub(crate) runtime: Runtime,
    pub(crate) root: tempfile::TempDir,
}

/// A policy with a GPU tier and a tier `api` at this provider.
pub(crate) fn policy(provider: &str, model: &str) -> String {
    format!(
        r#"
        version = 1
        [[tiers]]
        name = "gpu"
        kind = "gpu"
        share = 0.0
        max_sensitivity = "restricted"
        [[tiers]]
        name = "api"
        kind = "api"
        provider = "{provider}"
        model = "{model}"
        share = 1.0
        max_sensitivity = "internal"
        residency = ["*"]
        "#
    )
}

/// The requests of a document at the tier `api`.
pub(crate) fn paid_requests(store: Arc<dyn ObjectStore>, document_id: &str, max: u32) -> PaidRequests {
    let claim = Claim {
        identity: Identity { tenant: TENANT.to_owned(), document_id: document_id.to_owned(), revision: 3 },
        origin: Origin { topic: topics::documents(TENANT), partition: 0, offset: 1 },
        request_digest: String::new(),
        replay: false,
    };
    PaidRequests::new(store, &claim, "api", max)
}

/// The requests of a new document, more than any test makes.
pub(crate) fn unlimited() -> PaidRequests {
    paid_requests(MemoryStore::new(), "document", 1_000)
}

pub(crate) fn spending<'a>(budgets: &'a [Budget], requests: &'a PaidRequests) -> Spending<'a> {
    Spending { budgets, requests }
}

/// For tests of everything else.
pub(crate) struct Always;

#[async_trait]
impl SendPermission for Always {
    fn check(&self) -> Result<(), Denied> {
        Ok(())
    }

    async fn revoked(&self) -> Denied {
        std::future::pending().await
    }
}

impl TestDeployment {
    pub(crate) async fn open(policy: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("policy.toml"), policy).unwrap();
        let path = |name: &str| root.path().join(name).display().to_string();
        let settings = format!(
            "[log.embedded]\npath = {:?}\n[store.directory]\npath = {:?}\n[policy]\nfile = {:?}\n[topics]\ntenants = [{TENANT:?}]\npartitions = 2\n",
            path("log.db"),
            path("objects"),
            path("policy.toml"),
        );
        let runtime = Runtime::open(&Settings::parse("precis.toml", &settings, []).unwrap()).await.unwrap();
        Self { runtime, root }
    }

    /// Clearance of a public document at the tier `api`.
    pub(crate) fn clearance(&self) -> Clearance {
        let document = Document { sensitivity: Some(Sensitivity::Public), ..Document::new("document", 0) };
        let facts = DocumentFacts::of(TENANT, &document);
        Clearance::new(self.runtime.control.clone(), facts, "api", TierKind::Api)
    }

    pub(crate) fn log(&self) -> Arc<dyn Log> {
        self.runtime.log.clone()
    }

    /// Puts a public document onto the tier's work, as the router does.
    pub(crate) async fn route(&self, document_id: &str) {
        let document = Document {
            document_id: document_id.to_owned(),
            sensitivity: Some(Sensitivity::Public),
            language: Some("en".to_owned()),
            text: Some(format!("{TEXT} It is known as number {document_id}.")),
            ..Document::default()
        };
        let policy_digest = self.runtime.control.effective().digest;
        let routed = RoutedDocument {
            tenant: TENANT.to_owned(),
            document_id: document_id.to_owned(),
            revision: 0,
            origin: Origin { topic: topics::documents(TENANT), partition: 0, offset: 1 },
            request_digest: identity::request_digest(&document),
            request_fingerprint: identity::request_fingerprint(TENANT, &document, document.text.as_deref().unwrap()),
            document: codec::encode(&document).unwrap(),
            tier: "api".to_owned(),
            decision: Decision {
                eligible: vec!["api".to_owned()],
                excluded: Vec::new(),
                features: std::collections::BTreeMap::new(),
                score: 0.5,
                thresholds: std::collections::BTreeMap::new(),
                shadow_price: 0.0,
                chosen: "api".to_owned(),
                reason: "score".to_owned(),
                policy_digest: policy_digest.clone(),
                arm: String::new(),
            },
            trail: Vec::new(),
            policy_digest,
            purpose: Purpose::Production,
            priority: 0,
            deadline: None,
            replay: false,
            routed_at: now_ms(),
            evaluation: None,
        };
        let output = Output::to(topics::work("api")).key(document_id).value(codec::encode(&routed).unwrap());
        self.log().publish(vec![self.runtime.routing_keys.prove(output)]).await.unwrap();
    }

    /// Follows a topic from its beginning until `count` records were read.
    pub(crate) async fn records(&self, topic: &str, count: usize) -> Vec<Record> {
        let mut reader = self.log().reader(topic, ReadStart::Beginning).await.unwrap();
        let mut records = Vec::new();
        while records.len() < count {
            records.extend(reader.next(Duration::from_secs(1)).await.unwrap());
        }
        records
    }

    /// Every record of a topic.
    pub(crate) async fn all_records(&self, topic: &str) -> Vec<Record> {
        let mut reader = self.log().reader(topic, ReadStart::Beginning).await.unwrap();
        let mut records = Vec::new();
        loop {
            match reader.next(Duration::from_millis(50)).await.unwrap() {
                Some(record) => records.push(record),
                None if reader.caught_up() => return records,
                None => {}
            }
        }
    }

    /// The ledger's totals.
    pub(crate) async fn spend(&self) -> Spend {
        let mut spend = Spend::default();
        for record in self.all_records(topics::LEDGER).await {
            spend.read(&record).unwrap();
        }
        spend
    }

    /// Attempts and settlements, each in the order in which they were written.
    pub(crate) async fn ledger(&self) -> (Vec<LedgerAttempt>, Vec<LedgerSettlement>) {
        let (mut attempts, mut settlements) = (Vec::new(), Vec::new());
        for record in self.all_records(topics::LEDGER).await {
            let value = record.value.as_deref().unwrap();
            match record.headers.get_str(codec::SCHEMA_HEADER).and_then(|header| header.split('.').next()) {
                Some("ledger_attempt") => attempts.push(codec::decode(value).unwrap()),
                Some("ledger_settlement") => settlements.push(codec::decode(value).unwrap()),
                other => panic!("{other:?} in the ledger"),
            }
        }
        (attempts, settlements)
    }
}
