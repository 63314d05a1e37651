//! What `summaries` says of quality, and weights refitted to labels.

use precis_flow::{EmbeddedConfig, LogConfig, Output};
use precis_pipeline::settle::REPEAT_HEADER;
use precis_pipeline::topics;
use precis_schemas::{AvroRecord, Evaluation, Outcome, codec};
use serde_json::json;

use crate::harness::{Deployment, NO_TIER, text};

/// 2026-11-28, 00:00 UTC.
const FIRST_DAY: i64 = 1_795_824_000_000;
const DAY: i64 = 86_400_000;

/// The outcome of a document that was settled on a day; `index`: its quality.
fn outcome(number: i64, day: i64, revision: &str, index: f64) -> Outcome {
    serde_json::from_value(json!({
        "tenant": "acme", "document_id": format!("d-{number}"), "revision": 0, "status": "answered", "summary": "Short.",
        "tier": "gpu", "language": "en", "document_type": "letter", "words_in": 300 + number % 100, "cost": "0",
        "model": {"provider": "precis", "name": "small", "revision": revision, "prompt_digest": "0123456789abcdef"},
        "checks": [
            {"name": "coverage", "passed": true, "value": index},
            {"name": "repetition", "passed": true, "value": (number % 7) as f64 / 10.0},
            {"name": "unsupported_names", "passed": number % 4 != 0, "value": f64::from(u8::from(number % 4 == 0))}
        ],
        "scores": {}, "quality_index": index, "origin": {"topic": "documents.acme", "partition": 0, "offset": number},
        "request_digest": "", "request_fingerprint": "", "policy_digest": "", "submitted_at": 0,
        "settled_at": FIRST_DAY + day * DAY + number * 3_000
    }))
    .unwrap()
}

/// Publishes outcomes to the deployment's log, as the services do.
fn publish(deployment: &Deployment, outcomes: &[Outcome], repeats: bool) {
    let records = outcomes.iter().map(|outcome| {
        let record = output(topics::SUMMARIES, outcome);
        if repeats { record.header(REPEAT_HEADER, "true") } else { record }
    });
    publish_records(deployment, records.collect());
}

fn output<R: AvroRecord + serde::Serialize>(topic: &str, record: &R) -> Output {
    let output = Output::to(topic).key("acme/d").value(codec::encode(record).unwrap());
    output.header(codec::SCHEMA_HEADER, codec::schema_header::<R>())
}

fn publish_records(deployment: &Deployment, records: Vec<Output>) {
    let config =
        LogConfig { embedded: EmbeddedConfig { path: deployment.path("state/log.db") }, ..LogConfig::default() };
    let publish = async { precis_flow::open(&config).await.unwrap().publish(records).await.unwrap() };
    tokio::runtime::Runtime::new().unwrap().block_on(publish);
}

/// Three days of 400 documents; on the last one half of them go to a model that is worse.
fn three_days(deployment: &Deployment) -> Vec<Outcome> {
    assert_eq!(deployment.run(&["quality"]).succeeded().stdout.trim(), "no outcomes yet");
    let one = |number: i64| {
        let (day, is_new) = (number / 400, number >= 800 && number % 2 == 0);
        let index = if is_new { 0.6 } else { 0.9 } + (number % 10) as f64 / 100.0 - 0.05;
        outcome(number, day, if is_new { "v2" } else { "v1" }, index)
    };
    let outcomes: Vec<_> = (0..1200).map(one).collect();
    publish(deployment, &outcomes, false);
    outcomes
}

#[test]
fn a_fall_is_shown_with_its_interval_and_its_cause() {
    let deployment = Deployment::new();
    let outcomes = three_days(&deployment);
    publish(&deployment, &outcomes[..50], true);
    let report = &deployment.run(&["quality", "--json"]).succeeded().json()[0];
    assert_eq!(report["layers"], json!(["automatic"]));
    assert_eq!((&report["current"]["from"], &report["baseline"]["to"]), (&json!("2026-11-30"), &json!("2026-11-29")));
    let [gpu] = &report["groups"].as_array().unwrap()[..] else { panic!("{report}") };
    assert_eq!((&gpu["current"]["documents"], &gpu["baseline"]["documents"]), (&json!(400), &json!(800)));
    assert_eq!((&gpu["change"]["fall"], &gpu["cause"]["name"]), (&json!("proven"), &json!("model")));
    assert_eq!(gpu["test"]["alarms"][0]["since"], json!("2026-11-30T00:00Z"));
    assert_eq!(
        gpu["current"]["failed_checks"][0],
        json!({"check": "unsupported_names", "documents": 100, "share": 0.25})
    );

    let shown = deployment.run(&["quality"]).succeeded().stdout;
    for part in
        ["2026-11-30 (UTC), compared with 2026-11-28 to 2026-11-29.", "Automatic metrics alone", "answered 100.0 %"]
    {
        assert!(shown.contains(part), "{shown}");
    }
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("0.745") && words.contains("0.895"), "{shown}");

    let by_model = deployment.run(&["quality", "--by", "model", "--by", "prompt", "--json"]).succeeded().json();
    let models: Vec<_> = by_model[0]["groups"].as_array().unwrap().iter().map(|group| &group["by"]["model"]).collect();
    assert_eq!(models, ["precis/small@v1", "precis/small@v2"]);
}

