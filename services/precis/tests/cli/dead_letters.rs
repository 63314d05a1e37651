//! A record that nobody can decode: kept, shown, replayed once.

use std::sync::Arc;
use std::time::Duration;

use precis_flow::{EmbeddedConfig, KafkaConfig, Log, LogConfig, LogKind, ORIGIN_HEADER, Output, ReadStart};
use precis_pipeline::identity::REPLAY_HEADER;
use precis_pipeline::topics;
use precis_schemas::{DeadLetter, TierSwitch, codec};
use serde_json::json;

use crate::harness::{Deployment, text};

fn embedded(deployment: &Deployment) -> LogConfig {
    LogConfig { embedded: EmbeddedConfig { path: deployment.path("state/log.db") }, ..LogConfig::default() }
}

fn on_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

/// Publishes bytes to `documents.local` under a key, as a broken client would.
fn publish(deployment: &Deployment, key: &str, bytes: &[u8]) {
    let output = Output::to("documents.local").key(key).value(bytes);
    on_runtime(async { precis_flow::open(&embedded(deployment)).await.unwrap().publish(vec![output]).await.unwrap() });
}

/// Lets the services do what was published under a key: one key is one lane, so when a later
/// document has ended, so has every earlier record.
fn settle(deployment: &Deployment, key: &str, text: &str) {
    let up = deployment.up_without_tier();
    let mut results = deployment.start(&["results", "--follow", "--json"]);
    let line = format!("{}\n", json!({ "id": key, "text": text }));
    deployment
        .run_with_stdin(&["submit", "-", "--stdin", "jsonl", "--revision", &text.len().to_string()], &line)
        .succeeded();
    let revision = format!("\"revision\":{}", text.len());
    results.until(|line| line.contains(&revision));
    assert_eq!(up.terminate(), 0);
}

/// A record that cannot be decoded keeps its bytes, is shown, and is replayed at most once.
#[test]
fn an_undecodable_record_is_kept_shown_and_replayed_once() {
    let deployment = Deployment::new();
    deployment.run(&["topics", "apply"]).succeeded();
    publish(&deployment, "k", b"this is no Avro");
    settle(&deployment, "k", "One.");

    let list = deployment.run(&["dead-letters", "list", "--json"]).succeeded().json();
    assert_eq!((list.len(), &list[0]["code"], &list[0]["stage"]), (1, &json!("not_single_object"), &json!("router")));
    let id = list[0]["id"].as_str().unwrap().to_owned();
    assert!(
        deployment.run(&["dead-letters", "list", "--code", "other"]).succeeded().stdout.contains("no dead letters")
    );

    let bytes = deployment.path("record");
    let shown = deployment.run(&["dead-letters", "show", &id, "--value-to", text(&bytes)]).succeeded();
    assert!(shown.stdout.contains("not_single_object"), "{}", shown.stdout);
    assert_eq!(std::fs::read(bytes).unwrap(), b"this is no Avro");

    deployment.run(&["dead-letters", "replay", &id, "--reason", "a try", "--by", "ada"]).succeeded();
    let second = deployment.run(&["dead-letters", "replay", &id]);
    assert!(
        second.code == 2 && second.stderr.contains("already_replayed") && second.stderr.contains("ada"),
        "{}",
        second.stderr
    );
    let none_left = deployment.run(&["dead-letters", "replay", "--all"]).succeeded();
    assert!(none_left.stderr.contains("nothing to replay"), "{}", none_left.stderr);
    // One command replayed something: what was asked for, and how much there was of it.
    let done = deployment.run(&["audit", "--json"]).succeeded().json();
    let replays: Vec<_> = done.iter().filter(|record| record["action"] == "dead_letters_replayed").collect();
    assert_eq!(replays.len(), 1, "{done:?}");
    let details = &replays[0]["details"];
    assert_eq!((&replays[0]["reason"], &replays[0]["by"]), (&json!("a try"), &json!("ada")));
    assert_eq!((&details["ids"], &details["selected"]), (&json!(id), &json!("1")));
    assert_eq!((&details["topics"], &details["replayed"]), (&json!("returns=1"), &json!("1")));

    // It is as broken as before: a dead letter of its own, by its own position.
    let up = deployment.up_without_tier();
    let list = loop {
        let list = deployment.run(&["dead-letters", "list", "--json"]).succeeded().json();
        if list.len() > 1 {
            break list;
        }
    };
    assert_eq!(up.terminate(), 0);
    assert_eq!(list.len(), 2, "{list:?}");
    assert_eq!((&list[0]["replayed_by"], &list[1]["replayed_by"]), (&json!("ada"), &json!(null)));
    assert_ne!(list[0]["id"], list[1]["id"]);
}

