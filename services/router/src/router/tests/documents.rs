use std::collections::BTreeSet;
use std::sync::Arc;

use precis_flow::{Delivery, ORIGIN_HEADER, Processor, Scope, StageError};
use precis_objects::{claim_check, keys};
use precis_pipeline::settle::VALID_TIMESTAMPS;
use precis_pipeline::topics;
use precis_schemas::{
    BodyReference, CacheLayer, Document, Outcome, Purpose, Sensitivity, Status, SwitchState, Usd, codec,
};

use tokio_util::sync::CancellationToken;

use super::harness::*;

/// The code of a rejected document, and the failed outcome that it leaves.
async fn failure(deployment: &Deployment, document: &Document) -> (&'static str, Option<Outcome>) {
    let (code, outputs) = deployment.publish(document, 7).await.unwrap_err();
    assert!(outputs.len() <= 1);
    (code, outputs.first().map(outcome))
}

#[tokio::test]
async fn a_document_goes_to_a_tier_with_all_that_is_known_of_it() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let document = Document { priority: 3, deadline: Some(99), ..document() };
    let output = deployment.publish(&document, 7).await.unwrap();
    let routed = routed(&output);
    assert_eq!((routed.tenant.as_str(), routed.document_id.as_str(), routed.revision), ("acme", "minutes-1", 0));
    assert_eq!((routed.origin.topic.as_str(), routed.origin.partition, routed.origin.offset), ("documents.acme", 0, 7));
    assert_eq!(routed.document, codec::encode(&document).unwrap(), "the publisher's record is untouched");
    assert_eq!((routed.priority, routed.deadline), (3, Some(99)));
    assert_eq!(output.key.as_deref(), Some(routed.request_fingerprint.as_bytes()), "equal requests share a key queue");
    let decision = &routed.decision;
    assert_eq!(decision.eligible, ["gpu", "mid", "premium"]);
    assert_eq!(decision.chosen, routed.tier);
    assert_eq!(decision.reason, "score");
    assert_eq!(decision.policy_digest, deployment.control.effective().digest);
    assert!(decision.score > 0.0 && decision.score < 1.0);
    assert_eq!(decision.thresholds.len(), 3);
    assert!(decision.features.contains_key("length") && decision.features.contains_key("rank"));
}

/// A redelivered document gets its stored outcome; a repeat gets it with the repeat header.
#[tokio::test]
async fn a_redelivered_document_gets_its_stored_outcome() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let stored = {
        let routed = deployment.route(&document()).await;
        deployment.settle(&routed).await
    };
    let redelivered = deployment.publish(&document(), 7).await.unwrap();
    assert_eq!(redelivered.value.as_deref(), Some(stored.as_slice()));
    assert!(!is_repeat(&redelivered));
    let later = Document { submitted_at: 2, deadline: Some(9), priority: 1, ..document() };
    let repeated = deployment.publish(&later, 8).await.unwrap();
    assert_eq!(repeated.value.as_deref(), Some(stored.as_slice()));
    assert!(is_repeat(&repeated));
}

/// A copy that is tried again has the tenant and the origin of the publisher's record.
#[tokio::test]
async fn returned_document_keeps_its_tenant_and_origin() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let mut copy = record(topics::RETURNS, codec::encode(&document()).unwrap(), 20);
    copy.headers.push(ORIGIN_HEADER, "documents.other/2/7");
    let routed = routed(&deployment.deliver(copy.clone()).await.unwrap());
    assert_eq!((routed.tenant.as_str(), routed.origin.topic.as_str()), ("other", "documents.other"));
    assert_eq!((routed.origin.partition, routed.origin.offset), (2, 7));
    for none in ["", "returns/0/20", "work.gpu/0/1", "documents.Acme/0/1", "documents./0/1", "documents.acme"] {
        copy.headers.set(ORIGIN_HEADER, none);
        assert_eq!(deployment.deliver(copy.clone()).await.unwrap_err(), ("tenant_invalid", Vec::new()), "{none}");
    }
}

/// The same document again and again under the origin of the first one: each is a repeat, whatever
/// it says. Mirrors of a topic keep headers, too.
#[tokio::test]
async fn origin_that_a_publisher_claims_hides_no_repeat() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let first = deployment.route(&document()).await;
    deployment.settle(&first).await;
    for offset in 8..11 {
        let mut forged = record("documents.acme", codec::encode(&document()).unwrap(), offset);
        forged.headers.push(ORIGIN_HEADER, "documents.acme/0/7");
        assert!(is_repeat(&deployment.deliver(forged).await.unwrap()), "{offset}");
    }
}