#[test]
fn days_are_chosen_and_wrong_ones_told() {
    let deployment = Deployment::new();
    three_days(&deployment);
    let chosen = ["quality", "--since", "2026-11-29", "--baseline", "2026-11-28..2026-11-28", "--json"];
    let report = &deployment.run(&chosen).succeeded().json()[0];
    assert_eq!(report["groups"][0]["current"]["documents"], json!(800));
    assert_eq!(
        deployment.run(&["quality", "--since", "2027-01-01"]).succeeded().stdout.trim(),
        "no outcomes since 2027-01-01"
    );
    let overlap = deployment.run(&["quality", "--baseline", "2026-11-28..2026-11-30"]);
    assert!(overlap.code == 1 && overlap.stderr.contains("overlap"), "{}", overlap.stderr);
    let wrong = deployment.run(&["quality", "--since", "yesterday"]);
    assert!(wrong.code == 1 && wrong.stderr.contains("write a day as 2026-11-30"), "{}", wrong.stderr);
}

/// What a judge said of an outcome: on average 0.3 less than its index, in whole numbers.
fn evaluation(outcome: &Outcome, number: i64, round: i32, probability: f64) -> Evaluation {
    let sum = 4 + (16.0 * (outcome.quality_index.unwrap() - 0.3)) as i64 + number / 2 % 2;
    let numbers: Vec<i64> = (0..4).map(|criterion| (sum + criterion) / 4).collect();
    let has_failed = number % 13 == 0;
    let scores = json!({
        "faithfulness": numbers[0], "coverage": numbers[1], "coherence": numbers[2], "conciseness": numbers[3],
        "score": (sum - 4) as f64 / 16.0
    });
    serde_json::from_value(json!({
        "tenant": "acme", "document_id": outcome.document_id, "revision": 0, "round": round, "rubric": "rubric.v1",
        "status": if has_failed { "failed" } else { "judged" },
        "code": has_failed.then_some("no_judge"), "scores": (!has_failed).then_some(scores),
        "judge": {"provider": "elsewhere", "name": "large", "prompt_digest": "fedcba9876543210"},
        "probability": probability, "outcome_status": "answered", "tier": outcome.tier, "model": outcome.model,
        "quality_index": outcome.quality_index, "language": outcome.language, "document_type": outcome.document_type,
        "cost": "0", "origin": outcome.origin, "request_digest": "", "policy_digest": "",
        "settled_at": outcome.settled_at
    }))
    .unwrap()
}

/// A third of the documents is judged, and the last day's twice as often.
#[test]
fn a_judge_on_a_sample_gives_a_score_of_all_summaries() {
    let deployment = Deployment::new();
    let outcomes = three_days(&deployment);
    let without = deployment.run(&["quality"]).succeeded();
    assert!(!without.stdout.contains("Judge"), "{}", without.stdout);
    let chosen = outcomes.iter().zip(0..).filter(|(_, number)| number % 3 == 0 || (*number >= 800 && number % 3 == 1));
    let mut records = Vec::new();
    for (outcome, number) in chosen {
        let probability = if number >= 800 { 2.0 / 3.0 } else { 1.0 / 3.0 };
        records.push(output(topics::EVALUATIONS, &evaluation(outcome, number, 1, probability)));
        if number % 11 == 0 {
            records.push(output(topics::EVALUATIONS, &evaluation(outcome, number + 2, 2, probability / 11.0)));
        }
    }
    // A record that was published again counts once.
    records.extend(records[..60].to_vec());
    publish_records(&deployment, records);

    let report = &deployment.run(&["quality", "--json"]).succeeded().json()[0];
    assert_eq!(report["layers"], json!(["automatic", "judge"]));
    let gpu = &report["groups"][0];
    let (judge, before) = (&gpu["current"]["judge"], &gpu["baseline"]["judge"]);
    let chosen = |judge: &serde_json::Value| judge["judged"].as_u64().unwrap() + judge["failed"].as_u64().unwrap();
    // 800 to 1,199 without those that leave a rest of 2, and every third before.
    assert_eq!((chosen(judge), chosen(before)), (266, 267));
    let value = |value: &serde_json::Value| value.as_f64().unwrap();
    assert!((value(&judge["failed_share"]) - 1.0 / 13.0).abs() < 0.02, "{judge}");
    // The index's means are 0.745 and 0.895.
    for (judge, index) in [(judge, 0.745), (before, 0.895)] {
        let score = &judge["score"];
        assert!((value(&score["mean"]) - (index - 0.3)).abs() < 0.02, "{judge}");
        let width = |interval: &serde_json::Value| value(&interval["high"]) - value(&interval["low"]);
        assert!(width(&score["interval"]) < width(&score["judge_alone"]), "{judge}");
        assert_eq!((&score["covered"], &judge["missing"]), (&json!(1.0), &json!(0)));
    }
    let pairs = gpu["self_agreement"]["pairs"].as_u64().unwrap();
    assert!((30..50).contains(&pairs) && gpu["self_agreement"]["within_one_point"] == json!(1.0), "{gpu}");

    let shown = deployment.run(&["quality"]).succeeded().stdout;
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["a judge on a sample of the summaries", "Judge (95", "Judged"] {
        assert!(words.contains(part), "{shown}");
    }
}

