use precis_flow::Record;
use precis_pipeline::topics;
use precis_schemas::{Document, Escalation, RoutedDocument, Sensitivity, Status, SwitchState, Usd, codec};

use super::harness::*;

/// A document that was routed to the gpu tier and may go to any tier.
async fn at_gpu(deployment: &Deployment) -> RoutedDocument {
    for index in 0..200 {
        let routed = deployment.route(&Document { document_id: format!("minutes-{index}"), ..document() }).await;
        if routed.tier == "gpu" {
            return routed;
        }
    }
    panic!("no document of 200 went to the gpu tier");
}

#[tokio::test]
async fn after_a_failed_answer_the_next_tier_gets_document_and_trail() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let first = at_gpu(&deployment).await;
    let trial = deployment.failed(&first, "Wrong.", &["unsupported_numbers"]).await;
    let second = routed(&deployment.escalate(&first, trial.clone()).await);
    assert_eq!((second.tier.as_str(), second.decision.reason.as_str()), ("mid", "escalation"));
    assert_eq!(second.trail, [trial]);
    assert_eq!(second.decision.excluded[0].reason, "tried");
    assert_eq!(second.decision.features, first.decision.features);
    assert_eq!((second.origin.clone(), second.document.clone()), (first.origin.clone(), first.document.clone()));
    assert_eq!(second.request_fingerprint, first.request_fingerprint);
}

#[tokio::test]
async fn after_two_hops_the_best_answer_is_published_as_flagged() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let first = at_gpu(&deployment).await;
    let trial = deployment.failed(&first, "Wrong twice.", &["truncated", "unsupported_names"]).await;
    let second = routed(&deployment.escalate(&first, trial).await);
    let trial = deployment.failed(&second, "Wrong once.", &["unsupported_names"]).await;
    let third = routed(&deployment.escalate(&second, trial).await);
    assert_eq!(third.tier, "premium");
    let trial = deployment.failed(&third, "Wrong again.", &["truncated", "language"]).await;
    let output = deployment.escalate(&third, trial).await;
    let flagged = outcome(&output);
    assert_eq!(flagged.status, Status::Flagged);
    assert_eq!(flagged.summary.as_deref(), Some("Wrong once."), "the one with the fewest failed checks");
    assert_eq!((flagged.tier.as_deref(), flagged.code.as_deref()), (Some("mid"), Some("unsupported_names")));
    assert_eq!(flagged.trail.len(), 3);
    assert_eq!(flagged.cost, Usd::from_nanos(2_000).unwrap(), "both paid answers are on the bill");
    assert_eq!(flagged.decision.unwrap().reason, "hops_exhausted");
    let stored = deployment.store.list("results/", 10).await.unwrap();
    assert_eq!(deployment.store.get(&stored[0].key).await.unwrap(), output.value);
}

#[tokio::test]
async fn among_equally_good_answers_the_strongest_tiers_is_published() {
    let deployment = Deployment::with(&THREE_TIERS.replace("max_hops = 2", "max_hops = 1")).await;
    let first = at_gpu(&deployment).await;
    let trial = deployment.failed(&first, "From the small one.", &["language"]).await;
    let second = routed(&deployment.escalate(&first, trial).await);
    let trial = deployment.failed(&second, "From the larger one.", &["truncated"]).await;
    let flagged = outcome(&deployment.escalate(&second, trial).await);
    assert_eq!(flagged.summary.as_deref(), Some("From the larger one."));
}

#[tokio::test]
async fn the_policy_may_publish_a_failure_instead() {
    let deployment = Deployment::with(&THREE_TIERS.replace("on_exhausted = \"flag\"", "on_exhausted = \"fail\"")).await;
    let restricted = Document { sensitivity: Some(Sensitivity::Restricted), ..document() };
    let first = deployment.route(&restricted).await;
    let trial = deployment.failed(&first, "Wrong.", &["repetition"]).await;
    let failed = outcome(&deployment.escalate(&first, trial).await);
    assert_eq!((failed.status, failed.code.as_deref()), (Status::Failed, Some("no_eligible_tier")));
    assert_eq!(failed.summary, None);
    let message = failed.message.unwrap();
    assert!(
        message.contains("gpu failed repetition") && message.contains("premium excluded (sensitivity)"),
        "{message}"
    );
}

/// A restricted document's failed answer is flagged, and the document is never sent out.
#[tokio::test]
async fn a_restricted_documents_failed_answer_is_flagged() {
    let deployment = Deployment::with(THREE_TIERS).await;
    for sensitivity in [Some(Sensitivity::Restricted), Some(Sensitivity::Confidential), None] {
        let document = Document { document_id: format!("{sensitivity:?}"), sensitivity, ..document() };
        let first = deployment.route(&document).await;
        let trial = deployment.failed(&first, "Wrong.", &["unsupported_names"]).await;
        let flagged = outcome(&deployment.escalate(&first, trial).await);
        assert_eq!((flagged.status, flagged.tier.as_deref()), (Status::Flagged, Some("gpu")));
    }
}

