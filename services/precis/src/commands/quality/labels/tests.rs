#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn outcome(id: &str, revision: i64, coverage: f64) -> Outcome {
    serde_json::from_value(json!({
        "tenant": "acme", "document_id": id, "revision": revision, "status": "answered", "summary": "Short.",
        "document_type": "letter", "checks": [{"name": "coverage", "passed": true, "value": coverage}], "cost": "0",
        "origin": {"topic": "documents.acme", "partition": 0, "offset": 0}, "request_digest": "",
        "request_fingerprint": "", "policy_digest": "", "submitted_at": 0, "settled_at": 0
    }))
    .unwrap()
}

fn read(lines: &str) -> anyhow::Result<Labels> {
    Labels::of_lines("labels.jsonl", lines.as_bytes())
}

fn coverage(measured: &Measured) -> f64 {
    measured.parts.unwrap()[2].unwrap()
}

/// The highest revision where a line names none, and the one that it names.
#[test]
fn labels_find_the_outcome_that_they_name() {
    let mut labels = read(
        "{\"tenant\": \"acme\", \"document_id\": \"a\", \"label\": \"good\"}\n\n\
         {\"tenant\": \"acme\", \"document_id\": \"a\", \"label\": 0.5}\n\
         {\"tenant\": \"acme\", \"document_id\": \"a\", \"revision\": 1, \"label\": \"bad\"}\n\
         {\"document_id\": \"a\", \"label\": \"bad\"}\n",
    )
    .unwrap();
    for (revision, value) in [(1, 0.1), (3, 0.3), (2, 0.2)] {
        labels.look_at(&outcome("a", revision, value));
        labels.look_at(&outcome("b", revision, value));
    }
    let (examples, lost) = labels.examples();
    let found: Vec<_> = examples.iter().map(|(measured, label)| (coverage(measured), *label)).collect();
    assert_eq!((found, lost), (vec![(0.3, 0.75), (0.1, 0.0)], 1));
}

/// As `precis results --json` prints it, with a label added.
#[test]
fn a_line_may_carry_what_was_measured() {
    let line = json!({
        "document": "a.txt", "document_id": "a", "checks": [{"name": "coverage", "passed": true, "value": 0.8, "detail": ""}],
        "scores": {"novelty2": 0.4}, "routing": {"document_type": "table", "score": 0.5}, "label": "good"
    });
    let refusal = json!({"checks": [{"name": "refusal", "passed": false}], "label": 0});
    let labels = read(&format!("{line}\n{refusal}")).unwrap();
    assert!(!labels.names_documents());
    let (examples, _) = labels.examples();
    let (table, void) = (&examples[0].0, &examples[1].0);
    assert_eq!((table.document_type.as_str(), coverage(table), table.parts.unwrap()[7]), ("table", 0.8, Some(0.4)));
    assert_eq!((void.document_type.as_str(), void.parts), ("", None));
}

#[test]
fn a_line_that_is_no_label_is_named() {
    for (line, why) in [
        ("{\"document_id\": \"a\"}", "line 2: is no label"),
        ("{\"document_id\": \"a\", \"label\": \"fine\"}", "line 2: is no label"),
        ("{\"document_id\": \"a\", \"label\": 7}", "line 2: the label 7 is not from 0 to 1"),
        ("{\"label\": 1}", "line 2: names no document_id and has no checks"),
    ] {
        let error = format!("{:#}", read(&format!("{{\"document_id\": \"a\", \"label\": 1}}\n{line}\n")).unwrap_err());
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn broken_labels_are_survived() {
    let valid = [
        "{\"tenant\": \"acme\", \"document_id\": \"a\", \"revision\": 1, \"label\": \"good\"}\n",
        "{\"checks\": [{\"name\": \"coverage\", \"passed\": true, \"value\": 0.5}], \"scores\": {\"novelty2\": 1e9}, \"label\": 0.1}",
    ];
    precis_fuzz::survives("quality-labels", &valid.map(|line| line.as_bytes().to_vec()), |bytes| {
        let Ok(mut labels) = Labels::of_lines("labels.jsonl", bytes) else { return };
        labels.look_at(&outcome("a", 1, 0.5));
        for (measured, label) in labels.examples().0 {
            let parts = measured.parts.into_iter().flatten().flatten();
            assert!(parts.chain([label]).all(|value| (0.0..=1.0).contains(&value)));
        }
    });
}