#[test]
fn the_policy_by_which_the_guide_switches_a_judge_on_is_one() {
    let deployment = Deployment::new();
    let guide = include_str!("../../../../docs/guide/quality.md");
    let section = guide.split("## The judge").nth(1).unwrap();
    let judge = section.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let policy = deployment.write("policy.toml", format!("{NO_TIER}\n{judge}"));
    deployment.run(&["policy", "check", text(&policy)]).succeeded();
}

/// The weights follow the labels, and the policy takes them.
#[test]
fn weights_are_refitted_to_labels_of_documents() {
    let deployment = Deployment::new();
    let outcomes = three_days(&deployment);
    let label = |outcome: &Outcome| {
        let value = |name: &str| outcome.checks.iter().find(|check| check.name == name).unwrap().value.unwrap();
        let label = 0.7 * value("coverage") + 0.3 * (1.0 - value("repetition"));
        json!({"tenant": "acme", "document_id": outcome.document_id, "label": label}).to_string()
    };
    let lines: Vec<_> = outcomes[700..1000].iter().map(label).collect();
    let file = deployment.write("labels.jsonl", lines.join("\n"));
    let fitted = deployment.run(&["quality", "weights", text(&file)]).succeeded().stdout;
    assert!(fitted.contains("[quality.types.letter]\n# 300 labels; error 0.0"), "{fitted}");
    let policy = deployment.write("policy.toml", format!("{NO_TIER}\n{fitted}"));
    deployment.run(&["policy", "check", text(&policy)]).succeeded();
    let tables = deployment.run(&["quality", "weights", text(&file), "--json"]).succeeded().json();
    let weights = &tables[0]["tables"][1]["weights"];
    let near = |part: &str, expected: f64| (weights[part].as_f64().unwrap() - expected).abs() < 0.1;
    assert!(near("coverage", 0.7) && near("repetition", 0.3) && near("whole", 0.0), "{weights}");

    let few = deployment.write("few.jsonl", lines[..99].join("\n"));
    let refused = deployment.run(&["quality", "weights", text(&few)]);
    assert!(refused.code == 1 && refused.stderr.contains("a fit needs 100"), "{}", refused.stderr);
    assert!(refused.stdout.is_empty());
}

/// From the file to the figure, without a model.
#[test]
fn documents_that_were_summarised_are_in_the_figure() {
    let deployment = Deployment::new();
    deployment.write(
        "in/minutes.txt",
        "The committee met on Monday and agreed to repair the bridge before the winter comes. Work begins in May and \
         ends in August, and the town pays half of it. The road to the station stays open while the work goes on. A \
         ferry takes those who walk, and a bus takes those who do not.",
    );
    let policy = deployment.write("extracts.toml", include_str!("../../../../examples/policy-extracts.toml"));
    deployment.run(&["summarize", "in", "--policy", text(&policy), "--max-words", "50"]).succeeded();
    let report = &deployment.run(&["quality", "--json"]).succeeded().json()[0];
    let group = &report["groups"][0];
    assert_eq!((&group["by"], &group["current"]["endings"]["extracted"]), (&json!({"tier": "extracts"}), &json!(1)));
    assert!(group["current"]["index"]["mean"].as_f64().unwrap() > 0.5, "{group}");
    assert_eq!(group["test"]["not_run"], json!("there is no baseline"));
}
