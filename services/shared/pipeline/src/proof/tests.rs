#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use precis_flow::Headers;
use precis_objects::DirectoryStore;
use precis_schemas::{Document, Origin, RoutedDocument, Sensitivity, codec};
use proptest::prelude::*;

use super::*;

fn keys(text: &str) -> RoutingKeys {
    RoutingKeys::read(text.as_bytes()).unwrap()
}

fn one() -> RoutingKeys {
    keys(&"11".repeat(32))
}

fn record(output: &Output) -> Record {
    Record {
        topic: output.topic.as_str().into(),
        partition: 0,
        offset: 0,
        timestamp_ms: 0,
        key: None,
        value: output.value.clone(),
        headers: output.headers.clone(),
    }
}

fn work(value: impl Into<Vec<u8>>) -> Record {
    record(&one().prove(Output::to("work.gpu").value(value)))
}

fn code(result: Result<(), PipelineError>) -> Option<&'static str> {
    result.err().map(|error| error.code())
}

#[test]
fn record_is_proved_to_whoever_has_the_key() {
    assert_eq!(code(one().check(&work("v"))), None);
    assert_eq!(code(keys(&"22".repeat(32)).check(&work("v"))), Some("unproved"));
}

/// The value is fixed, so that a proof of one version is understood by the next one, and by tests
/// in other languages.
#[test]
fn proof_of_a_record_is_this_one() {
    let proof = work("value").headers.get_str(PROOF_HEADER).unwrap().to_owned();
    assert_eq!(proof, "fbdaa5a11fe9ea791a125b2e2db9bf8e8f19b97491a4a4bd43d615b869a237f3");
}

#[test]
fn record_without_a_whole_proof_is_unproved() {
    let proved = work("v");
    let whole = proved.headers.get_str(PROOF_HEADER).unwrap().to_owned();
    let with = |headers: Headers| code(one().check(&Record { headers, ..proved.clone() }));
    assert_eq!(with(Headers::new()), Some("unproved"));
    let other = if whole.starts_with('0') { "1" } else { "0" };
    let mut changed = whole.clone();
    changed.replace_range(..1, other);
    for wrong in ["", "00", &whole[..63], &format!("{whole}0"), &format!(" {whole}"), &"+f".repeat(32), &changed] {
        assert_eq!(with(Headers::new().with(PROOF_HEADER, wrong)), Some("unproved"), "{wrong}");
    }
    assert_eq!(with(Headers::new().with(PROOF_HEADER, vec![0xFF; 64])), Some("unproved"));
    // Whoever forwards appends: the last one counts.
    assert_eq!(with(Headers::new().with(PROOF_HEADER, whole.clone()).with(PROOF_HEADER, "00")), Some("unproved"));
}

#[test]
fn record_of_one_tier_is_none_of_another() {
    let moved = Record { topic: "work.api".into(), ..work("v") };
    assert_eq!(code(one().check(&moved)), Some("unproved"));
    let split = Record { topic: "work.gp".into(), ..work("v") };
    assert_eq!(code(one().check(&Record { value: Some(b"uv".to_vec()), ..split })), Some("unproved"));
    let no_value = Record { value: None, ..work("") };
    assert_eq!(code(one().check(&no_value)), Some("unproved"));
}

#[test]
fn only_records_between_router_and_workers_are_proved() {
    for (topic, expected) in
        [("work.gpu", true), ("escalations", true), ("summaries", false), ("returns", false), ("documents.acme", false)]
    {
        let output = one().prove(Output::to(topic).value("v"));
        assert_eq!(output.headers.get(PROOF_HEADER).is_some(), expected, "{topic}");
    }
}

#[test]
fn unproved_records_are_accepted_only_where_that_is_set() {
    let bare = Record { headers: Headers::new(), ..work("v") };
    assert_eq!(code(one().accepting_unproved(true).check(&bare)), None);
    assert_eq!(code(one().accepting_unproved(false).check(&bare)), Some("unproved"));
    let wrong = Record { headers: Headers::new().with(PROOF_HEADER, "00"), ..bare };
    assert_eq!(code(one().accepting_unproved(true).check(&wrong)), Some("unproved"), "a wrong proof is never accepted");
}

#[test]
fn first_key_proves_and_each_is_accepted() {
    let (old, new) = ("11".repeat(32), "22".repeat(32));
    let both = keys(&format!("{new}\n{old}\n"));
    assert_eq!(code(both.check(&work("v"))), None, "work in flight when the key was replaced");
    let newer = record(&both.prove(Output::to("work.gpu").value("v")));
    assert_eq!((code(keys(&new).check(&newer)), code(keys(&old).check(&newer))), (None, Some("unproved")));
}

#[test]
fn object_that_holds_no_key_is_told_without_its_bytes() {
    let four = format!("{}\n", "ab".repeat(32)).repeat(4);
    for object in ["", "\n", "secret", &"zz".repeat(32), &"ab".repeat(33), &four] {
        let error = RoutingKeys::read(object.as_bytes()).unwrap_err();
        assert_eq!(error.code(), "routing_key_unusable", "{object}");
        assert!(!error.to_string().contains("secret") && !error.to_string().contains("abab"), "{error}");
    }
    assert_eq!(RoutingKeys::read(&[0xFF; 32]).unwrap_err().code(), "routing_key_unusable");
    let shown = format!("{:?}", one());
    assert!(!shown.contains("11111"), "{shown}");
}