#[test]
fn an_unknown_id_is_refused() {
    let deployment = Deployment::new();
    let done = deployment.run(&["dead-letters", "replay", "router/documents.local/0/1", "--json"]);
    assert_eq!((done.code, &done.json()[0]["code"]), (2, &json!("unknown_id")));
    assert_eq!(deployment.run(&["dead-letters", "show", "nothing"]).code, 1);
}

#[test]
fn of_many_who_replay_at_once_one_does() {
    let deployment = Deployment::new();
    deployment.run(&["topics", "apply", "--tenant", "acme"]).succeeded();
    replay_at_once(&deployment, &embedded(&deployment), "acme", None);
}

#[test]
#[ignore = "needs Kafka: make test starts it"]
fn of_many_who_replay_at_once_on_kafka_one_does() {
    let brokers = std::env::var("PRECIS_TEST_KAFKA").expect("PRECIS_TEST_KAFKA names the brokers");
    let deployment = Deployment::new();
    let tenant = format!("replay-{}", std::process::id());
    let config =
        deployment.write("kafka.toml", format!("[log]\nkind = \"kafka\"\n[log.kafka]\nbrokers = {brokers:?}\n"));
    deployment.run(&["topics", "apply", "--tenant", &tenant, "--config", text(&config)]).succeeded();
    let log = LogConfig {
        kind: LogKind::Kafka,
        kafka: KafkaConfig { brokers, ..KafkaConfig::default() },
        ..LogConfig::default()
    };
    replay_at_once(&deployment, &log, &tenant, Some(text(&config)));
}

