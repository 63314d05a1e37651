//! Requests to judge a summary: which tier gets them, and how they end where none may.

use precis_flow::{Delivery, Processor, Rejection};
use precis_pipeline::topics;
use precis_schemas::{Document, Evaluation, EvaluationStatus, RoutedDocument, Sensitivity, Trial, TrialResult, codec};
use tokio_util::sync::CancellationToken;

use super::harness::*;

/// The three tiers, of which these judge every summary once.
fn judged_by(judges: &str) -> String {
    format!("{THREE_TIERS}\n[evaluation]\njudges = [{judges}]\nrate = 1.0\nsecond_opinions = 0.0")
}

fn public() -> Document {
    Document { sensitivity: Some(Sensitivity::Public), ..document() }
}

/// The request that comes with the outcome of a document whose only allowed tier failed.
async fn request(deployment: &Deployment, document: &Document) -> RoutedDocument {
    let mut next = deployment.route(document).await;
    loop {
        let trial = deployment.failed(&next, "The committee will repair the bridge.", &["repetition"]).await;
        let escalation = precis_schemas::Escalation { routed: codec::encode(&next).unwrap(), trial };
        let record = deployment.proved(codec::encode(&escalation).unwrap(), 3);
        let outputs = deployment.router.process(&Delivery::new(record, CancellationToken::new())).await.unwrap();
        match outputs.as_slice() {
            [work] => next = routed(work),
            [_, request] => {
                assert_eq!(request.topic, topics::ESCALATIONS);
                return codec::decode(request.value.as_deref().unwrap()).unwrap();
            }
            _ => panic!("{} outputs", outputs.len()),
        }
    }
}

async fn ask(deployment: &Deployment, routed: &RoutedDocument) -> precis_flow::Output {
    deployment.deliver(deployment.proved(codec::encode(routed).unwrap(), 4)).await.unwrap()
}

fn refused(by: &RoutedDocument, code: &str) -> Trial {
    Trial {
        tier: by.tier.clone(),
        result: TrialResult::Refused,
        code: code.into(),
        answer_key: None,
        failed_checks: Vec::new(),
        policy_digest: by.policy_digest.clone(),
        at: 5,
    }
}

fn evaluation(output: &precis_flow::Output) -> Evaluation {
    assert_eq!(output.topic, topics::EVALUATIONS);
    codec::decode(output.value.as_deref().unwrap()).unwrap()
}

/// What the router itself publishes, flagged here, is chosen like what a worker does.
#[tokio::test]
async fn a_summary_to_judge_goes_to_the_first_judge_and_then_to_the_next() {
    let deployment = Deployment::with(&judged_by("\"premium\", \"gpu\"")).await;
    let request = request(&deployment, &public()).await;
    assert_eq!((request.tier.as_str(), request.trail.len()), ("", 0));
    // The stored answers of these tests are by a model of no provider of the policy.
    let first = routed(&ask(&deployment, &request).await);
    assert_eq!((first.tier.as_str(), first.decision.reason.as_str()), ("premium", "evaluation"));
    assert_eq!((&first.document, &first.evaluation), (&request.document, &request.evaluation));
    let second = routed(&deployment.escalate(&first, refused(&first, "out_of_money")).await);
    assert_eq!((second.tier.as_str(), second.trail.len()), ("gpu", 1));
    let end = evaluation(&deployment.escalate(&second, refused(&second, "prompt_too_long")).await);
    assert_eq!((end.status, end.code.as_deref()), (EvaluationStatus::Failed, Some("no_judge")));
    let message = end.message.unwrap();
    assert!(message.contains("premium refused (out_of_money); gpu refused (prompt_too_long)"), "{message}");
    assert_eq!(end.summary_sha256.len(), 64, "what was not judged is named all the same");
}

#[tokio::test]
async fn a_restricted_document_is_judged_by_ones_own_tier_or_not_at_all() {
    let restricted = Document { sensitivity: Some(Sensitivity::Restricted), ..document() };
    let both = Deployment::with(&judged_by("\"premium\", \"gpu\"")).await;
    let inside = request(&both, &restricted).await;
    assert_eq!(routed(&ask(&both, &inside).await).tier, "gpu");
    let outside = Deployment::with(&judged_by("\"premium\"")).await;
    let nobody = request(&outside, &restricted).await;
    let end = evaluation(&ask(&outside, &nobody).await);
    assert_eq!(end.code.as_deref(), Some("no_judge"));
    assert!(end.message.unwrap().contains("premium excluded (sensitivity)"));
    // Delivered again, it ends as it ended.
    let again = evaluation(&ask(&outside, &nobody).await);
    assert_eq!(again.settled_at, end.settled_at);
}

#[tokio::test]
async fn a_document_without_a_trial_is_no_request_to_judge() {
    let deployment = Deployment::with(&judged_by("\"gpu\"")).await;
    let work = deployment.route(&public()).await;
    let (code, outputs) = deployment.deliver(deployment.proved(codec::encode(&work).unwrap(), 4)).await.unwrap_err();
    assert_eq!(code, "wrong_record");
    assert!(outputs.iter().all(|output| output.topic == topics::SUMMARIES));
}

/// The outcome of an earlier delivery is published, and so it is judged.
#[tokio::test]
async fn a_rejection_that_finds_a_summary_takes_its_request_along() {
    let deployment = Deployment::with(&judged_by("\"gpu\"")).await;
    request(&deployment, &public()).await;
    let delivery = Delivery::new(
        record(&topics::documents("acme"), codec::encode(&public()).unwrap(), 7),
        CancellationToken::new(),
    );
    let suspect = Rejection::new("crash_suspect", "died again and again");
    let left = deployment.router.rejected(&delivery, &suspect).await.unwrap();
    let [summary, request] = left.as_slice() else { panic!("{} outputs", left.len()) };
    assert_eq!((summary.topic.as_str(), request.topic.as_str()), (topics::SUMMARIES, topics::ESCALATIONS));
    assert!(request.headers.get(precis_pipeline::proof::PROOF_HEADER).is_some());
}
