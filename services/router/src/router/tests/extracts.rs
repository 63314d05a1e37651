//! Extracts: as the last resort, and as a tier.

use precis_pipeline::settle::METHOD_HEADER;
use precis_schemas::{Document, Format, Outcome, Sensitivity, Status, SwitchState, TrialResult, Usd, codec};

use super::harness::*;

const LOCAL: &str = include_str!("../../../../../infra/policy/local.toml");

/// An extractive tier behind the model's.
const TIER: &str = "\n[[tiers]]\nname = \"own-words\"\nkind = \"extract\"\nshare = 0.0\n";

const MINUTES: &str = "The committee met on Monday and agreed to repair the bridge before the winter comes. Work begins \
    in May and ends in August, and the town pays half of it. The road to the station stays open while the work goes on. A \
    ferry takes those who walk, and a bus takes those who do not. The mayor thanked the builders of the old bridge for \
    their care. In September the new bridge opens with a feast at which the choir of the town will sing.";

fn minutes() -> Document {
    Document {
        text: Some(MINUTES.to_owned()),
        sensitivity: Some(Sensitivity::Restricted),
        max_words: Some(50),
        ..document()
    }
}

#[track_caller]
fn is_extract_of_minutes(outcome: &Outcome) {
    let summary = outcome.summary.as_deref().unwrap();
    assert!(summary.split_inclusive(". ").all(|sentence| MINUTES.contains(sentence.trim())), "{summary}");
    assert!(outcome.is_extract() && outcome.words_out > 0 && outcome.answer_key.is_none());
    assert!(outcome.checks.iter().all(|check| check.passed), "{:?}", outcome.checks);
}

/// The outcome says that it is an extract, and keeps what the model failed.
#[tokio::test]
async fn a_failed_answer_gives_way_to_an_extract() {
    let deployment = Deployment::with(LOCAL).await;
    let first = deployment.route(&minutes()).await;
    let trial = deployment.failed(&first, "Wrong.", &["unsupported_numbers", "language"]).await;
    let output = deployment.escalate(&first, trial.clone()).await;
    let extracted = outcome(&output);
    is_extract_of_minutes(&extracted);
    assert_eq!((extracted.status, extracted.code.as_deref()), (Status::Answered, None));
    assert_eq!((extracted.tier.as_deref(), extracted.trail.as_slice()), (None, &[trial][..]));
    assert_eq!(extracted.message.as_deref(), Some("no tier is left: gpu failed unsupported_numbers, language"));
    assert_eq!((extracted.input_tokens, extracted.output_tokens), (100, 20), "what the model took was spent");
    assert_eq!(output.headers.get_str(METHOD_HEADER), Some("extracted"));
    assert_eq!(extracted.decision.unwrap().reason, "no_eligible_tier");
}

/// Redelivered, repeated, or computed by another router: the same summary, and the stored bytes.
#[tokio::test]
async fn an_extract_settles_once_with_the_same_bytes() {
    let mut deployment = Deployment::with(LOCAL).await;
    let first = deployment.route(&minutes()).await;
    let trial = deployment.failed(&first, "Wrong.", &["truncated"]).await;
    let output = deployment.escalate(&first, trial.clone()).await;
    assert_eq!(deployment.result(&minutes()).await, output.value);
    deployment.replace_router();
    let again = deployment.escalate(&first, trial.clone()).await;
    assert_eq!((&again.value, again.headers.get_str(METHOD_HEADER)), (&output.value, Some("extracted")));
    // On a store that has neither outcome nor answer, everything but the clock is the same.
    let fresh = Deployment::with(LOCAL).await;
    let other = fresh.route(&minutes()).await;
    let trial = fresh.failed(&other, "Wrong.", &["truncated"]).await;
    let (one, two) = (outcome(&output), outcome(&fresh.escalate(&other, trial).await));
    assert_eq!((one.summary, one.checks, one.model), (two.summary, two.checks, two.model));
}

/// No tier takes the document: it is switched off, or refuses.
#[tokio::test]
async fn an_extract_needs_no_tier_at_all() {
    let deployment = Deployment::with(LOCAL).await;
    deployment.switch("gpu", SwitchState::Off).await;
    let extracted = outcome(&deployment.publish(&minutes(), 7).await.unwrap());
    is_extract_of_minutes(&extracted);
    assert_eq!((extracted.status, extracted.cost, extracted.output_tokens), (Status::Answered, Usd::ZERO, 0));
    let bullets = Document { document_id: "bullets".to_owned(), format: Format::Bullets, ..minutes() };
    let listed = outcome(&deployment.publish(&bullets, 8).await.unwrap());
    assert!(listed.summary.unwrap().lines().all(|line| line.starts_with("- ")));
}