/// Four processes replay one dead letter: one record goes back, whichever of them did it.
fn replay_at_once(deployment: &Deployment, config: &LogConfig, tenant: &str, file: Option<&str>) {
    let topic = format!("documents.{tenant}");
    let raw = Output { partition: Some(0), ..Output::to(&topic).key("k").value("raw") };
    let position =
        on_runtime(async { precis_flow::open(config).await.unwrap().publish(vec![raw]).await.unwrap().remove(0) });
    let id = format!("router/{position}");
    dead_letter(config, &forged(&id, &topic, position.offset, b"raw"));

    let mut arguments = vec!["dead-letters", "replay", id.as_str()];
    arguments.extend(file.iter().flat_map(|file| ["--config", *file]));
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let replays: Vec<_> = (0..4).map(|_| scope.spawn(|| deployment.run(&arguments).code)).collect();
        replays.into_iter().map(|replay| replay.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");

    // `returns` is everybody's.
    let records = on_runtime(async { all(&precis_flow::open(config).await.unwrap(), topics::RETURNS).await });
    let of_this = |record: &&precis_flow::Record| record.headers.get_str(REPLAY_HEADER) == Some(&id);
    let replayed: Vec<_> = records.iter().filter(of_this).collect();
    assert_eq!(replayed.len(), 1);
    assert_eq!(replayed[0].value.as_deref(), Some(&b"raw"[..]));
    assert_eq!(replayed[0].headers.get_str(ORIGIN_HEADER), Some(position.to_string().as_str()));
    assert_eq!(replayed[0].headers.get_str(REPLAY_HEADER), Some(id.as_str()));
}

/// A dead letter as anybody who may write to `dead-letters` can make it.
fn forged(id: &str, topic: &str, offset: i64, value: &[u8]) -> DeadLetter {
    DeadLetter {
        id: id.to_owned(),
        stage: "router".into(),
        code: "unknown_schema".into(),
        message: String::new(),
        topic: topic.to_owned(),
        partition: 0,
        offset,
        key: Some(b"k".to_vec()),
        value: Some(value.to_vec()),
        value_ref: None,
        headers: Vec::new(),
        attempts: 1,
        tenant: None,
        failed_at: 0,
    }
}

fn dead_letter(config: &LogConfig, letter: &DeadLetter) {
    let record = Output::to("dead-letters").key(letter.id.as_str()).value(codec::encode(letter).unwrap());
    on_runtime(async { precis_flow::open(config).await.unwrap().publish(vec![record]).await.unwrap() });
}

/// Who may write dead letters is no operator: neither a tier is switched nor a record on `audit`
/// made, and what is real is replayed beside it.
#[test]
fn a_forged_dead_letter_writes_nothing_and_hides_nothing() {
    let deployment = Deployment::new();
    deployment.run(&["topics", "apply"]).succeeded();
    let config = embedded(&deployment);
    let switch: TierSwitch =
        serde_json::from_value(json!({ "tier": "gpu", "state": "off", "reason": "forged", "by": "nobody", "at": 0 }))
            .unwrap();
    dead_letter(&config, &forged("router/control/0/1", "control", 1, &codec::encode(&switch).unwrap()));
    let nonsense = Output::to("dead-letters").key("x").value("nonsense");
    let raw = Output { partition: Some(0), ..Output::to("documents.local").key("k").value("raw") };
    let position = on_runtime(async {
        let log = precis_flow::open(&config).await.unwrap();
        log.publish(vec![nonsense]).await.unwrap();
        log.publish(vec![raw]).await.unwrap().remove(0)
    });
    let id = format!("router/{position}");
    // Somebody else takes its id, and somebody says that another record was there.
    dead_letter(&config, &forged(&id, "documents.local", 99, b"raw"));
    dead_letter(&config, &forged(&id, "documents.local", position.offset, b"other"));
    dead_letter(&config, &forged(&id, "documents.local", position.offset, b"raw"));

    let list = deployment.run(&["dead-letters", "list", "--json"]).succeeded();
    assert_eq!(list.json().len(), 3, "{}", list.stdout);
    assert_eq!(list.stderr.matches("is left out").count(), 2, "{}", list.stderr);
    let shown = deployment.run(&["dead-letters", "show", &id]).succeeded();
    assert!(shown.stderr.contains("2 dead letters have this id"), "{}", shown.stderr);

    let replayed = deployment.run(&["dead-letters", "replay", "--all", "--reason", "routine"]);
    assert_eq!(replayed.code, 2, "{}{}", replayed.stdout, replayed.stderr);
    assert!(replayed.stderr.contains("topic_not_allowed") && replayed.stdout.contains(&id), "{}", replayed.stderr);
    let status = deployment.run(&["status"]).succeeded().stdout;
    assert!(!status.contains("forged"), "{status}");
    let audit = deployment.run(&["audit", "--json"]).succeeded().json();
    let replays: Vec<_> = audit.iter().filter(|record| record["action"] == "dead_letters_replayed").collect();
    assert_eq!(replays.len(), 1, "{audit:?}");
    assert_eq!((&replays[0]["details"]["topics"], &replays[0]["details"]["ids"]), (&json!("returns=1"), &json!(id)));
    let last =
        on_runtime(async { all(&precis_flow::open(&config).await.unwrap(), topics::RETURNS).await }).pop().unwrap();
    assert_eq!(last.value.as_deref(), Some(&b"raw"[..]));
}

async fn all(log: &Arc<dyn Log>, topic: &str) -> Vec<precis_flow::Record> {
    let mut reader = log.reader(topic, ReadStart::Beginning).await.unwrap();
    let mut records = Vec::new();
    loop {
        match reader.next(Duration::from_millis(200)).await.unwrap() {
            Some(record) => records.push(record),
            None if reader.caught_up() => return records,
            None => {}
        }
    }
}
