//! `precis models`: entries of one's own, and files from a hub.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use precis_base::digest::sha256_hex;
use serde_json::json;

use crate::harness::{Deployment, text};

/// A GGUF file without tensors: a header of these texts and numbers.
fn gguf(texts: &[(&str, &str)], numbers: &[(&str, u32)]) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(((texts.len() + numbers.len()) as u64).to_le_bytes());
    let string = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    };
    for (key, value) in texts {
        string(&mut bytes, key);
        bytes.extend(8_u32.to_le_bytes());
        string(&mut bytes, value);
    }
    for (key, value) in numbers {
        string(&mut bytes, key);
        bytes.extend(4_u32.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes
}

fn qwen(name: &str) -> Vec<u8> {
    let texts = [("general.architecture", "qwen2"), ("general.name", name), ("general.license", "apache-2.0")];
    gguf(&texts, &[("qwen2.context_length", 32_768), ("general.file_type", 15)])
}

/// A hub on this machine that sends these bytes to whoever asks; its address.
fn hub(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
                request.push(byte[0]);
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\netag: \"a\"\r\ncontent-length: {}\r\n\r\n",
                bytes.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&bytes));
        }
    });
    address
}

/// A deployment whose model files lie in its own folder, and its settings file.
fn deployment() -> (Deployment, String) {
    let deployment = Deployment::new();
    let settings = format!("[model]\ndirectory = {:?}\n", text(&deployment.path("models")));
    let config = text(&deployment.write("precis.toml", settings)).to_owned();
    (deployment, config)
}

#[test]
fn a_registered_file_is_a_model_like_any_other() {
    let (deployment, config) = deployment();
    deployment.write("Mine v1.gguf", qwen("mine"));
    let run = |arguments: &[&str]| deployment.run(&[&["models"], arguments, &["--config", config.as_str()]].concat());
    let told = run(&["register", "Mine v1.gguf", "--name", "mine", "--json"]).succeeded().json().remove(0);
    let entry = &told["entry"];
    assert_eq!((&entry["family"], &entry["quantisation"]), (&json!("qwen2"), &json!("Q4_K_M")));
    assert_eq!((&entry["licence"], &entry["context"]), (&json!("Apache-2.0"), &json!(32_768)));
    assert_eq!(entry["sha256"], json!(sha256_hex(&qwen("mine"))));
    assert!(deployment.path("config/precis/models.toml").is_file());

    run(&["pull", "mine"]).succeeded();
    assert!(run(&["verify", "mine"]).succeeded().stdout.contains("mine: sha256 is the pinned one"));
    run(&["register", "Mine v1.gguf", "--name", "mine"]).succeeded();
    deployment.write("other.gguf", qwen("other"));
    for name in ["mine", "smollm2-135m-instruct"] {
        let taken = run(&["register", "other.gguf", "--name", name]);
        assert!(taken.code == 1 && taken.stderr.contains("there is a model"), "{}", taken.stderr);
    }
    let bad = run(&["register", "precis.toml"]);
    assert!(bad.code == 1 && bad.stderr.contains("precis.toml"), "{}", bad.stderr);
}

#[test]
fn a_file_of_a_hub_is_pinned_before_it_is_a_model() {
    let (deployment, config) = deployment();
    let bytes = qwen("hubs");
    let endpoint = hub(bytes.clone());
    let pull = |more: &[&str]| {
        let arguments =
            [&["models", "pull", "hf:owner/name/Hubs-Q4_K_M.gguf@main"], more, &["--config", config.as_str()]].concat();
        deployment.run_with_env(&arguments, &[("HF_ENDPOINT", endpoint.as_str()), ("HF_TOKEN", "secret-token")])
    };
    let manifest = deployment.path("config/precis/models.toml");
    let unpinned = pull(&[]);
    assert!(unpinned.code == 1 && unpinned.stderr.contains("--sha256 DIGEST"), "{}", unpinned.stderr);
    let wrong = pull(&["--sha256", &"0".repeat(64)]);
    assert!(wrong.code == 1 && wrong.stderr.contains(&sha256_hex(&bytes)), "{}", wrong.stderr);
    assert!(!manifest.exists());

    let done = pull(&["--sha256", &sha256_hex(&bytes)]).succeeded();
    assert!(done.stdout.contains("hubs-q4_k_m is at") && !done.stderr.contains("secret-token"), "{}", done.stderr);
    let written = std::fs::read_to_string(&manifest).unwrap();
    assert!(written.contains("kind = \"hugging_face\"") && written.contains("family = \"qwen2\""), "{written}");
    // Once pinned it is pulled by its name, or by the same words; a second name takes what comes.
    deployment.run(&["models", "pull", "hubs-q4_k_m", "--config", &config]).succeeded();
    pull(&["--pin"]).succeeded();
    pull(&["--pin", "--as", "second"]).succeeded();
    assert!(std::fs::read_to_string(&manifest).unwrap().starts_with(&written));
    deployment.run(&["models", "verify", "second", "--config", &config]).succeeded();
}

/// A built-in entry without a digest becomes one of the user's own with it.
#[test]
fn a_template_is_fetched_only_with_a_digest() {
    let (deployment, config) = deployment();
    let listed = deployment.run(&["models", "list", "--json", "--config", &config]).succeeded().json();
    let template = listed.iter().find(|row| row["entry"]["sha256"].is_null()).expect("the built-in entries have one");
    let name = template["entry"]["name"].as_str().unwrap();
    let endpoint = hub(qwen("template"));
    let pull = |more: &[&str]| {
        let arguments = [&["models", "pull", name], more, &["--config", config.as_str()]].concat();
        deployment.run_with_env(&arguments, &[("HF_ENDPOINT", endpoint.as_str())])
    };
    let refused = pull(&[]);
    assert!(refused.code == 1 && refused.stderr.contains("has no pinned digest"), "{}", refused.stderr);
    pull(&["--pin"]).succeeded();
    pull(&[]).succeeded();
    let other = pull(&["--sha256", &"0".repeat(64)]);
    assert!(other.code == 1 && other.stderr.contains("is pinned to"), "{}", other.stderr);
}

#[test]
fn the_list_says_what_was_tested_and_what_is_here() {
    let (deployment, config) = deployment();
    let shown = deployment.run(&["models", "list", "--config", &config]).succeeded().stdout;
    for wanted in ["Licence", "Tested", "Window", "unpinned", "smollm2-135m-instruct *", "LicenseRef-Llama-3.1"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
}

/// Without a run there is only a bound, and the table says so.
#[test]
fn recommend_says_how_each_figure_is_known() {
    let (deployment, config) = deployment();
    let rows = deployment.run(&["models", "recommend", "--json", "--config", &config]).succeeded().json();
    assert!(rows[0]["threads"].as_u64() > Some(0) && rows[0]["bytes_per_second"].as_f64() > Some(0.0), "{}", rows[0]);
    let small = rows.iter().find(|row| row["model"] == "smollm2-135m-instruct").unwrap();
    assert_eq!(small["basis"], json!("bound by memory's speed"));
    let large = rows.iter().find(|row| row["model"] == "llama-3.1-8b-instruct").unwrap();
    let rate = |row: &serde_json::Value| row["documents_per_minute"].as_f64().unwrap();
    assert!(rate(large) > 0.0 && rate(small) > 40.0 * rate(large));
    let shown = deployment.run(&["models", "recommend", "--config", &config]).succeeded().stdout;
    assert!(shown.contains("This machine:") && shown.contains("not measured"), "{shown}");
}
