//! A record that nobody can decode: kept, shown, replayed once.

use precis_flow::{EmbeddedConfig, LogConfig, Output};
use serde_json::json;

use crate::harness::{House, text};

/// Publishes bytes to `documents.local` under a key, as a broken client would.
fn publish(house: &House, key: &str, bytes: &[u8]) {
    let config = LogConfig { embedded: EmbeddedConfig { path: house.path("state/log.db") }, ..LogConfig::default() };
    let output = Output::to("documents.local").key(key).value(bytes);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { precis_flow::open(&config).await.unwrap().publish(vec![output]).await.unwrap() });
}

/// Lets the services do what was published under a key: one key is one lane, so when a later document has ended, so has every earlier record.
fn settle(house: &House, key: &str, text: &str) {
    let up = house.up_without_tier();
    let mut results = house.start(&["results", "--follow", "--json"]);
    let line = format!("{}\n", json!({ "id": key, "text": text }));
    house
        .run_with_stdin(&["submit", "-", "--stdin", "jsonl", "--revision", &text.len().to_string()], &line)
        .succeeded();
    let revision = format!("\"revision\":{}", text.len());
    results.until(|line| line.contains(&revision));
    assert_eq!(up.terminate(), 0);
}

#[test]
fn a_record_that_cannot_be_decoded_is_kept_shown_and_replayed_once() {
    let house = House::new();
    house.run(&["topics", "apply"]).succeeded();
    publish(&house, "k", b"this is no Avro");
    settle(&house, "k", "One.");

    let list = house.run(&["dead-letters", "list", "--json"]).succeeded().json();
    assert_eq!((list.len(), &list[0]["code"], &list[0]["stage"]), (1, &json!("not_single_object"), &json!("router")));
    let id = list[0]["id"].as_str().unwrap().to_owned();
    assert!(house.run(&["dead-letters", "list", "--code", "other"]).succeeded().stdout.contains("no dead letters"));

    let bytes = house.path("record");
    let shown = house.run(&["dead-letters", "show", &id, "--value-to", text(&bytes)]).succeeded();
    assert!(shown.stdout.contains("not_single_object"), "{}", shown.stdout);
    assert_eq!(std::fs::read(bytes).unwrap(), b"this is no Avro");

    house.run(&["dead-letters", "replay", &id, "--reason", "a try", "--by", "ada"]).succeeded();
    let second = house.run(&["dead-letters", "replay", &id]);
    assert!(
        second.code == 2 && second.stderr.contains("already_replayed") && second.stderr.contains("ada"),
        "{}",
        second.stderr
    );
    let none_left = house.run(&["dead-letters", "replay", "--all"]).succeeded();
    assert!(none_left.stderr.contains("nothing to replay"), "{}", none_left.stderr);

    // It is as broken as before: a dead letter of its own, by its own position.
    settle(&house, "k", "Another.");
    let list = house.run(&["dead-letters", "list", "--json"]).succeeded().json();
    assert_eq!(list.len(), 2, "{list:?}");
    assert_eq!((&list[0]["replayed_by"], &list[1]["replayed_by"]), (&json!("ada"), &json!(null)));
    assert_ne!(list[0]["id"], list[1]["id"]);
}

#[test]
fn an_unknown_id_is_refused() {
    let house = House::new();
    let done = house.run(&["dead-letters", "replay", "router/documents.local/0/1", "--json"]);
    assert_eq!((done.code, &done.json()[0]["code"]), (2, &json!("unknown_id")));
    assert_eq!(house.run(&["dead-letters", "show", "nothing"]).code, 1);
}
