//! `up` and what stands beside it, with a router that settles every document itself.

use serde_json::{Value, json};

use crate::harness::Deployment;

/// A submitted document has exactly one outcome.
#[test]
fn a_submitted_document_ends_once_and_up_drains_on_sigterm() {
    let deployment = Deployment::new();
    let up = deployment.up_without_tier();
    let mut results = deployment.start(&["results", "--follow", "--json"]);
    let told =
        deployment.run_with_stdin(&["submit", "-", "--json"], "A text that no tier may have.").succeeded().json();
    let outcome: Value = serde_json::from_str(&results.until(|_| true)).unwrap();
    assert_eq!(outcome["document_id"], told[0]["document_id"]);
    assert_eq!((&outcome["outcome"], &outcome["code"]), (&json!("failed"), &json!("no_eligible_tier")));
    assert_eq!(up.terminate(), 0);

    let id = told[0]["document_id"].as_str().unwrap();
    assert!(deployment.run(&["results", "--id", id]).succeeded().stdout.contains("no_eligible_tier"));
    assert_eq!(deployment.run(&["results", "--json"]).succeeded().json().len(), 1);
}

#[test]
fn a_second_process_for_the_same_state_is_told_who_holds_it() {
    let deployment = Deployment::new();
    let up = deployment.up_without_tier();
    let policy = deployment.path("precis.toml");
    let second = deployment.run(&["up", "--config", policy.to_str().unwrap()]);
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains("another"), "{}", second.stderr);
    assert_eq!(up.terminate(), 0);
}