/// Another request under a settled identity is a conflict; one of a higher revision is not.
#[tokio::test]
async fn another_request_under_a_settled_identity_is_a_conflict() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let settled = deployment.route(&document()).await;
    let stored = deployment.settle(&settled).await;
    let changed = Document { text: Some("Something else.".to_owned()), ..document() };
    let (code, outputs) = deployment.publish(&changed, 8).await.unwrap_err();
    assert_eq!((code, outputs.len()), ("id_conflict", 0));
    assert_eq!(deployment.result(&document()).await, Some(stored), "the result of the first request stands");
    let higher = Document { revision: 1, ..changed };
    assert_eq!(routed(&deployment.publish(&higher, 9).await.unwrap()).revision, 1);
}

#[tokio::test]
async fn a_settled_outcome_is_looked_up_before_any_rule_applies() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let stored = {
        let routed = deployment.route(&document()).await;
        deployment.settle(&routed).await
    };
    // Under this policy the same document would be refused, and no tier could take it.
    deployment.apply(&format!("{THREE_TIERS}\n[limits]\nmax_text_bytes = 10\n")).await;
    deployment.switch("gpu", SwitchState::Off).await;
    assert_eq!(deployment.publish(&document(), 7).await.unwrap().value, Some(stored));
}

#[tokio::test]
async fn a_record_without_owner_or_identity_leaves_only_a_dead_letter() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let bytes = codec::encode(&document()).unwrap();
    let mut unknown_schema = bytes.clone();
    unknown_schema[5] ^= 0xFF;
    let id = |id: String| codec::encode(&Document { document_id: id, ..document() }).unwrap();
    let theirs = codec::encode(&Document { tenant: Some("other".to_owned()), ..document() }).unwrap();
    for (topic, value, expected) in [
        ("documents.acme", b"{\"document_id\": 1}".to_vec(), "not_single_object"),
        ("documents.acme", unknown_schema, "unknown_schema"),
        ("documents.acme", bytes[..20].to_vec(), "malformed_record"),
        ("documents.acme", theirs, "tenant_mismatch"),
        ("documents.acme", id(String::new()), "document_id_invalid"),
        ("documents.acme", id("x".repeat(513)), "document_id_invalid"),
        ("documents.acme", id("a\nb".to_owned()), "document_id_invalid"),
        ("documents.Acme!", bytes.clone(), "tenant_invalid"),
        ("documents.acme", vec![0; 1024 * 1024 + 1], "record_too_large"),
    ] {
        assert_eq!(deployment.deliver(record(topic, value, 1)).await.unwrap_err(), (expected, Vec::new()));
    }
    let mut empty = record("documents.acme", bytes, 1);
    empty.value = None;
    assert_eq!(deployment.deliver(empty).await.unwrap_err(), ("empty_record", Vec::new()));
    assert_eq!(deployment.store.list("results/", 10).await.unwrap().len(), 0);
    let named = Document { tenant: Some("acme".to_owned()), ..document() };
    assert!(deployment.publish(&named, 1).await.is_ok(), "naming the own tenant is allowed");
}

#[tokio::test]
async fn a_request_that_cannot_be_served_fails_and_says_why() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let text = |text: &str| Document { text: Some(text.to_owned()), ..document() };
    let requests = [
        (Document { purpose: Purpose::Shadow, ..document() }, "purpose_not_allowed"),
        (Document { revision: -1, ..document() }, "revision_negative"),
        (Document { content_type: "application/pdf".to_owned(), ..document() }, "content_type_unsupported"),
        (Document { text: None, ..document() }, "body_missing"),
        (Document { submitted_at: i64::MAX, ..document() }, "time_out_of_range"),
        (Document { submitted_at: i64::MIN, ..document() }, "time_out_of_range"),
        (Document { deadline: Some(253_402_300_800_000), ..document() }, "time_out_of_range"),
        (Document { max_words: Some(0), ..document() }, "max_words_out_of_range"),
        (text(" \n…"), "text_empty"),
        (text("PK\u{3}\u{4}"), "control_characters"),
    ];
    for (index, (request, expected)) in requests.into_iter().enumerate() {
        let request = Document { document_id: format!("d{index}"), ..request };
        let (code, failed) = failure(&deployment, &request).await;
        let failed = failed.unwrap();
        assert_eq!(code, expected);
        assert_eq!((failed.status, failed.code.as_deref(), failed.summary), (Status::Failed, Some(expected), None));
        assert!(failed.message.is_some_and(|message| !message.is_empty()));
        assert!(VALID_TIMESTAMPS.contains(&failed.submitted_at), "readers' calendars end");
        assert!(deployment.result(&request).await.is_some(), "{expected}");
    }
}

#[tokio::test]
async fn the_failed_outcome_of_a_request_is_found_by_its_redelivery() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let request = Document { max_words: Some(0), ..document() };
    let (_, outputs) = deployment.publish(&request, 7).await.unwrap_err();
    let redelivered = deployment.publish(&request, 7).await.unwrap();
    assert_eq!(redelivered.value, outputs[0].value);
}