/// Without prose, or where something else was asked for, the document ends as under `flag`.
#[tokio::test]
async fn without_an_extract_the_best_answer_is_flagged() {
    let deployment = Deployment::with(LOCAL).await;
    let cases = [
        ("no prose", Document { text: Some("Bridge 1998\nroad 12\nriver 7".to_owned()), ..minutes() }),
        ("instruction", Document { instruction: Some("List the duties of the town.".to_owned()), ..minutes() }),
        ("language", Document { output_language: Some("fr".to_owned()), ..minutes() }),
        ("length", Document { max_words: Some(5), ..minutes() }),
    ];
    for (name, document) in cases {
        let first = deployment.route(&Document { document_id: name.replace(' ', "-"), ..document }).await;
        let trial = deployment.failed(&first, "Wrong.", &["unsupported_names"]).await;
        let flagged = outcome(&deployment.escalate(&first, trial).await);
        assert_eq!((flagged.status, flagged.code.as_deref()), (Status::Flagged, Some("unsupported_names")), "{name}");
        assert_eq!((flagged.summary.as_deref(), flagged.is_extract()), (Some("Wrong."), false), "{name}");
    }
}

/// Without any answer an extract that failed its checks is what is at hand, and is flagged; with
/// nothing at hand the document fails.
#[tokio::test]
async fn a_failed_extract_is_flagged_where_nothing_else_is() {
    let deployment = Deployment::with(LOCAL).await;
    deployment.switch("gpu", SwitchState::Off).await;
    let asked = Document { instruction: Some("List the duties of the town.".to_owned()), ..minutes() };
    let output = deployment.publish(&asked, 7).await.unwrap();
    let flagged = outcome(&output);
    assert_eq!((flagged.status, flagged.code.as_deref()), (Status::Flagged, Some("instruction")));
    assert!(flagged.is_extract() && output.headers.get(METHOD_HEADER).is_some());
    let bare = Document { document_id: "bare".to_owned(), text: Some("Bridge 1998".to_owned()), ..minutes() };
    let failed = outcome(&deployment.publish(&bare, 8).await.unwrap());
    assert_eq!((failed.status, failed.code.as_deref()), (Status::Failed, Some("no_eligible_tier")));
}

/// A late document ends as `on_late` says, whatever becomes of exhausted ones.
#[tokio::test]
async fn a_late_document_gets_no_extract() {
    let deployment = Deployment::with(&LOCAL.replace("version = 1", "version = 1\non_late = \"fail\"")).await;
    let late = Document { deadline: Some(1), ..minutes() };
    let failed = outcome(&deployment.publish(&late, 7).await.unwrap());
    assert_eq!((failed.status, failed.code.as_deref()), (Status::Failed, Some("deadline_passed")));
}

/// A tier of kind `extract` takes its turn like every other, whatever becomes of exhausted
/// documents.
#[tokio::test]
async fn a_tier_of_kind_extract_answers_in_the_router() {
    let flags = LOCAL.replace("on_exhausted = \"extract\"", "on_exhausted = \"flag\"");
    let deployment = Deployment::with(&format!("{flags}{TIER}")).await;
    let first = deployment.route(&minutes()).await;
    let trial = deployment.failed(&first, "Wrong.", &["language"]).await;
    let extracted = outcome(&deployment.escalate(&first, trial).await);
    is_extract_of_minutes(&extracted);
    assert_eq!((extracted.status, extracted.tier.as_deref()), (Status::Answered, Some("own-words")));
    assert_eq!(extracted.decision.unwrap().chosen, "own-words");
    // Its failure is a trial, and leaves the model's answer to be flagged.
    let asked = Document { document_id: "asked".to_owned(), instruction: Some("List duties.".to_owned()), ..minutes() };
    let second = deployment.route(&asked).await;
    let trial = deployment.failed(&second, "Wrong.", &["language"]).await;
    let flagged = outcome(&deployment.escalate(&second, trial).await);
    assert_eq!((flagged.status, flagged.summary.as_deref()), (Status::Flagged, Some("Wrong.")));
    let tried: Vec<_> = flagged.trail.iter().map(|trial| (trial.tier.as_str(), trial.code.as_str())).collect();
    assert_eq!(tried, [("gpu", "language"), ("own-words", "instruction")]);
    assert_eq!(flagged.trail[1].result, TrialResult::FailedChecks);
}

/// A policy of extracts alone needs no model: what it cannot answer fails or goes up.
#[tokio::test]
async fn extracts_may_be_the_first_tier() {
    let first = TIER.replace("share = 0.0", "share = 1.0");
    let alone = Deployment::with(&format!("version = 1{first}")).await;
    let extracted = outcome(&alone.publish(&minutes(), 7).await.unwrap());
    is_extract_of_minutes(&extracted);
    assert_eq!((extracted.tier.as_deref(), extracted.trail.len()), (Some("own-words"), 0));
    let gpu = "\n[[tiers]]\nname = \"gpu\"\nkind = \"gpu\"\nshare = 0.0\nmax_sensitivity = \"restricted\"\n";
    let with_gpu = Deployment::with(&format!("version = 1{first}{gpu}")).await;
    let bare = Document { text: Some("Bridge 1998".to_owned()), ..minutes() };
    let up = routed(&with_gpu.publish(&bare, 7).await.unwrap());
    assert_eq!((up.tier.as_str(), up.trail[0].code.as_str()), ("gpu", "empty"));
    let document: Document = codec::decode(&up.document).unwrap();
    assert_eq!(document, bare);
}
