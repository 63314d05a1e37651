//! What commands print where it is read, where nobody reads, and where a stranger has chosen the
//! names.

use std::path::Path;
use std::process::Stdio;

use precis::output::visible::is_invisible;
use precis_flow::{EmbeddedConfig, LogConfig, Output};
use precis_pipeline::topics;
use precis_schemas::{
    AuditRecord, AvroRecord, DeadLetter, DeadLetterAction, LedgerAttempt, Outcome, PolicyApplied, TierSwitch,
};
use serde_json::{Value, json};

use crate::harness::{Deployment, Done, NO_TIER, text};

/// A name that would write on the screen, change the window's title, turn the text around and start
/// a line of its own.
const HOSTILE: &str = "evil\u{1b}[31mred\u{1b}]0;title\u{7}\u{9b}2J\u{7f}\u{202e}\u{200b}\u{2028}\r\nnext *line* | a";

/// Commands that print and end, each with its exit code in a deployment without services.
const PRINTING: [(&[&str], i32); 17] = [
    (&["--help"], 0),
    (&["--version"], 0),
    (&["status"], 0),
    (&["results"], 0),
    (&["results", "--id", "nobody's"], 1),
    (&["spend"], 0),
    (&["audit"], 0),
    (&["dead-letters", "list"], 0),
    (&["dead-letters", "show", "nobody's"], 1),
    (&["dead-letters", "replay", "nobody's", "--json"], 2),
    (&["models", "list"], 0),
    (&["policy", "show"], 0),
    (&["policy", "show", "--toml"], 0),
    (&["config", "reference"], 0),
    (&["config", "check"], 0),
    (&["topics", "apply"], 0),
    (&["submit", "in"], 2),
];

fn deployment() -> Deployment {
    let deployment = Deployment::new();
    deployment.write("in/good.txt", "A text.");
    deployment.write("in/bad.txt", b"\0\0binary");
    deployment
}

/// A pipe whose reader is gone already.
fn nobody() -> Stdio {
    let (_, writer) = std::io::pipe().unwrap();
    writer.into()
}

