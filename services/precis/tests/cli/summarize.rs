//! `summarize` with policies that no model is needed for: that it always ends, and says the truth.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::harness::{Deployment, NO_TIER, Running, text};

/// A policy whose one tier nobody in the process serves.
const OTHER_TIER: &str = r#"
version = 1

[[tiers]]
name = "large"
kind = "gpu"
share = 1.0
max_sensitivity = "restricted"
"#;

/// A model whose file is nowhere.
const MODEL: &str = r#"
[[model]]
name = "absent"
revision = "1"
family = "llama"
file = "absent.gguf"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
licence = "MIT"
context = 2048
quantisation = "Q4_0"
sources = [{ kind = "file", path = "/nowhere/absent.gguf" }]
"#;

/// Settings with a policy, and with a folder for models that holds none: a command that wants a
/// model says that it fetches one.
fn settings(deployment: &Deployment, policy: &str) -> PathBuf {
    let (policy, models) = (deployment.write("policy.toml", policy), deployment.path("no-models"));
    let text = format!("[policy]\nfile = {:?}\n[model]\ndirectory = {:?}\n", text(&policy), text(&models));
    deployment.write("settings.toml", text)
}

fn house_without_tier() -> (Deployment, String) {
    let deployment = Deployment::new();
    let settings = text(&settings(&deployment, NO_TIER)).to_owned();
    (deployment, settings)
}

/// A link to nowhere in place of the folder of all results: nothing can be settled as long as it is
/// there.
fn break_store(deployment: &Deployment) -> PathBuf {
    let link = deployment.path("state/objects/results");
    fs::create_dir_all(deployment.path("state/objects")).unwrap();
    std::os::unix::fs::symlink(deployment.path("nowhere"), &link).unwrap();
    link
}

fn ends_of_topic(deployment: &Deployment, topic: &str) -> String {
    let status = deployment.run(&["status", "--json"]).succeeded().json().remove(0);
    let topics = status["topics"].as_array().unwrap();
    topics.iter().find(|known| known["topic"] == topic).unwrap().to_string()
}

