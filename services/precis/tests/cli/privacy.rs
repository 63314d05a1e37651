//! What others on the machine, on the network and at providers may see, and that it is told.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use precis_flow::{EmbeddedConfig, LogConfig, Output};
use precis_schemas::PolicyApplied;
use serde_json::{Value, json};

use crate::harness::{Deployment, text};

fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { [vec![path.clone()], below(&path)].concat() } else { vec![path] })
        .collect()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn findings(deployment: &Deployment, check: &str) -> Vec<Value> {
    let doctor = deployment.run(&["doctor", "--quick", "--json"]);
    doctor.json().into_iter().filter(|finding| finding["check"] == check).collect()
}

/// Documents, summaries and the policy lie there.
#[test]
fn a_fresh_state_folder_is_its_owners_alone() {
    let deployment = Deployment::new();
    deployment.write("in.jsonl", format!("{}\n", json!({ "id": "long", "text": "word ".repeat(200_000) })));
    deployment.run(&["submit", "in.jsonl"]).succeeded();
    let up = deployment.up_without_tier();
    let state = deployment.path("state");
    let found = below(&state);
    assert!(found.iter().any(|path| path.ends_with("log.db-wal")), "{found:?}");
    assert!(found.iter().any(|path| path.to_string_lossy().ends_with(".lock")), "{found:?}");
    assert!(found.iter().any(|path| path.starts_with(state.join("objects/bodies")) && path.is_file()), "{found:?}");
    for path in found.iter().chain([&state]) {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(path), wanted, "{}", path.display());
    }
    assert_eq!(up.terminate(), 0);
    assert_eq!(findings(&deployment, "privacy")[0]["verdict"], "ok");
}

/// A state folder of an earlier version keeps its modes: somebody may have chosen them.
#[test]
fn a_state_folder_that_others_may_read_is_warned_about() {
    let deployment = Deployment::new();
    deployment.run(&["topics", "apply"]).succeeded();
    let (state, log) = (deployment.path("state"), deployment.path("state/log.db"));
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(findings(&deployment, "privacy")[0]["verdict"], "ok", "what is in it is private");
    fs::set_permissions(&log, fs::Permissions::from_mode(0o644)).unwrap();
    let finding = findings(&deployment, "privacy").remove(0);
    assert_eq!(finding["verdict"], "warning", "{finding}");
    assert!(finding["detail"].as_str().unwrap().contains("log.db (644)"), "{finding}");
    assert_eq!(mode(&log), 0o644);
}

const API_TIER: &str = r#"
version = 1
[[tiers]]
name = "gpu"
kind = "gpu"
share = 0.5
max_sensitivity = "restricted"
[[tiers]]
name = "mid"
kind = "api"
provider = "openai"
model = "m"
share = 0.5
max_sensitivity = "internal"
"#;

#[test]
fn an_api_tier_must_say_which_residencies_it_takes() {
    let deployment = Deployment::new();
    let silent = deployment.write("silent.toml", API_TIER);
    for action in ["check", "apply"] {
        let refused = deployment.run(&["policy", action, text(&silent)]);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(
            refused.stderr.contains("tiers.mid") && refused.stderr.contains("residency = [\"eu\"]"),
            "{}",
            refused.stderr
        );
    }
    let wide = deployment.write("wide.toml", format!("{API_TIER}residency = [\"*\"]\n"));
    let checked = deployment.run(&["policy", "check", text(&wide)]).succeeded();
    assert_eq!(checked.stderr.matches("warning: tiers.mid").count(), 2, "{}", checked.stderr);
    let applied = deployment.run(&["policy", "apply", text(&wide), "--json"]).succeeded().json().remove(0);
    assert_eq!(applied["warnings"].as_array().map(Vec::len), Some(2), "{applied}");
    let warnings: Vec<_> =
        findings(&deployment, "policy").into_iter().filter(|finding| finding["verdict"] == "warning").collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let narrow = deployment.write("narrow.toml", format!("{API_TIER}residency = [\"eu\"]\ntenants = [\"acme\"]\n"));
    assert_eq!(deployment.run(&["policy", "check", text(&narrow)]).succeeded().stderr, "");
}

/// A policy that an earlier version applied: nothing leaves, and the doctor says why.
#[test]
fn an_applied_policy_without_a_residency_is_told() {
    let deployment = Deployment::new();
    deployment.run(&["topics", "apply"]).succeeded();
    let applied: PolicyApplied = serde_json::from_value(
        json!({ "digest": "", "toml": API_TIER, "applied_by": "an earlier version", "applied_at": 0 }),
    )
    .unwrap();
    let record = Output::to("control").key("policy").record(&applied).unwrap();
    let log = LogConfig { embedded: EmbeddedConfig { path: deployment.path("state/log.db") }, ..LogConfig::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { precis_flow::open(&log).await.unwrap().publish(vec![record]).await.unwrap() });
    let finding = findings(&deployment, "policy").remove(0);
    assert_eq!(finding["verdict"], "failed", "{finding}");
    assert!(finding["detail"].as_str().unwrap().contains("tiers.mid"), "{finding}");
}

#[test]
fn brokers_elsewhere_without_tls_are_refused_with_the_setting() {
    let deployment = Deployment::new();
    let kafka = "[log]\nkind = \"kafka\"\nkafka.brokers = \"kafka-0:9092\"\n";
    let file = deployment.write("kafka.toml", kafka);
    let refused = deployment.run(&["config", "check", "--config", text(&file)]);
    assert!(refused.code != 0 && refused.stderr.contains("kafka.allow_plaintext"), "{}", refused.stderr);
    let file = deployment.write("kafka.toml", format!("{kafka}kafka.allow_plaintext = true\n"));
    deployment.run(&["config", "check", "--config", text(&file)]).succeeded();
}

/// Every role of every topic, in a form that a shell and a program read.
#[test]
fn the_access_lists_are_printed_as_a_script_and_as_json() {
    let deployment = Deployment::new();
    let script = deployment.run(&["topics", "acls", "--tenant", "acme", "--tenant", "bolt"]).succeeded().stdout;
    for line in [
        "allow.everyone.if.no.acl.found=false",
        "auto.create.topics.enable=false",
        "acl --allow-principal 'User:publisher-acme' --operation Write --operation Describe --topic 'documents.acme'\n",
        "acl --allow-principal 'User:precis-router' --operation Read",
        "--group 'precis.work.gpu'",
        "--transactional-id 'precis.precis.router.' --resource-pattern-type prefixed",
        "bodies/bolt/",
    ] {
        assert!(script.contains(line), "{line} is missing in\n{script}");
    }
    let is_comment_or_call =
        |line: &str| line.is_empty() || line.starts_with(['#', ':']) || line.starts_with("acl") || line == "set -eu";
    assert!(script.lines().all(is_comment_or_call), "{script}");
    let json = deployment.run(&["topics", "acls", "--principal", "router=User:CN=router", "--json"]).succeeded().json();
    let router: Vec<_> = json.iter().filter(|grant| grant["principal"] == "User:CN=router").collect();
    assert!(
        router.iter().any(|grant| grant["name"] == "escalations" && grant["operations"][0] == "Read"),
        "{router:?}"
    );
    let holders: Vec<_> = json.iter().filter(|grant| grant["name"] == "keys/").map(|grant| &grant["role"]).collect();
    assert_eq!(holders, ["operator"], "services have the whole bucket");
    // It touches nothing.
    assert!(!deployment.path("state").exists());
}