#[test]
fn a_reader_that_goes_away_costs_no_command_its_exit_code() {
    let deployment = deployment();
    for (arguments, code) in PRINTING {
        let read = deployment.run(arguments);
        assert_eq!(read.code, code, "{arguments:?}: {}", read.stderr);
        let unread = deployment.run_with_stdout(arguments, nobody());
        assert_eq!(unread.code, code, "{arguments:?}: {}", unread.stderr);
        assert!(!unread.stderr.contains("stdout"), "{arguments:?}: {}", unread.stderr);
        let closed = deployment.run_with_closed_stdout(arguments);
        assert_eq!(closed.code, code, "{arguments:?}: {}", closed.stderr);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_stdout_is_told_by_every_command() {
    let deployment = deployment();
    for (arguments, code) in PRINTING {
        let full = deployment.run_with_stdout(arguments, std::fs::File::create("/dev/full").unwrap().into());
        assert_eq!(full.code, 1, "{arguments:?}: {}", full.stderr);
        // What ends with 1 anyhow may have nothing to print.
        let told = full.stderr.contains("stdout cannot be written");
        assert!(told || code == 1, "{arguments:?}: {}", full.stderr);
    }
}

#[test]
fn what_summarize_writes_does_not_depend_on_who_reads_stdout() {
    let deployment = Deployment::new();
    for (number, stdout) in [nobody(), Stdio::null()].into_iter().enumerate() {
        let out = deployment.path(&format!("out-{number}"));
        let done = deployment.run_with_stdout(&["summarize", "missing.txt", "--out", text(&out)], stdout);
        assert_eq!(done.code, 2, "{}", done.stderr);
        let summaries = std::fs::read_to_string(out.join("summaries.md")).unwrap();
        assert!(summaries.contains("missing.txt"), "{summaries}");
    }
    // A folder that cannot be written is told before the work.
    let file = deployment.write("no-folder/summaries.md/in-the-way", "");
    let out = text(file.parent().and_then(Path::parent).unwrap());
    let done = deployment.run(&["summarize", "missing.txt", "--out", out]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("summaries.md") && done.stdout.is_empty(), "{}", done.stderr);
}

/// More documents than are published at once: the reader is gone after the first of them.
#[test]
fn all_documents_are_published_where_nobody_reads_their_ids() {
    let deployment = Deployment::new();
    let lines: String =
        (0..150).map(|id| format!("{}\n", json!({ "id": format!("d-{id}"), "text": "A text." }))).collect();
    deployment.write("in.jsonl", lines);
    assert_eq!(deployment.run_with_stdout(&["submit", "in.jsonl"], nobody()).code, 0);
    let status = deployment.run(&["status", "--json"]).succeeded().json().remove(0);
    let topic = status["topics"].as_array().unwrap().iter().find(|topic| topic["topic"] == "documents.local").unwrap();
    assert!(topic["end"].as_i64().unwrap() >= 150, "{topic}");
}

#[test]
fn what_follows_ends_when_its_reader_is_gone() {
    let deployment = deployment();
    deployment.run(&["topics", "apply"]).succeeded();
    for arguments in [["results", "--follow"], ["audit", "--follow"]] {
        assert_eq!(deployment.run_with_stdout(&arguments, nobody()).code, 0, "{arguments:?}");
    }
}

fn record<T: AvroRecord + serde::de::DeserializeOwned>(topic: &str, key: &str, value: Value) -> Output {
    let value: T = serde_json::from_value(value).unwrap();
    Output::to(topic).key(key).record(&value).unwrap()
}

/// The id of a dead letter of a hostile stage.
fn hostile_id() -> String {
    format!("{HOSTILE}/documents.local/0/7")
}

/// A record of each kind, with a hostile text wherever a text can be.
fn publish_hostile_records(deployment: &Deployment) {
    let origin = json!({ "topic": HOSTILE, "partition": 0, "offset": 1 });
    // An answer may have several lines; everything else has one.
    let summary = HOSTILE.replace("\r\n", " ");
    let summary = format!("{summary}\r\n{summary}");
    let outcome = |status: &str| {
        json!({
            "tenant": "local", "document_id": HOSTILE, "revision": 0, "status": status, "summary": summary,
            "code": HOSTILE, "message": HOSTILE, "tier": HOSTILE, "finish_reason": HOSTILE, "language": HOSTILE,
            "model": { "provider": HOSTILE, "name": HOSTILE, "prompt_digest": "" },
            "checks": [{ "name": HOSTILE, "passed": false, "detail": HOSTILE }],
            "decision": { "score": 0.5, "chosen": HOSTILE, "reason": HOSTILE, "policy_digest": HOSTILE },
            "trail": [{ "tier": HOSTILE, "result": "refused", "code": HOSTILE, "policy_digest": "", "at": 0 }],
            "cost": "0", "origin": origin, "request_digest": "", "request_fingerprint": "", "policy_digest": "",
            "submitted_at": 0, "settled_at": 0, "document_type": HOSTILE,
        })
    };
    let mut failed = outcome("failed");
    failed["summary"] = json!(null);
    let letter = json!({
        "id": hostile_id(), "stage": HOSTILE, "code": HOSTILE, "message": HOSTILE, "topic": "documents.local", "partition": 0, "offset": 7,
        "tenant": HOSTILE, "failed_at": 0, "headers": [{ "name": HOSTILE, "value": HOSTILE.as_bytes() }], "key": HOSTILE.as_bytes(),
    });
    let records = vec![
        record::<Outcome>(topics::SUMMARIES, "a", outcome("answered")),
        record::<Outcome>(topics::SUMMARIES, "b", outcome("flagged")),
        record::<Outcome>(topics::SUMMARIES, "c", failed),
        record::<DeadLetter>(topics::DEAD_LETTERS, "d", letter.clone()),
        // One whose id is another's, which is left out and told.
        record::<DeadLetter>(topics::DEAD_LETTERS, "d", {
            let mut squatting = letter;
            squatting["id"] = json!(HOSTILE);
            squatting
        }),
        record::<DeadLetterAction>(
            topics::DEAD_LETTER_ACTIONS,
            "d",
            json!({ "id": hostile_id(), "action": "replayed", "by": HOSTILE, "at": 0, "reason": HOSTILE }),
        ),
        record::<AuditRecord>(
            topics::AUDIT,
            "e",
            json!({ "at": 0, "by": HOSTILE, "action": HOSTILE, "target": HOSTILE, "before": HOSTILE, "after": HOSTILE, "reason": HOSTILE,
                "details": { HOSTILE: HOSTILE }, "host": HOSTILE, "program": HOSTILE }),
        ),
        record::<LedgerAttempt>(
            topics::LEDGER,
            "f",
            json!({ "attempt_id": HOSTILE, "tenant": HOSTILE, "document_id": HOSTILE, "revision": 0, "tier": HOSTILE, "provider": HOSTILE,
                "model": HOSTILE, "reserved": "0.1", "price_digest": HOSTILE, "at": 0 }),
        ),
        record::<TierSwitch>(
            topics::CONTROL,
            "tier/gpu",
            json!({ "tier": "gpu", "state": "off", "reason": HOSTILE, "by": HOSTILE, "at": 0 }),
        ),
        record::<PolicyApplied>(
            topics::CONTROL,
            "policy",
            json!({ "digest": precis_policy::Policy::parse(NO_TIER).unwrap().digest(), "toml": NO_TIER, "applied_by": HOSTILE,
                "applied_at": 0 }),
        ),
    ];
    let log = LogConfig { embedded: EmbeddedConfig { path: deployment.path("state/log.db") }, ..LogConfig::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { precis_flow::open(&log).await.unwrap().publish(records).await.unwrap() });
}

fn assert_harmless(what: &str, text: &str) {
    let found = text.chars().find(|character| is_invisible(*character) && *character != '\n');
    assert!(found.is_none(), "{what}: {found:?} in {text:?}");
    assert!(!text.lines().any(|line| line.starts_with("next *line*")), "{what}: {text}");
}

fn shown(what: &[&str], done: &Done) -> String {
    assert_harmless(&format!("stdout of {what:?}"), &done.stdout);
    assert_harmless(&format!("stderr of {what:?}"), &done.stderr);
    format!("{}{}", done.stdout, done.stderr)
}

/// Every command that prints what strangers wrote, as text and as JSON.
#[test]
fn no_command_prints_what_a_terminal_obeys() {
    let deployment = Deployment::new();
    deployment.run(&["topics", "apply"]).succeeded();
    publish_hostile_records(&deployment);
    let id = hostile_id();
    for arguments in [
        &["results"][..],
        &["spend", "--by", "tenant", "--by", "tier"],
        &["audit"],
        &["dead-letters", "list"],
        &["dead-letters", "show", id.as_str()],
        &["dead-letters", "show", HOSTILE],
        &["dead-letters", "replay", id.as_str()],
        &["dead-letters", "replay", HOSTILE],
        &["dead-letters", "replay", "--all", "--code", HOSTILE],
        &["status"],
        &["policy", "show"],
        &["policy", "check", HOSTILE],
        &["models", "pull", HOSTILE],
        &["models", "quantise", HOSTILE],
        &["tiers", "on", HOSTILE],
        &["topics", "apply"],
        &["topics", "acls"],
        &["topics", "acls", "--principal", HOSTILE],
        &["doctor", "--quick"],
        &["bench", "--documents", HOSTILE],
        &["bench", "--prompts", HOSTILE],
        &["submit", HOSTILE],
        &["summarize", HOSTILE],
        &[HOSTILE],
        &["config", "check", "--config", HOSTILE],
    ] {
        for more in [&[][..], &["--json"]] {
            let done = deployment.run(&[arguments, more].concat());
            assert!(!shown(arguments, &done).is_empty(), "{arguments:?} {more:?}");
        }
    }
    assert!(deployment.run(&["results"]).stdout.contains("\\u{1b}[31m"));
    // JSON holds the value itself.
    let rows = deployment.run(&["results", "--json"]).succeeded().json();
    assert_eq!((rows.len(), &rows[0]["document_id"]), (3, &json!(HOSTILE)));
    for (arguments, last) in [(["results", "--follow"], "failed"), (["audit", "--follow"], "evil")] {
        for more in [None, Some("--json")] {
            let mut follow = deployment.start(&arguments.into_iter().chain(more).collect::<Vec<_>>());
            follow.until(|line| {
                assert_harmless(&format!("{arguments:?}"), line);
                line.contains(last)
            });
        }
    }
}

/// Names of files come from archives and downloads; ids from whoever wrote the JSON.
#[test]
fn hostile_names_of_files_are_shown_in_every_report() {
    let deployment = Deployment::new();
    let name = HOSTILE.replace('/', "");
    deployment.write(&format!("in/{name}.txt"), b"\0\0binary");
    deployment.write("in/lines.jsonl", format!("{}\n", json!({ "id": HOSTILE, "text": "A text." })));
    for more in [&[][..], &["--json"]] {
        let submitted = deployment.run(&[&["submit", "in"], more].concat());
        let told = shown(&["submit"], &submitted);
        assert!(submitted.code == 2 && told.contains("\\u{1b}[31m"), "{told}");
    }
    let out = deployment.path("out");
    let arguments = ["summarize", &format!("in/{name}.txt"), "gone.txt", "--out", text(&out)];
    let told = shown(&arguments, &deployment.run(&arguments));
    assert!(told.contains("\\u{1b}[31m"), "{told}");
    let summaries = std::fs::read_to_string(out.join("summaries.md")).unwrap();
    assert_harmless("summaries.md", &summaries);
    assert_eq!(summaries.lines().filter(|line| line.starts_with('#')).count(), 3, "{summaries}");
    assert!(summaries.contains("\\*line\\* \\| a"), "{summaries}");
}