#[tokio::test]
async fn a_refusal_costs_no_hop_and_keeps_the_document_from_that_tier() {
    let deployment = Deployment::with(&THREE_TIERS.replace("max_hops = 2", "max_hops = 1")).await;
    let first = at_gpu(&deployment).await;
    let trial = deployment.failed(&first, "Wrong.", &["language"]).await;
    let second = routed(&deployment.escalate(&first, trial).await);
    assert_eq!(second.tier, "mid");
    let third = routed(&deployment.escalate(&second, refused(&second, "no_key")).await);
    assert_eq!((third.tier.as_str(), third.decision.reason.as_str()), ("premium", "refusal"));
    let reasons: Vec<_> = third.decision.excluded.iter().map(|exclusion| exclusion.reason.as_str()).collect();
    assert_eq!(reasons, ["tried", "refused"]);
    let trial = deployment.failed(&third, "Still wrong.", &["language"]).await;
    let flagged = outcome(&deployment.escalate(&third, trial).await);
    assert_eq!((flagged.status, flagged.trail.len()), (Status::Flagged, 3));
}

#[tokio::test]
async fn a_refusal_does_not_count_under_another_policy() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let first = deployment.route(&Document { sensitivity: None, ..document() }).await;
    deployment.apply(&format!("{THREE_TIERS}\n[limits]\nmax_summary_words = 500\n")).await;
    let again = routed(&deployment.escalate(&first, refused(&first, "engine_restarting")).await);
    assert_eq!(again.tier, "gpu");
    assert_eq!(again.policy_digest, deployment.control.effective().digest);
    assert_ne!(again.policy_digest, first.policy_digest);
}

#[tokio::test]
async fn refusals_alone_leave_nothing_to_flag() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let first = deployment.route(&Document { sensitivity: None, ..document() }).await;
    let failed = outcome(&deployment.escalate(&first, refused(&first, "tier_off")).await);
    assert_eq!((failed.status, failed.code.as_deref()), (Status::Failed, Some("no_eligible_tier")));
    assert_eq!(failed.message.as_deref().unwrap().matches("gpu").count(), 1);
}

#[tokio::test]
async fn an_answer_whose_object_is_gone_or_empty_is_not_published() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let first = deployment.route(&Document { sensitivity: None, ..document() }).await;
    let mut trial = deployment.failed(&first, "  ", &["empty"]).await;
    let failed = outcome(&deployment.escalate(&first, trial.clone()).await);
    assert_eq!((failed.status, failed.summary), (Status::Failed, None));

    let second = deployment.route(&Document { document_id: "gone".to_owned(), sensitivity: None, ..document() }).await;
    trial.answer_key = Some("cache/acme/aa/gone".to_owned());
    let failed = outcome(&deployment.escalate(&second, trial).await);
    assert_eq!(failed.status, Status::Failed);
}

#[tokio::test]
async fn an_answer_that_belongs_to_another_tenant_is_not_published() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let first = deployment.route(&Document { sensitivity: None, ..document() }).await;
    let mut trial = deployment.failed(&first, "A secret.", &["language"]).await;
    let own = trial.answer_key.take().unwrap();
    let theirs = own.replace("cache/acme/", "cache/other/");
    let bytes = deployment.store.get(&own).await.unwrap().unwrap();
    deployment.store.put_if_absent(&theirs, bytes).await.unwrap();
    trial.answer_key = Some(theirs);
    let failed = outcome(&deployment.escalate(&first, trial).await);
    assert_eq!((failed.status, failed.summary), (Status::Failed, None));
}

#[tokio::test]
async fn a_document_settled_meanwhile_is_not_escalated() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let first = at_gpu(&deployment).await;
    let trial = deployment.failed(&first, "Wrong.", &["language"]).await;
    let stored = deployment.settle(&first).await;
    assert_eq!(deployment.escalate(&first, trial).await.value, Some(stored));
}

/// A late document ends as the policy says: flagged with the best answer at hand, or failed.
#[tokio::test]
async fn a_late_document_ends_as_the_policy_says() {
    for (on_late, expected) in [("flag", Status::Flagged), ("fail", Status::Failed)] {
        let policy = THREE_TIERS.replace("on_late = \"run\"", &format!("on_late = \"{on_late}\""));
        let deployment = Deployment::with(&policy).await;
        let first = at_gpu(&deployment).await;
        let late = RoutedDocument { deadline: Some(1), ..first.clone() };
        let trial = deployment.failed(&late, "Wrong.", &["language"]).await;
        let ended = outcome(&deployment.escalate(&late, trial).await);
        assert_eq!((ended.status, ended.decision.unwrap().reason.as_str()), (expected, "deadline_passed"));
        assert!(ended.message.unwrap().starts_with("the deadline passed: gpu failed language"));
        // A worker's finding that a document is late counts, whatever the clock of this machine
        // says.
        let other = deployment.route(&Document { document_id: "other".to_owned(), ..document() }).await;
        let ended = outcome(&deployment.escalate(&other, refused(&other, "deadline_passed")).await);
        assert_eq!(
            (ended.status, ended.code.as_deref()),
            (Status::Failed, Some("deadline_passed")),
            "no answer to flag"
        );
    }
}

