//! Scores and quality index of the outcomes that the router settles itself.

use precis_objects::keys;
use precis_schemas::{Document, Outcome, Scores, Status, codec};

use super::harness::*;

const LOCAL: &str = include_str!("../../../../../infra/policy/local.toml");
const SUMMARY: &str = "The bridge is repaired.";

/// The outcome of a document like one whose answer is kept with these scores.
async fn from_cache(scores: Option<&Scores>, document: &Document) -> Outcome {
    let deployment = Deployment::with(THREE_TIERS).await;
    let first = deployment.route(&super::harness::document()).await;
    let key = keys::accepted("acme", &first.request_fingerprint, &deployment.control.effective().cache_generation);
    let mut kept = answer(&first, SUMMARY);
    kept.scores = scores.copied();
    deployment.store.put_if_absent(&key, codec::encode(&kept).unwrap()).await.unwrap();
    outcome(&deployment.publish(document, 8).await.unwrap())
}

fn equal() -> Document {
    Document { document_id: "minutes-2".to_owned(), ..document() }
}

/// What was measured once is not measured again: these scores are no measurement of the summary.
#[tokio::test]
async fn a_cached_answer_keeps_the_scores_it_was_stored_with() {
    let stored = Scores { source_rouge1: Some(0.123), ..Scores::default() };
    let hit = from_cache(Some(&stored), &equal()).await;
    assert_eq!(hit.scores, Some(stored));
}

#[tokio::test]
async fn a_cached_answer_is_measured_against_the_documents_own_reference() {
    let stored = Scores { source_rouge1: Some(0.5), ..Scores::default() };
    let with = Document { reference: Some(SUMMARY.to_owned()), ..equal() };
    let scores = from_cache(Some(&stored), &with).await.scores.unwrap();
    assert!(scores.reference.unwrap().exact_match);
    assert_eq!(scores.source_rouge1, Some(0.5));
}

#[tokio::test]
async fn a_cached_answer_of_an_older_version_is_measured_now() {
    let hit = from_cache(None, &equal()).await;
    assert!(hit.scores.unwrap().source_rouge1.is_some());
    assert!(hit.quality_index.is_some());
}

#[tokio::test]
async fn a_flagged_answer_and_an_extract_have_figures() {
    let deployment = Deployment::with(&LOCAL.replace("\"extract\"", "\"flag\"")).await;
    let first = deployment.route(&document()).await;
    let trial = deployment.failed(&first, "Wrong once.", &["truncated"]).await;
    let flagged = outcome(&deployment.escalate(&first, trial).await);
    assert_eq!(flagged.status, Status::Flagged);
    assert!(flagged.quality_index.is_some() && flagged.scores.unwrap().length_ratio.is_some());

    let deployment = Deployment::with(LOCAL).await;
    let first = deployment.route(&document()).await;
    let trial = deployment.failed(&first, "Wrong once.", &["truncated"]).await;
    let extracted = outcome(&deployment.escalate(&first, trial).await);
    assert!(extracted.is_extract());
    assert_eq!(extracted.scores.unwrap().novelty1, Some(0.0), "every word is the document's");
    assert!(extracted.quality_index.unwrap() > 0.5);
}

#[tokio::test]
async fn a_failure_has_no_figures() {
    let deployment = Deployment::with(&LOCAL.replace("\"extract\"", "\"fail\"")).await;
    let first = deployment.route(&document()).await;
    let trial = deployment.failed(&first, "Wrong once.", &["truncated"]).await;
    let failed = outcome(&deployment.escalate(&first, trial).await);
    assert_eq!((failed.status, failed.scores, failed.quality_index), (Status::Failed, None, None));
}
