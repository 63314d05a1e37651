//! Requests with adapters, through the whole engine.

use std::sync::Arc;

use super::*;
use crate::config::{DeviceKind, EngineConfig};
use crate::models::adapters::{AdapterBase, AdapterEntry, AdapterFiles, install};
use crate::request::TokenRequest;
use crate::testing;
use crate::testing::adapters::{RECIPE, Recipe, registered, write_peft};

/// The fake model has no file that an adapter could be for.
#[tokio::test]
async fn a_request_with_an_adapter_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let engine = fake::engine(256, 0);
    let adapter = Some(Arc::new(registered(folder.path(), "mine", RECIPE)));
    let adapted = Request { adapter, ..request("some words", 8) };
    let (adapted, plain) = tokio::join!(engine.submit(adapted), engine.submit(request("some words", 8)));
    assert_eq!(adapted.unwrap_err().code(), "bad_adapter");
    assert!(plain.is_ok());
}

/// The parts of a long document are read with its adapter, and so is the whole of a short one.
#[tokio::test]
async fn no_part_of_a_document_is_read_without_its_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let engine = fake::engine(256, 0);
    let adapter = Some(Arc::new(registered(folder.path(), "mine", RECIPE)));
    for words in [20, 100] {
        let request = SummaryRequest { adapter: adapter.clone(), ..summary_request(words, 20) };
        assert_eq!(engine.summarise(request).await.unwrap_err().code(), "bad_adapter");
        assert_eq!(engine.stats().finished, 0, "nothing was read without it");
    }
}

/// A part of a document that was read with another adapter is not used again.
#[test]
fn parts_are_kept_for_one_version_of_an_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let with = |seed| Some(Arc::new(registered(folder.path(), "mine", Recipe { seed, ..RECIPE })));
    let asked = [None, with(1), with(2)]
        .map(|adapter| crate::engine::mapreduce::fingerprint(&Request { adapter, ..request("some words", 8) }));
    assert!(asked[0] != asked[1] && asked[1] != asked[2] && asked[0] != asked[2], "{asked:?}");
}

/// Random adapters of the default model.
fn entries(folder: &std::path::Path, count: u64) -> Vec<Arc<AdapterEntry>> {
    let file = testing::real_file();
    let base = AdapterBase::of(&file, &testing::real_model().0.sha256).unwrap();
    let entry = |seed| {
        let (source, name) = (folder.join(format!("source-{seed}")), format!("a{seed}"));
        write_peft(&source, Recipe { seed, alpha: 0.5, ..RECIPE }, &base.shape);
        Arc::new(install(&AdapterFiles::open(&name, &source).unwrap(), &name, "default", &base, folder).unwrap())
    };
    (0..count).map(entry).collect()
}

/// Requests for three adapters and for none, with room for two: each gets the answer that it gets
/// alone, to the last bit of its log-probabilities.
#[tokio::test]
#[ignore = "needs the model: make test fetches it"]
async fn answers_with_adapters_are_those_that_they_get_alone() {
    let folder = tempfile::tempdir().unwrap();
    let adapters = entries(folder.path(), 3);
    let (entry, path) = testing::real_model();
    let config = EngineConfig {
        device: DeviceKind::Cpu,
        step_tokens: 48,
        max_sequences: 8,
        adapter_bytes: 2 * adapters[0].bytes,
        ..EngineConfig::default()
    };
    let engine = Engine::start(&entry, &path, config).unwrap();
    let requests: Vec<TokenRequest> = (0..12)
        .map(|index| TokenRequest {
            prompt: (0..20 + index * 7).map(|at| 300 + at * 97 % 5_000).collect(),
            max_new_tokens: 12,
            end: crate::request::End::AtLimit,
            adapter: adapters.get(index as usize % 4).cloned(),
            ..TokenRequest::default()
        })
        .collect();
    let mut alone = Vec::new();
    for request in &requests {
        alone.push(engine.submit_tokens(request.clone()).await.unwrap());
    }
    let mut together = tokio::task::JoinSet::new();
    for (index, request) in requests.iter().cloned().enumerate() {
        let engine = engine.clone();
        together.spawn(async move { (index, engine.submit_tokens(request).await.unwrap()) });
    }
    while let Some(done) = together.join_next().await {
        let (index, answer) = done.unwrap();
        assert_eq!(answer, alone[index], "request {index}");
        assert!(engine.adapters_in_memory().0 <= 2 * adapters[0].bytes);
    }
    let plain = TokenRequest { adapter: None, ..requests[0].clone() };
    assert_ne!(engine.submit_tokens(plain).await.unwrap().logprob_mean, alone[0].logprob_mean, "it changes answers");

    // A broken one fails its own requests, and the engine goes on.
    let broken = entries(folder.path(), 5).pop().unwrap();
    std::fs::remove_dir_all(&broken.folder).unwrap();
    let request = TokenRequest { adapter: Some(broken), ..requests[0].clone() };
    assert_eq!(engine.submit_tokens(request).await.unwrap_err().code(), "bad_adapter");
    assert_eq!(engine.submit_tokens(requests[1].clone()).await.unwrap(), alone[1]);
}