#[tokio::test]
async fn a_late_document_is_run_where_the_policy_says_so() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let first = at_gpu(&deployment).await;
    let late = RoutedDocument { deadline: Some(1), ..first };
    let trial = deployment.failed(&late, "Wrong.", &["language"]).await;
    assert_eq!(routed(&deployment.escalate(&late, trial).await).tier, "mid");
}

#[tokio::test]
async fn a_switched_off_tier_is_passed_over_in_an_escalation() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let first = at_gpu(&deployment).await;
    deployment.switch("mid", SwitchState::Off).await;
    let trial = deployment.failed(&first, "Wrong.", &["language"]).await;
    assert_eq!(routed(&deployment.escalate(&first, trial).await).tier, "premium");
}

#[tokio::test]
async fn an_escalation_that_cannot_be_read_leaves_only_a_dead_letter() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let found = deployment.deliver(deployment.proved(b"torn".to_vec(), 1)).await.unwrap_err();
    assert_eq!(found, ("not_single_object", Vec::new()));
}

/// An answer of megabytes, which an older version stored whole, is published as far as it fits.
#[tokio::test]
async fn a_stored_answer_of_megabytes_is_flagged_and_cut() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let restricted = Document { sensitivity: None, ..document() };
    let first = deployment.route(&restricted).await;
    let trial = deployment.failed(&first, &"wrong ".repeat(600_000), &["truncated"]).await;
    let output = deployment.escalate(&first, trial).await;
    assert!(output.size_bytes() <= precis_flow::MAX_OUTPUT_BYTES, "{} bytes", output.size_bytes());
    let flagged = outcome(&output);
    assert_eq!((flagged.status, flagged.finish_reason.as_deref()), (Status::Flagged, Some("length")));
    assert!(flagged.summary.is_some_and(|summary| summary.starts_with("wrong wrong")));
}

/// Refusals under many policies in a row: the newest are kept, and no trial whose answer failed is
/// forgotten, since those are its hops.
#[tokio::test]
async fn a_trail_keeps_its_hops_and_forgets_old_refusals() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let mut work = at_gpu(&deployment).await;
    work.trail.push(deployment.failed(&work, "Wrong.", &["language"]).await);
    work.tier = "mid".to_owned();
    work.policy_digest = "another".to_owned();
    work.trail.extend(std::iter::repeat_n(refused(&work, "tier_off"), 500));
    let next = routed(&deployment.escalate(&work, refused(&work, "tier_off")).await);
    assert_eq!(next.trail.len(), 128);
    assert_eq!(next.trail[0].failed_checks, ["language"]);
}

/// Whoever may write to a topic of work may write any name: no stage goes on with it.
#[tokio::test]
async fn work_of_no_possible_identity_ends_as_a_dead_letter() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let work = at_gpu(&deployment).await;
    for (forged, code) in [
        (RoutedDocument { document_id: "x".repeat(513), ..work.clone() }, "document_id_invalid"),
        (RoutedDocument { document_id: String::new(), ..work.clone() }, "document_id_invalid"),
        (RoutedDocument { tenant: "t".repeat(1_000_000), ..work.clone() }, "tenant_invalid"),
    ] {
        let trial = refused(&work, "tier_off");
        let escalation = Escalation { routed: codec::encode(&forged).unwrap(), trial };
        let ended = deployment.deliver(deployment.proved(codec::encode(&escalation).unwrap(), 3)).await;
        assert_eq!(ended.unwrap_err(), (code, Vec::new()));
    }
}

/// Whoever may write to `escalations` cannot have a restricted document sent to a provider, settle
/// in a tenant's name, or reach a document's next tier: nothing of it is believed without a proof.
#[tokio::test]
async fn escalation_without_proof_leaves_only_a_dead_letter() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let restricted = deployment.route(&Document { sensitivity: None, ..document() }).await;
    let public = codec::encode(&document()).unwrap();
    let relabelled = RoutedDocument { document: public, ..restricted.clone() };
    let trial = deployment.failed(&restricted, "Wrong.", &["language"]).await;
    let escalation = Escalation { routed: codec::encode(&relabelled).unwrap(), trial };
    let forged = codec::encode(&escalation).unwrap();
    let bare = record(topics::ESCALATIONS, forged.clone(), 4);
    assert_eq!(deployment.deliver(bare).await.unwrap_err(), ("unproved", Vec::new()));
    // Another record's proof shows nothing of this one.
    let proved = deployment.proved(b"another".to_vec(), 4);
    let borrowed = Record { value: Some(forged), ..proved };
    assert_eq!(deployment.deliver(borrowed).await.unwrap_err(), ("unproved", Vec::new()));
    assert_eq!(deployment.result(&document()).await, None);
}
