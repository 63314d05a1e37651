//! Commands that need no services.

use serde_json::json;

use crate::harness::{Deployment, NO_TIER, text};

#[test]
fn help_is_no_error_and_a_wrong_argument_is_one_of_usage() {
    let deployment = Deployment::new();
    assert!(deployment.run(&["--help"]).succeeded().stdout.contains("Exit codes"));
    assert!(deployment.run(&["summarize", "--help"]).succeeded().stdout.contains("--max-words"));
    assert_eq!(deployment.run(&["summarize"]).code, 1);
    assert_eq!(deployment.run(&["submit", "x", "--language", "English"]).code, 1);
}

#[test]
fn submit_prints_ids_and_tells_of_each_input_it_could_not_use() {
    let deployment = Deployment::new();
    deployment.write("in/a.txt", "A text.");
    deployment.write("in/b.html", "<p>A page.</p>");
    deployment.write("in/c.txt", b"\0\0binary");
    let done = deployment.run(&["submit", "in", "missing.txt"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    let ids: Vec<_> = done.stdout.lines().collect();
    assert!(ids.len() == 2 && ids[0].starts_with("a-") && ids[1].starts_with("b-"), "{ids:?}");
    assert!(done.stderr.contains("c.txt") && done.stderr.contains("(binary)"), "{}", done.stderr);
    assert!(done.stderr.contains("missing.txt") && done.stderr.contains("(not_found)"), "{}", done.stderr);
}

/// And with other options it is another document.
#[test]
fn the_same_submitted_again_is_the_same_document() {
    let deployment = Deployment::new();
    let submit = |more: &[&str]| {
        let done = deployment.run_with_stdin(&[&["submit", "-", "--json"], more].concat(), "A text.").succeeded();
        done.json()[0]["document_id"].clone()
    };
    let first = submit(&[]);
    assert_eq!(first, submit(&[]));
    assert_ne!(first, submit(&["--max-words", "40"]));
}

#[test]
fn json_lines_keep_their_ids_tenant_and_revision() {
    let deployment = Deployment::new();
    let lines = "{\"id\": \"c-1\", \"body\": \"A text.\"}\n{\"id\": \"c-2\", \"body\": \"Another.\"}\n";
    let arguments =
        ["submit", "-", "--stdin", "jsonl", "--text-field", "body", "--tenant", "acme", "--revision", "3", "--json"];
    let told = deployment.run_with_stdin(&arguments, lines).succeeded().json();
    assert_eq!(told[1]["document_id"], json!("c-2"));
    assert_eq!((&told[1]["tenant"], &told[1]["revision"]), (&json!("acme"), &json!(3)));
    assert!(told[1]["position"].as_str().unwrap().starts_with("documents.acme/"), "{told:?}");
}

#[test]
fn a_text_too_large_for_a_message_goes_to_the_store() {
    let deployment = Deployment::new();
    deployment.write("large.txt", "A sentence that is there often. ".repeat(60_000));
    deployment.run(&["submit", "large.txt"]).succeeded();
    let bodies = walk(&deployment.path("state/objects/bodies"));
    assert_eq!(bodies, 1);
}

fn walk(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { walk(&path) } else { 1 })
        .sum()
}

#[test]
fn status_shows_topics_tiers_and_groups_of_a_fresh_house() {
    let deployment = Deployment::new();
    deployment.run_with_stdin(&["submit", "-"], "A text.").succeeded();
    let status = deployment.run(&["status", "--json"]).succeeded().json().remove(0);
    let topics = status["topics"].as_array().unwrap();
    let documents = topics.iter().find(|topic| topic["topic"] == "documents.local").unwrap();
    assert!(documents["end"].as_i64() > documents["low"].as_i64(), "{documents}");
    assert_eq!((&status["tiers"][0]["tier"], &status["tiers"][0]["switch"]), (&json!("gpu"), &json!("on")));
    assert_eq!(status["groups"][0]["group"], json!("precis.router"));
    let shown = deployment.run(&["status"]).succeeded().stdout;
    assert!(shown.contains("never ran") && shown.contains("documents.local"), "{shown}");
}

#[test]
fn a_tier_that_is_switched_off_is_shown_with_its_reason() {
    let deployment = Deployment::new();
    deployment.run(&["tiers", "off", "gpu", "--reason", "new driver", "--by", "ada"]).succeeded();
    let status = deployment.run(&["status", "--json"]).succeeded().json().remove(0);
    let tier = &status["tiers"][0];
    assert_eq!(
        (&tier["switch"], &tier["reason"], &tier["switched_by"]),
        (&json!("off"), &json!("new driver"), &json!("ada"))
    );
    deployment.run(&["tiers", "on", "gpu"]).succeeded();
    let status = deployment.run(&["status", "--json"]).succeeded().json().remove(0);
    assert_eq!(status["tiers"][0]["switch"], json!("on"));
    let unknown = deployment.run(&["tiers", "off", "premium", "--reason", "incident"]);
    assert!(unknown.code == 1 && unknown.stderr.contains("it has gpu"), "{}", unknown.stderr);
}

#[test]
fn results_of_a_house_without_outcomes_are_none() {
    let deployment = Deployment::new();
    assert_eq!(deployment.run(&["results"]).succeeded().stdout.trim(), "no outcomes yet");
    assert_eq!(deployment.run(&["results", "--json"]).succeeded().stdout, "");
    let missing = deployment.run(&["results", "--id", "nothing"]);
    assert!(missing.code == 1 && missing.stderr.contains("has no outcome"), "{}", missing.stderr);
}

#[test]
fn a_bad_policy_changes_nothing_and_a_good_one_is_in_force() {
    let deployment = Deployment::new();
    let bad = deployment.write("bad.toml", "version = 1\nmax_hops = \"two\"\n");
    let good = deployment.write("good.toml", NO_TIER);
    let before = deployment.run(&["policy", "show", "--json"]).succeeded().json()[0]["digest"].clone();

    let checked = deployment.run(&["policy", "check", text(&bad)]);
    assert!(checked.code == 2 && checked.stderr.contains("error:"), "{}", checked.stderr);
    assert_eq!(deployment.run(&["policy", "apply", text(&bad)]).code, 2);
    assert_eq!(deployment.run(&["policy", "show", "--json"]).succeeded().json()[0]["digest"], before);

    deployment.run(&["policy", "check", text(&good)]).succeeded();
    let applied =
        deployment.run(&["policy", "apply", text(&good), "--by", "ada", "--json"]).succeeded().json()[0]["digest"]
            .clone();
    assert_ne!(applied, before);
    let shown = deployment.run(&["policy", "show", "--json"]).succeeded().json().remove(0);
    assert_eq!((&shown["digest"], &shown["applied"]["by"]), (&applied, &json!("ada")));
    assert_eq!(deployment.run(&["policy", "show", "--toml"]).succeeded().stdout.trim(), NO_TIER.trim());
}

#[test]
fn topics_are_created_once() {
    let deployment = Deployment::new();
    let apply = ["topics", "apply", "--tenant", "acme", "--json"];
    let first = deployment.run(&apply).succeeded().json();
    let acme = first.iter().find(|change| change["topic"] == "documents.acme").unwrap();
    assert_eq!(acme["state"], json!("created"));
    let again = deployment.run(&apply).succeeded().json();
    assert!(again.iter().all(|change| change["state"] == "as it should be"), "{again:?}");
}

#[test]
fn verify_refuses_a_model_with_another_digest() {
    let deployment = Deployment::new();
    let digest = "0".repeat(64);
    let manifest = deployment.write(
        "models.toml",
        format!(
            "[[model]]\nname = \"mine\"\nrevision = \"1\"\nfamily = \"llama\"\nfile = \"m.gguf\"\nsha256 = \"{digest}\"\nlicence = \"MIT\"\n\
             context = 2048\nquantisation = \"Q8_0\"\nsources = [{{ kind = \"file\", path = \"/nowhere\" }}]\n"
        ),
    );
    deployment.write("models/mine/1/m.gguf", "not the model");
    let config = deployment.write(
        "precis.toml",
        format!("[model]\nname = \"mine\"\nmanifest = {manifest:?}\ndirectory = {:?}\n", deployment.path("models")),
    );
    let config = text(&config);

    let verified = deployment.run(&["models", "verify", "mine", "--json", "--config", config]);
    assert_eq!((verified.code, &verified.json()[0]["code"]), (2, &json!("digest_mismatch")));
    let listed = deployment.run(&["models", "list", "--json", "--config", config]).succeeded().json();
    assert!(listed.iter().any(|model| model["entry"]["name"] == "mine" && model["used"] == true), "{listed:?}");
    let doctor = deployment.run(&["doctor", "--json", "--config", config]);
    let findings = doctor.json();
    let finding = |check: &str| findings.iter().find(|finding| finding["check"] == check).unwrap()["verdict"].clone();
    assert_eq!(
        (doctor.code, finding("model"), finding("store"), finding("transactions")),
        (2, json!("failed"), json!("ok"), json!("ok"))
    );
}

/// A file that was changed after it came is not loaded; fetching it again mends it.
#[test]
fn a_changed_model_file_is_not_loaded_but_fetched_again() {
    let deployment = Deployment::new();
    let original = deployment.write("original.gguf", "weights");
    let digest = precis_base::digest::sha256_hex(b"weights");
    let manifest = deployment.write(
        "models.toml",
        format!(
            "[[model]]\nname = \"mine\"\nrevision = \"1\"\nfamily = \"llama\"\nfile = \"m.gguf\"\nsha256 = \"{digest}\"\nlicence = \"MIT\"\n\
             context = 2048\nquantisation = \"Q8_0\"\nsources = [{{ kind = \"file\", path = {original:?} }}]\n"
        ),
    );
    let config = deployment.write(
        "precis.toml",
        format!("[model]\nname = \"mine\"\nmanifest = {manifest:?}\ndirectory = {:?}\n", deployment.path("models")),
    );
    let config = text(&config);
    deployment.run(&["models", "pull", "--config", config]).succeeded();
    let file = deployment.path("models/mine/1/m.gguf");
    std::fs::write(&file, "wEights").unwrap();

    let loaded = deployment.run(&["bench", "--scenario", "prefill", "--config", config]);
    assert_eq!(loaded.code, 1);
    assert!(loaded.stderr.contains("changed or damaged") && loaded.stderr.contains("models pull"), "{}", loaded.stderr);
    deployment.run(&["models", "pull", "--config", config]).succeeded();
    assert_eq!(std::fs::read(&file).unwrap(), b"weights");
}

#[test]
fn settings_are_checked_all_at_once_and_shown_without_secrets() {
    let deployment = Deployment::new();
    let config = deployment.write("bad.toml", "[log]\nkind = \"rabbit\"\n[store]\nbucket = \"x\"\n");
    let checked = deployment.run(&["config", "check", "--config", text(&config)]);
    assert_eq!(checked.code, 2);
    assert!(checked.stderr.contains("log.kind") && checked.stderr.contains("store.bucket"), "{}", checked.stderr);
    deployment.run(&["config", "check"]).succeeded();
    let shown = deployment.run(&["config", "show"]).succeeded().stdout;
    assert!(shown.contains(text(&deployment.path("state/log.db"))), "{shown}");
    assert!(deployment.run(&["config", "reference"]).succeeded().stdout.contains("| `log.kafka.brokers` |"));
}

#[test]
fn bench_names_the_line_of_a_prompt_file_that_is_wrong() {
    let deployment = Deployment::new();
    deployment.write("prompts.txt", "1 2 3\nfour\n");
    let done = deployment.run(&["bench", "--prompts", "prompts.txt"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("prompts.txt") && done.stderr.contains("line 2"), "{}", done.stderr);
    deployment.write("empty.txt", "\n");
    assert!(deployment.run(&["bench", "--prompts", "empty.txt"]).stderr.contains("no prompt"));
    assert_eq!(deployment.run(&["bench", "--documents", "missing.txt"]).code, 2);
}

/// Answers end at paragraphs only where answers may end before their limit at all.
#[test]
fn bench_takes_paragraph_only_with_natural_ends() {
    let done = Deployment::new().run(&["bench", "--paragraph"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("--natural"), "{}", done.stderr);
}

#[test]
fn a_key_that_cannot_be_sent_is_found_by_the_check() {
    let deployment = Deployment::new();
    let key = deployment.write("key", "sk-first\nsk-second\n");
    let config = deployment.write("keys.toml", format!("[api_worker.anthropic]\nkey_file = {key:?}\n"));
    let checked = deployment.run(&["config", "check", "--config", text(&config)]);
    assert_eq!(checked.code, 2, "{}", checked.stderr);
    assert!(checked.stderr.contains(text(&key)) && !checked.stderr.contains("sk-"), "{}", checked.stderr);
    deployment.write("key", " sk-only \n");
    deployment.run(&["config", "check", "--config", text(&config)]).succeeded();
}