#[tokio::test]
async fn services_that_start_at_once_share_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(DirectoryStore::open(folder.path(), 1_000).await.unwrap());
    let (one, other) = tokio::join!(RoutingKeys::open(&*store), RoutingKeys::open(&*store));
    let (one, other) = (one.unwrap(), other.unwrap());
    let proved = record(&one.prove(Output::to("work.gpu").value("v")));
    assert_eq!(code(other.check(&proved)), None);
    let later = RoutingKeys::open(&*store).await.unwrap();
    assert_eq!(code(later.check(&proved)), None);
    let elsewhere = tempfile::tempdir().unwrap();
    let elsewhere = DirectoryStore::open(elsewhere.path(), 1_000).await.unwrap();
    let stranger = RoutingKeys::open(&elsewhere).await.unwrap();
    assert_eq!(code(stranger.check(&proved)), Some("unproved"), "each deployment has a key of its own");
}

#[cfg(unix)]
#[tokio::test]
async fn key_file_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(folder.path(), 1_000).await.unwrap();
    RoutingKeys::open(&store).await.unwrap();
    let mode = std::fs::metadata(folder.path().join(keys::ROUTING)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

fn routed() -> (Document, RoutedDocument) {
    let document = Document {
        document_id: "contract-42".into(),
        revision: 3,
        sensitivity: Some(Sensitivity::Restricted),
        residency: Some("eu".into()),
        text: Some("text".into()),
        ..Document::default()
    };
    let routed = RoutedDocument {
        tenant: "acme".into(),
        document_id: document.document_id.clone(),
        revision: document.revision,
        origin: Origin { topic: "documents.acme".into(), partition: 1, offset: 7 },
        request_digest: "d".into(),
        request_fingerprint: "f".into(),
        document: codec::encode(&document).unwrap(),
        tier: "gpu".into(),
        ..empty()
    };
    (document, routed)
}

fn empty() -> RoutedDocument {
    RoutedDocument {
        tenant: String::new(),
        document_id: String::new(),
        revision: 0,
        origin: Origin { topic: String::new(), partition: 0, offset: 0 },
        request_digest: String::new(),
        request_fingerprint: String::new(),
        document: Vec::new(),
        tier: String::new(),
        decision: precis_schemas::Decision {
            eligible: Vec::new(),
            excluded: Vec::new(),
            features: std::collections::BTreeMap::new(),
            score: 0.5,
            thresholds: std::collections::BTreeMap::new(),
            shadow_price: 0.0,
            chosen: String::new(),
            reason: String::new(),
            policy_digest: String::new(),
            arm: String::new(),
        },
        trail: Vec::new(),
        policy_digest: String::new(),
        purpose: precis_schemas::Purpose::Production,
        priority: 0,
        deadline: None,
        replay: false,
        routed_at: 0,
        evaluation: None,
    }
}

/// Whatever an attacker would want to change of a routed document.
#[test]
fn no_field_of_a_routed_document_can_be_changed() {
    let (document, routed) = routed();
    let proved = work(codec::encode(&routed).unwrap());
    assert_eq!(code(one().check(&proved)), None);
    let relabelled = |document: Document| codec::encode(&document).unwrap();
    let public = Document { sensitivity: Some(Sensitivity::Public), ..document.clone() };
    let anywhere = Document { residency: None, ..document.clone() };
    let other_text = Document { text: Some("other".into()), ..document };
    let origin = |topic: &str, offset| Origin { topic: topic.into(), partition: 1, offset };
    let forged = [
        RoutedDocument { tenant: "other".into(), ..routed.clone() },
        RoutedDocument { document_id: "contract-43".into(), ..routed.clone() },
        RoutedDocument { revision: 4, ..routed.clone() },
        RoutedDocument { origin: origin("documents.acme", 8), ..routed.clone() },
        RoutedDocument { origin: origin("documents.other", 7), ..routed.clone() },
        RoutedDocument { request_digest: "e".into(), ..routed.clone() },
        RoutedDocument { request_fingerprint: "e".into(), ..routed.clone() },
        RoutedDocument { document: relabelled(public), ..routed.clone() },
        RoutedDocument { document: relabelled(anywhere), ..routed.clone() },
        RoutedDocument { document: relabelled(other_text), ..routed.clone() },
        RoutedDocument { tier: "api".into(), ..routed.clone() },
        RoutedDocument { policy_digest: "p".into(), ..routed.clone() },
        RoutedDocument { purpose: precis_schemas::Purpose::Evaluation, ..routed.clone() },
        RoutedDocument { deadline: Some(1), ..routed.clone() },
        RoutedDocument { replay: true, ..routed.clone() },
    ];
    for forged in forged {
        let value = Some(codec::encode(&forged).unwrap());
        assert_eq!(code(one().check(&Record { value, ..proved.clone() })), Some("unproved"), "{forged:?}");
    }
}

proptest! {
    #[test]
    fn any_other_value_or_topic_breaks_the_proof(
        value in prop::collection::vec(any::<u8>(), 0..64),
        other in prop::collection::vec(any::<u8>(), 0..64),
        tier in "[a-z0-9_-]{1,8}",
        other_tier in "[a-z0-9_-]{1,8}",
    ) {
        let proved = record(&one().prove(Output::to(topics::work(&tier)).value(value.clone())));
        prop_assert!(one().check(&proved).is_ok());
        let elsewhere = Record { topic: topics::work(&other_tier).into(), value: Some(other.clone()), ..proved };
        prop_assert_eq!(one().check(&elsewhere).is_ok(), (value, tier) == (other, other_tier));
    }
}