#[tokio::test]
async fn a_body_by_reference_is_fetched_and_verified() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let body =
        claim_check::put_body(&*deployment.store, "acme", "minutes-1", 0, TEXT.as_bytes().to_vec()).await.unwrap();
    let by_reference = Document { text: None, body: Some(body.clone()), ..document() };
    let inline = deployment.route(&document()).await;
    let fetched = deployment.route(&Document { document_id: "minutes-2".to_owned(), ..by_reference.clone() }).await;
    assert_eq!(
        fetched.request_fingerprint, inline.request_fingerprint,
        "a text by reference and an inline text make equal requests"
    );

    let broken = |sha256: String, key: String| Document {
        body: Some(BodyReference { key, sha256, ..body.clone() }),
        ..by_reference.clone()
    };
    let wrong = broken("0".repeat(64), body.key.clone());
    assert_eq!(failure(&deployment, &wrong).await.0, "body_digest_mismatch");
    let gone = broken(body.sha256.clone(), keys::body("acme", "gone", 0, &body.sha256));
    assert_eq!(failure(&deployment, &Document { document_id: "gone".to_owned(), ..gone }).await.0, "body_missing");
    let large = Document {
        document_id: "large".to_owned(),
        body: Some(BodyReference { size_bytes: i64::MAX, ..body.clone() }),
        ..by_reference.clone()
    };
    assert_eq!(failure(&deployment, &large).await.0, "text_too_large");
    let negative = Document {
        document_id: "negative".to_owned(),
        body: Some(BodyReference { size_bytes: -1, ..body.clone() }),
        ..by_reference.clone()
    };
    assert_eq!(failure(&deployment, &negative).await.0, "body_reference_invalid");
}

#[tokio::test]
async fn an_equal_request_of_the_tenant_is_answered_from_the_cache() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let first = deployment.route(&document()).await;
    let generation = deployment.control.effective().cache_generation;
    let key = keys::accepted("acme", &first.request_fingerprint, &generation);
    let kept = answer(&first, "The bridge is repaired.");
    deployment.store.put_if_absent(&key, codec::encode(&kept).unwrap()).await.unwrap();

    let equal = Document { document_id: "minutes-2".to_owned(), ..document() };
    let output = deployment.publish(&equal, 8).await.unwrap();
    let hit = outcome(&output);
    assert_eq!((hit.status, hit.cache), (Status::Answered, CacheLayer::Exact));
    assert_eq!(hit.summary.as_deref(), Some("The bridge is repaired."));
    assert_eq!((hit.cost, hit.generation_ms), (Usd::ZERO, 0));
    assert_eq!(hit.tier.as_deref(), Some("gpu"));
    assert_eq!(hit.answer_key.as_deref(), Some(key.as_str()));
    assert_eq!(deployment.result(&equal).await, output.value, "the outcome is settled like any other");

    let value = codec::encode(&equal).unwrap();
    let theirs = deployment.deliver(record("documents.other", value, 1)).await.unwrap();
    assert_eq!(routed(&theirs).tenant, "other", "never across tenants");
    let longer = Document { document_id: "minutes-3".to_owned(), max_words: Some(50), ..document() };
    routed(&deployment.publish(&longer, 9).await.unwrap());
}

#[tokio::test]
async fn an_unreadable_or_disabled_cache_entry_is_not_served() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let first = deployment.route(&document()).await;
    let generation = deployment.control.effective().cache_generation;
    let key = keys::accepted("acme", &first.request_fingerprint, &generation);
    deployment.store.put_if_absent(&key, b"torn".to_vec()).await.unwrap();
    deployment.route(&Document { document_id: "minutes-2".to_owned(), ..document() }).await;

    deployment.apply(&THREE_TIERS.replace("exact = true", "exact = false")).await;
    let generation = deployment.control.effective().cache_generation;
    let key = keys::accepted("acme", &first.request_fingerprint, &generation);
    let kept = answer(&first, "The bridge is repaired.");
    deployment.store.put_if_absent(&key, codec::encode(&kept).unwrap()).await.unwrap();
    deployment.route(&Document { document_id: "minutes-3".to_owned(), ..document() }).await;
}

#[tokio::test]
async fn a_restricted_or_unlabelled_document_stays_internal() {
    let deployment = Deployment::with(THREE_TIERS).await;
    for (index, sensitivity) in [Some(Sensitivity::Restricted), None].into_iter().cycle().take(40).enumerate() {
        let document = Document { document_id: format!("d{index}"), sensitivity, ..document() };
        let routed = deployment.route(&document).await;
        assert_eq!((routed.tier.as_str(), routed.decision.eligible.as_slice()), ("gpu", &["gpu".to_owned()][..]));
        assert!(routed.decision.excluded.iter().all(|exclusion| exclusion.reason == "sensitivity"));
    }
}