#[test]
fn a_policy_without_a_gpu_tier_needs_no_model() {
    let (deployment, settings) = house_without_tier();
    deployment.write("in/a.txt", "A text that no tier may have.");
    let done = deployment.run(&["summarize", "in", "--config", &settings, "--json"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert_eq!(done.json()[0]["code"], json!("no_eligible_tier"));
    assert!(!done.stderr.contains("the model") && !deployment.path("no-models").exists(), "{}", done.stderr);
}

#[test]
fn a_second_run_answers_from_the_store_and_publishes_nothing() {
    let (deployment, settings) = house_without_tier();
    deployment.write("in/a.txt", "A text that no tier may have.");
    deployment.write("in/b.txt", "Another one.");
    let run = || deployment.run(&["summarize", "in", "--config", &settings, "--json"]).json();
    let first = run();
    let published = ends_of_topic(&deployment, "documents.local");
    let second = run();
    assert_eq!(second.len(), 2);
    for (before, now) in first.iter().zip(&second) {
        assert_eq!((&before["from_store"], &now["from_store"]), (&json!(false), &json!(true)));
        assert_eq!((&before["settled_at"], &before["code"]), (&now["settled_at"], &now["code"]));
    }
    assert_eq!(published, ends_of_topic(&deployment, "documents.local"));
}

/// Also while another process runs the services of this state folder: nothing is asked of them.
#[test]
fn settled_documents_are_answered_beside_a_running_up() {
    let (deployment, settings) = house_without_tier();
    deployment.write("a.txt", "A text that no tier may have.");
    let run = || deployment.run(&["summarize", "a.txt", "--config", &settings, "--json"]);
    run();
    let mut up = deployment.start(&["up", "--config", &settings]);
    up.until(|line| line.starts_with("up:"));
    assert_eq!(run().json()[0]["from_store"], json!(true));
    deployment.write("a.txt", "A text that is new.");
    let refused = run();
    assert!(refused.code == 1 && refused.stderr.contains("another live process"), "{}", refused.stderr);
    assert_eq!(up.terminate(), 0);
}

#[test]
fn options_beyond_the_policys_limits_are_refused_at_once() {
    let deployment = Deployment::new();
    deployment.write("a.txt", "A text.");
    let settings = settings(&deployment, &format!("{NO_TIER}\n[limits]\nmax_summary_words = 321\n"));
    let instruction = "x".repeat(4_001);
    for (option, limit) in [(["--max-words", "322"], "321"), (["--instruction", &instruction], "4000")] {
        let done = deployment.run(&[&["summarize", "a.txt", "--config", text(&settings)][..], &option].concat());
        assert!(done.code == 1 && done.stderr.contains(limit), "{}", done.stderr);
    }
    let default = deployment.run(&["summarize", "a.txt", "--max-words", "1001"]);
    assert!(default.code == 1 && default.stderr.contains("1000"), "{}", default.stderr);
    assert!(!default.stderr.contains("the model"), "{}", default.stderr);

    // A policy that forbids what is asked is not put in force either.
    let stricter = deployment.write("stricter.toml", format!("{NO_TIER}\n[limits]\nmax_summary_words = 50\n"));
    let done = deployment.run(&["summarize", "a.txt", "--policy", text(&stricter), "--max-words", "60"]);
    assert!(done.code == 1 && done.stderr.contains("50"), "{}", done.stderr);
    let shown = deployment.run(&["policy", "show"]).succeeded().stdout;
    assert!(!shown.contains("max_summary_words = 50"), "{shown}");
}

#[test]
fn what_a_run_wrote_is_never_read_as_a_document() {
    let (deployment, settings) = house_without_tier();
    deployment.write("in/a.txt", "A text that no tier may have.");
    fs::create_dir_all(deployment.path("in/out")).unwrap();
    std::os::unix::fs::symlink(deployment.path("in/out"), deployment.path("link")).unwrap();
    let documents = |arguments: &[&str]| {
        let done = deployment.run(&[&["summarize", "--config", &settings, "--json"], arguments].concat());
        (done.json().len(), done.stderr)
    };
    assert_eq!(documents(&["in", "--out", "in/out"]).0, 1);
    for out in ["in/out", "link", "in/../in/out", "in", "elsewhere"] {
        let (rows, told) = documents(&["in", "--out", out]);
        assert!(rows == 1 && told.contains("summaries.md"), "{out}: {rows} {told}");
    }
    // As a shell writes `in/*`: each file by its name.
    let files: Vec<String> = fs::read_dir(deployment.path("in"))
        .unwrap()
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .filter(|path| !path.ends_with("out"))
        .collect();
    assert_eq!(files.len(), 3, "{files:?}");
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    assert_eq!(documents(&[&files[..], &["--out", "in"]].concat()).0, 1);
    let submitted = deployment.run(&["submit", "in"]).succeeded();
    assert_eq!(submitted.stdout.lines().count(), 1, "{}", submitted.stdout);
    let alone = deployment.run(&["summarize", "in/summaries.md", "--config", &settings]);
    assert!(alone.code == 2 && alone.stderr.contains("(own_result)"), "{}", alone.stderr);
}

#[test]
fn a_folder_that_takes_no_files_is_told_before_the_work() {
    let (deployment, settings) = house_without_tier();
    deployment.write("a.txt", "A text.");
    // A folder in which nobody can create a file, not even root.
    let done = deployment.run(&["summarize", "a.txt", "--config", &settings, "--out", "/proc"]);
    assert!(done.code == 1 && done.stderr.contains("/proc"), "{}", done.stderr);
    assert!(!deployment.path("state").exists());
}

#[test]
fn a_run_that_cannot_save_says_why_and_ends_when_told() {
    let (deployment, settings) = house_without_tier();
    deployment.write("a.txt", "A text.");
    break_store(&deployment);
    let mut run = deployment.start_with_stderr(&["summarize", "a.txt", "--config", &settings]);
    let told = run.until(|line| line.contains("nothing can be saved"));
    assert!(told.contains("object store"), "{told}");
    assert_eq!(run.terminate(), 1);
}

/// Takes a minute: as long as a run may stand still.
#[test]
fn a_run_that_cannot_save_ends_by_itself_with_the_reason() {
    let (deployment, settings) = house_without_tier();
    deployment.write("in/a.txt", "A text.");
    break_store(&deployment);
    let done = deployment.run(&["summarize", "in", "--out", "out", "--config", &settings]);
    assert!(done.code == 1 && done.stderr.contains("error: nothing could be saved"), "{}", done.stderr);
    assert!(done.stderr.contains("store_unavailable"), "{}", done.stderr);
    let page = fs::read_to_string(deployment.path("out/summaries.md")).unwrap();
    assert!(page.contains("not done when the run ended"), "{page}");
}

/// The router is held up until the policy has another tier; then it sends the document where nobody
/// is.
#[test]
fn work_that_nobody_here_takes_ends_the_run() {
    let (deployment, settings) = house_without_tier();
    deployment.write("a.txt", "A text.");
    let (broken, policy) = (break_store(&deployment), deployment.write("other.toml", OTHER_TIER));
    let mut run = deployment.start_with_stderr(&["summarize", "a.txt", "--config", &settings]);
    run.until(|line| line.contains("nothing can be saved"));
    deployment.run(&["policy", "apply", text(&policy), "--reason", "a test"]).succeeded();
    fs::remove_file(broken).unwrap();
    let told = run.until(|line| line.starts_with("error:"));
    assert!(told.contains("work.large"), "{told}");
    assert_eq!(run.ended(), 1);
}

#[test]
fn a_policy_with_a_tier_that_nobody_serves_is_refused() {
    let deployment = Deployment::new();
    deployment.write("a.txt", "A text.");
    let settings = settings(&deployment, OTHER_TIER);
    let done = deployment.run(&["summarize", "a.txt", "--config", text(&settings)]);
    assert!(done.code == 1 && done.stderr.contains("large (gpu_worker.tier)"), "{}", done.stderr);
}

/// A tier that comes later is served, too: here by loading a model, which this folder has not and
/// cannot fetch.
#[test]
fn up_serves_a_gpu_tier_that_a_later_policy_has() {
    let deployment = Deployment::new();
    let (policy, manifest) = (deployment.write("none.toml", NO_TIER), deployment.write("models.toml", MODEL));
    let config = format!(
        "[policy]\nfile = {:?}\n[model]\nname = \"absent\"\nmanifest = {:?}\ndirectory = {:?}\n",
        text(&policy),
        text(&manifest),
        text(&deployment.path("models"))
    );
    let config = deployment.write("precis.toml", config);
    let mut up: Running = deployment.start_with_stderr(&["up", "--config", text(&config), "--json"]);
    let later = deployment.write("later.toml", NO_TIER.replace("enabled = false", "enabled = true"));
    deployment.run(&["policy", "apply", text(&later), "--reason", "a test"]).succeeded();
    up.until(|line| line.contains("the model absent"));
    assert_eq!(up.ended(), 1);
}
