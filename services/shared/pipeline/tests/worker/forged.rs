//! Work that somebody else wrote, or that says of its document what the document does not say:
//! nothing is sent, stored or settled for it.

use precis_flow::Headers;
use precis_pipeline::proof::PROOF_HEADER;

use super::*;

/// What an attacker could do with work: its rejection, whether a model was asked, and every object
/// that is there afterwards but for the deployment's own keys.
async fn rejected(bench: &Bench, tier: &str, delivery: &Delivery) -> (&'static str, usize, Vec<String>) {
    let worker = bench.worker(tier, GOOD);
    let Err(StageError::Reject(rejection)) = worker.process(delivery).await else { panic!("not rejected") };
    let left = worker.rejected(delivery, &rejection).await.unwrap();
    assert!(left.is_empty(), "an outcome in somebody's name: {left:?}");
    let objects = bench.store.list("", 100).await.unwrap().into_iter().map(|object| object.key);
    (rejection.code, bench.calls(), objects.filter(|key| key != keys::ROUTING).collect())
}

fn routed_of(delivery: &Delivery) -> RoutedDocument {
    codec::decode(delivery.record.value.as_deref().unwrap()).unwrap()
}

/// A restricted document with the label of a public one, at a tier of a provider.
#[tokio::test]
async fn relabelled_work_is_unproved_and_sent_nowhere() {
    let bench = Bench::new(MIX).await;
    let restricted = Document { sensitivity: Some(Sensitivity::Restricted), ..document("a") };
    let proved = bench.routed(&restricted, "mid", 7);
    let public = codec::encode(&document("a")).unwrap();
    let forged = codec::encode(&RoutedDocument { document: public, ..routed_of(&proved) }).unwrap();
    let mut delivery = proved;
    delivery.record.value = Some(forged);
    assert_eq!(rejected(&bench, "mid", &delivery).await, ("unproved", 0, Vec::new()));
}

#[tokio::test]
async fn work_without_proof_settles_nothing_in_a_tenants_name() {
    let bench = Bench::new(LOCAL).await;
    let mut delivery = bench.routed(&document("a"), "gpu", 7);
    delivery.record.headers = Headers::new();
    assert_eq!(rejected(&bench, "gpu", &delivery).await, ("unproved", 0, Vec::new()));
    delivery.record.headers = Headers::new().with(PROOF_HEADER, "00".repeat(32));
    assert_eq!(rejected(&bench, "gpu", &delivery).await, ("unproved", 0, Vec::new()));
    // Also where the stage rejects it for a reason of its own.
    let suspect = Rejection::new("crash_suspect", "");
    assert!(bench.worker("gpu", GOOD).rejected(&delivery, &suspect).await.unwrap().is_empty());
}

#[tokio::test]
async fn work_of_another_tier_is_unproved_here() {
    let bench = Bench::new(MIX).await;
    let mut delivery = bench.routed(&document("a"), "gpu", 7);
    delivery.record.topic = topics::work("mid").into();
    assert_eq!(rejected(&bench, "mid", &delivery).await, ("unproved", 0, Vec::new()));
}

/// Whoever holds the key, or comes in while unproved work is accepted, cannot answer one request
/// under the fingerprint of another.
#[tokio::test]
async fn work_of_another_request_touches_no_cache() {
    let bench = Bench::new(LOCAL).await;
    let routed = routed_of(&bench.routed(&document("a"), "gpu", 7));
    let other = Document { text: Some(format!("{TEXT} And more.")), ..document("b") };
    let victim = identity::request_fingerprint("acme", &other, other.text.as_deref().unwrap());
    for forged in [
        RoutedDocument { request_fingerprint: victim, ..routed.clone() },
        RoutedDocument { request_digest: identity::request_digest(&other), ..routed.clone() },
        RoutedDocument { document_id: "b".into(), ..routed.clone() },
        RoutedDocument { revision: 1, ..routed.clone() },
        RoutedDocument { tenant: "other".into(), ..routed.clone() },
    ] {
        let rejected = rejected(&bench, "gpu", &bench.deliver(&forged)).await;
        assert_eq!(rejected, ("request_mismatch", 0, Vec::new()), "{forged:?}");
    }
    let names_another = Document { tenant: Some("other".into()), ..document("a") };
    let forged = bench.routed(&names_another, "gpu", 7);
    assert_eq!(rejected(&bench, "gpu", &forged).await.0, "request_mismatch");
    assert_eq!(outcome(&bench.worker("gpu", GOOD).process(&bench.deliver(&routed)).await.unwrap()[0]).code, None);
}

/// What a worker gives back is proved anew: the router takes it, and nobody can change a trial.
#[tokio::test]
async fn escalation_of_a_worker_carries_its_own_proof() {
    let bench = Bench::new(LOCAL).await;
    let output = bench.worker("gpu", BAD).process(&bench.routed(&document("a"), "gpu", 7)).await.unwrap().remove(0);
    let (topic, value, headers) = (output.topic.as_str().into(), output.value, output.headers);
    let record = Record { topic, partition: 0, offset: 0, timestamp_ms: 0, key: None, value, headers };
    assert!(bench.keys.check(&record).is_ok());
    let mut escalation: Escalation = codec::decode(record.value.as_deref().unwrap()).unwrap();
    escalation.trial.result = TrialResult::Refused;
    let forged = Record { value: Some(codec::encode(&escalation).unwrap()), ..record };
    assert_eq!(bench.keys.check(&forged).unwrap_err().code(), "unproved");
}
