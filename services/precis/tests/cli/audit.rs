//! What operators did is on record.

use serde_json::{Value, json};

use crate::harness::{Deployment, NO_TIER, text};

fn audit(deployment: &Deployment, more: &[&str]) -> Vec<Value> {
    deployment.run(&[&["audit", "--json"], more].concat()).succeeded().json()
}

#[test]
fn switches_and_policies_are_on_record_with_who_and_why() {
    let deployment = Deployment::new();
    assert_eq!(deployment.run(&["audit"]).succeeded().stdout.trim(), "nothing was done yet");
    deployment.run(&["tier", "disable", "gpu", "--reason", "new driver", "--by", "ada"]).succeeded();
    deployment.run(&["tiers", "drain", "gpu", "--reason", "not yet", "--by", "bob"]).succeeded();
    deployment.run(&["tier", "enable", "gpu", "--by", "bob"]).succeeded();
    let policy = deployment.write("policy.toml", NO_TIER);
    let apply = ["policy", "apply", text(&policy), "--reason", "nothing works", "--by", "eve", "--json"];
    let digest = deployment.run(&apply).succeeded().json()[0]["digest"].clone();

    let records = audit(&deployment, &[]);
    let told: Vec<_> = records
        .iter()
        .map(|record| ["by", "action", "target", "before", "after", "reason"].map(|name| record[name].clone()))
        .collect();
    let none = json!("");
    assert_eq!(
        told,
        [
            ["ada", "tier_off", "tier/gpu", "on", "off", "new driver"].map(|text| json!(text)),
            ["bob", "tier_drain", "tier/gpu", "off", "drain", "not yet"].map(|text| json!(text)),
            ["bob", "tier_on", "tier/gpu", "drain", "on", ""].map(|text| json!(text)),
            [json!("eve"), json!("policy_applied"), json!("policy"), none, digest, json!("nothing works")],
        ]
    );
    assert!(records[0]["program"].as_str().unwrap().starts_with("precis "), "{}", records[0]);
    assert!(records[0]["at"].as_str().unwrap().starts_with("20"), "{}", records[0]);

    assert_eq!(audit(&deployment, &["--last", "1"]), records[3..]);
    let shown = deployment.run(&["audit", "--last", "0"]).succeeded().stdout;
    assert!(shown.contains("off to drain") && shown.contains("nothing works"), "{shown}");
    let mut follow = deployment.start(&["audit", "--follow"]);
    follow.until(|line| line.contains("policy_applied"));
}

#[test]
fn work_is_not_taken_from_a_tier_without_a_reason() {
    let deployment = Deployment::new();
    for action in ["off", "disable", "drain"] {
        let silent = deployment.run(&["tier", action, "gpu"]);
        assert!(silent.code == 1 && silent.stderr.contains("--reason"), "{}", silent.stderr);
        let blank = deployment.run(&["tier", action, "gpu", "--reason", "  "]);
        assert!(blank.code == 1 && blank.stderr.contains("say why"), "{}", blank.stderr);
    }
    let garbled = deployment.run(&["tier", "off", "gpu", "--reason", "a\u{1b}[2Jb"]);
    assert!(garbled.code == 1 && garbled.stderr.contains("control characters"), "{}", garbled.stderr);
    assert!(audit(&deployment, &[]).is_empty(), "nothing was done");
}

/// Topics that were there before are not.
#[test]
fn only_topics_that_were_created_are_on_record() {
    let deployment = Deployment::new();
    let apply = ["topics", "apply", "--tenant", "acme", "--reason", "a new customer", "--by", "ada"];
    for _ in 0..2 {
        deployment.run(&apply).succeeded();
    }
    let records = audit(&deployment, &[]);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!((&records[0]["action"], &records[0]["reason"]), (&json!("topics_created"), &json!("a new customer")));
    let topics = records[0]["details"]["topics"].as_str().unwrap();
    assert!(topics.split(' ').any(|topic| topic == "documents.acme"), "{topics}");
}