#[tokio::test]
async fn without_an_eligible_tier_the_failure_names_every_reason() {
    let deployment = Deployment::with(THREE_TIERS).await;
    deployment.switch("gpu", SwitchState::Off).await;
    let document = Document { sensitivity: None, ..document() };
    let failed = outcome(&deployment.publish(&document, 7).await.unwrap());
    assert_eq!((failed.status, failed.code.as_deref()), (Status::Failed, Some("no_eligible_tier")));
    let message = failed.message.unwrap();
    assert!(message.contains("gpu excluded (tier_off)") && message.contains("mid excluded (sensitivity)"), "{message}");
    let decision = failed.decision.unwrap();
    assert_eq!((decision.chosen.as_str(), decision.excluded.len()), ("", 3));
}

#[tokio::test]
async fn a_late_document_is_served_from_the_cache_or_fails() {
    let deployment = Deployment::with(&THREE_TIERS.replace("on_late = \"run\"", "on_late = \"fail\"")).await;
    let late = Document { deadline: Some(1), ..document() };
    let failed = outcome(&deployment.publish(&late, 7).await.unwrap());
    assert_eq!((failed.status, failed.code.as_deref()), (Status::Failed, Some("deadline_passed")));
    let in_time = deployment
        .route(&Document { document_id: "b".to_owned(), deadline: Some(253_000_000_000_000), ..document() })
        .await;
    let key = keys::accepted("acme", &in_time.request_fingerprint, &deployment.control.effective().cache_generation);
    deployment.store.put_if_absent(&key, codec::encode(&answer(&in_time, "Repaired.")).unwrap()).await.unwrap();
    let hit = outcome(&deployment.publish(&Document { document_id: "c".to_owned(), ..late }, 8).await.unwrap());
    assert_eq!((hit.status, hit.cache), (Status::Answered, CacheLayer::Exact));
}

#[tokio::test]
async fn the_next_cheaper_tier_takes_over_from_one_switched_off() {
    let deployment = Deployment::with(THREE_TIERS).await;
    deployment.switch("mid", SwitchState::Off).await;
    deployment.switch("premium", SwitchState::Drain).await;
    for index in 0..40 {
        let routed = deployment.route(&Document { document_id: format!("d{index}"), ..document() }).await;
        assert_eq!(routed.tier, "gpu");
    }
    deployment.switch("premium", SwitchState::On).await;
    let mut tiers = BTreeSet::new();
    for index in 40..120 {
        tiers.insert(deployment.route(&Document { document_id: format!("d{index}"), ..document() }).await.tier);
    }
    assert_eq!(tiers.into_iter().collect::<Vec<_>>(), ["gpu", "premium"]);
}

#[tokio::test]
async fn an_unavailable_store_is_waited_for_and_costs_no_document() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let router = deployment.router_on(Arc::new(UnavailableStore));
    let value = codec::encode(&document()).unwrap();
    let delivery = Delivery::new(record("documents.acme", value, 1), CancellationToken::new());
    let error = router.process(&delivery).await.unwrap_err();
    assert!(matches!(error, StageError::Retry { scope: Scope::Dependency, .. }), "{error:?}");
}

/// A document that is refused leaves its identity, its times and the code in the outcome: the rest
/// was never checked.
#[tokio::test]
async fn a_refused_document_leaves_nothing_unchecked_in_its_outcome() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let hostile = Document {
        subject_ids: vec!["x".repeat(300); 2_000],
        document_type: "t".repeat(100_000),
        language: Some("l".repeat(100_000)),
        output_language: Some("o".repeat(100_000)),
        critical: true,
        ..document()
    };
    let (code, outputs) = deployment.publish(&hostile, 7).await.unwrap_err();
    assert_eq!(code, "too_many_subjects");
    let failed = outcome(&outputs[0]);
    assert_eq!((failed.subject_ids.len(), failed.document_type.as_str(), failed.language), (0, "", None));
    assert_eq!((failed.document_id.as_str(), failed.submitted_at), ("minutes-1", 1));
    assert!(outputs[0].size_bytes() < 2_000, "{} bytes", outputs[0].size_bytes());
}

/// A million empty subjects in one record: refused before any of them is made.
#[tokio::test]
async fn a_record_of_a_million_subjects_is_malformed() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let hostile = Document { text: None, subject_ids: vec![String::new(); 1_000_000], ..document() };
    let (code, outputs) = deployment.publish(&hostile, 7).await.unwrap_err();
    assert_eq!((code, outputs.len()), ("malformed_record", 0));
}
