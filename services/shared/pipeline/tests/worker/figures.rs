//! The figures of an outcome: scores and quality index.

use super::*;

async fn settled(bench: &Bench, document: &Document, offset: i64, said: &str) -> Outcome {
    let outputs = bench.worker("gpu", said).process(&bench.routed(document, "gpu", offset)).await.unwrap();
    outcome(&outputs[0])
}

#[tokio::test]
async fn an_outcome_has_scores_and_an_index() {
    let bench = Bench::new(LOCAL).await;
    let outcome = settled(&bench, &document("a"), 7, GOOD).await;
    let scores = outcome.scores.unwrap();
    let index = outcome.quality_index.unwrap();
    assert!((0.9..=1.0).contains(&index), "{index}");
    assert!(scores.source_rouge1.unwrap() > 0.9, "{scores:?}");
    assert!(scores.novelty1.unwrap() < scores.novelty3.unwrap(), "{scores:?}");
    // 20 words, of the 120 that are asked for where the publisher says nothing.
    assert!((scores.length_ratio.unwrap() - 20.0 / 120.0).abs() < 1e-12, "{scores:?}");
    assert_eq!(scores.reference, None);
}

/// Whichever worker reads the answer, and whenever.
#[tokio::test]
async fn the_same_answer_has_the_same_figures() {
    let bench = Bench::new(LOCAL).await;
    let first = settled(&bench, &document("a"), 7, GOOD).await;
    bench.store.delete(&keys::result("acme", "a", 0)).await.unwrap();
    let again = settled(&bench, &document("a"), 7, BAD).await;
    let other = Bench::new(LOCAL).await;
    let elsewhere = settled(&other, &document("a"), 9, GOOD).await;
    for outcome in [again, elsewhere] {
        assert_eq!((outcome.scores, outcome.quality_index), (first.scores, first.quality_index));
    }
}

#[tokio::test]
async fn a_document_with_a_reference_is_measured_against_it() {
    let bench = Bench::new(LOCAL).await;
    let reference = "The ferry terminal is rebuilt because its roof leaks.";
    let with = Document { reference: Some(reference.into()), ..document("a") };
    let scores = settled(&bench, &with, 7, GOOD).await.scores.unwrap().reference.unwrap();
    let expected = precis_quality::reference::ReferenceScores::of(reference, GOOD);
    assert!((scores.rouge.rouge1.f - expected.rouge.rouge1.f).abs() < 1e-12 && scores.rouge.rouge1.f > 0.3);
    assert!((scores.rouge_stemmed.rouge_lsum.recall - expected.rouge_stemmed.rouge_lsum.recall).abs() < 1e-12);
    assert!((scores.unicode_rouge.rouge2.f - expected.unicode_rouge.rouge2.f).abs() < 1e-12);
    assert!((scores.bleu - expected.bleu).abs() < 1e-12 && (scores.chrf - expected.chrf).abs() < 1e-12);
    assert!(!scores.exact_match);
    let blank = Document { reference: Some(" \n".into()), ..document("b") };
    assert_eq!(settled(&bench, &blank, 8, GOOD).await.scores.unwrap().reference, None, "a blank one is none");
}

/// The stored answer may be served to documents with other references, or none.
#[tokio::test]
async fn the_stored_answer_keeps_scores_without_the_reference() {
    let bench = Bench::new(LOCAL).await;
    let with = Document { reference: Some(GOOD.into()), ..document("a") };
    let outcome = settled(&bench, &with, 7, GOOD).await;
    assert!(outcome.scores.unwrap().reference.unwrap().exact_match);
    let stored = bench.store.get(outcome.answer_key.as_deref().unwrap()).await.unwrap().unwrap();
    let answer: Answer = codec::decode(&stored).unwrap();
    assert_eq!(answer.scores.unwrap().reference, None);
    assert_eq!(answer.scores.unwrap().source_rouge1, outcome.scores.unwrap().source_rouge1);
}

#[tokio::test]
async fn the_weights_of_the_documents_type_make_the_index() {
    let zero = "whole = 0.0\nlanguage = 0.0\ncoverage = 0.0\nnumbers = 0.0\nnames = 0.0\nrepetition = 0.0";
    let bench = Bench::new(&format!("{LOCAL}\n[quality.types.note]\n{zero}\nlength = 1.0\n")).await;
    let usual = settled(&bench, &document("a"), 7, GOOD).await;
    let note = Document { document_type: "note".into(), ..document("b") };
    let note = settled(&bench, &note, 8, GOOD).await;
    assert!((note.quality_index.unwrap() - 2.0 * 20.0 / 120.0).abs() < 1e-12, "{note:?}");
    assert_ne!(note.quality_index, usual.quality_index);
}

/// A publisher who invents types, languages and instructions makes no new series.
#[tokio::test]
async fn metrics_tell_apart_only_what_the_operator_names() {
    let metrics = precis_telemetry::install_recorder();
    let bench = Bench::new(&format!("{LOCAL}\n[quality.types.known-type]\n")).await;
    let labelled = |id: &str, document_type: &str, instruction: Option<&str>| Document {
        document_type: document_type.into(),
        language: Some("en-GB".into()),
        instruction: instruction.map(str::to_owned),
        ..document(id)
    };
    settled(&bench, &labelled("a", "known-type", None), 7, GOOD).await;
    settled(&bench, &labelled("b", "invented-type", Some("Shorter.")), 8, GOOD).await;
    let unknown = Document { language: Some("tlh".into()), output_language: Some("tlh".into()), ..document("c") };
    settled(&bench, &unknown, 9, GOOD).await;
    let text = metrics.render();
    let series = |line: &str| assert!(text.contains(line), "{line} is missing in:\n{text}");
    series(
        "precis_quality_index_ratio_count{tier=\"gpu\",model=\"fixed\",prompt=\"standard\",document_type=\"known-type\",language=\"en\"}",
    );
    series(
        "precis_quality_index_ratio_count{tier=\"gpu\",model=\"fixed\",prompt=\"instruction\",document_type=\"other\",language=\"en\"}",
    );
    series(
        "precis_quality_score_ratio_count{score=\"novelty2\",tier=\"gpu\",model=\"fixed\",prompt=\"standard\",document_type=\"none\",language=\"other\"}",
    );
    assert!(!text.contains("invented-type") && !text.contains("tlh"), "{text}");
}

/// A result that an older version stored is published as it is, and the header names its version.
#[tokio::test]
async fn a_stored_outcome_of_version_1_is_published_as_such() {
    let bench = Bench::new(LOCAL).await;
    let stored = include_bytes!("../../../../../schemas/tests/golden/outcome.v1.bin").to_vec();
    let settled: Outcome = codec::decode(&stored).unwrap();
    let key = keys::result(&settled.tenant, &settled.document_id, settled.revision);
    bench.store.put_if_absent(&key, stored.clone()).await.unwrap();
    let identity = precis_pipeline::Identity {
        tenant: settled.tenant,
        document_id: settled.document_id,
        revision: settled.revision,
    };
    let (origin, request_digest) = (settled.origin, settled.request_digest);
    let claim = precis_pipeline::settle::Claim { identity, origin, request_digest, replay: false };
    let output = precis_pipeline::Settler::new(bench.store.clone()).settled(&claim).await.unwrap().unwrap();
    assert_eq!(output.value, Some(stored));
    assert_eq!(output.headers.get_str(codec::SCHEMA_HEADER), Some("outcome.v1"));
}
