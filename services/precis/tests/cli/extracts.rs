//! Summaries of the documents' own sentences: no model, no worker.

use serde_json::json;

use crate::harness::{Deployment, text};

const POLICY: &str = include_str!("../../../../examples/policy-extracts.toml");

const MINUTES: &str = "The committee met on Monday and agreed to repair the bridge before the winter comes. Work begins \
    in May and ends in August, and the town pays half of it. The road to the station stays open while the work goes on. A \
    ferry takes those who walk, and a bus takes those who do not.";

/// From the file to the page, without a model: what is shown is said to be an extract, and a second
/// run settles it from the store.
#[test]
fn documents_are_extracted_without_a_model() {
    let deployment = Deployment::new();
    deployment.write("in/minutes.txt", MINUTES);
    deployment.write("in/names.txt", "Bridge 1998\nRoad 12\n");
    let policy = deployment.write("extracts.toml", POLICY);
    let out = deployment.path("out");
    let run = |more: &[&str]| {
        let options = ["summarize", "in", "--policy", text(&policy), "--out", text(&out), "--max-words", "50"];
        deployment.run(&[&options[..], more].concat())
    };
    let first = run(&["--json"]);
    assert_eq!(first.code, 2, "a document without prose has no summary: {}", first.stderr);
    let rows = first.json();
    let minutes = rows.iter().find(|row| row["document"].as_str().unwrap().ends_with("minutes.txt")).unwrap();
    assert_eq!((&minutes["outcome"], &minutes["tier"]), (&json!("extracted"), &json!("extracts")));
    assert_eq!((&minutes["model"], &minutes["output_tokens"]), (&json!("precis/lexrank"), &json!(0)));
    let summary = minutes["summary"].as_str().unwrap();
    assert!(summary.split_inclusive(". ").all(|sentence| MINUTES.contains(sentence.trim())), "{summary}");
    let page = std::fs::read_to_string(out.join("summaries.md")).unwrap();
    assert!(page.contains("1 extracted, 1 failed") && page.contains("<sub>extracted · "), "{page}");
    let second = run(&[]);
    assert!(second.stdout.contains("extracted"), "{}", second.stdout);
    assert!(
        second.stderr.contains("settled from what was stored")
            || second.stdout.contains("settled from what was stored")
    );
}
