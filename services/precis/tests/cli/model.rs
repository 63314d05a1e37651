//! What needs the model.

use serde_json::json;

use crate::harness::{Deployment, text};

const ARTICLES: [(&str, &str); 3] = [
    (
        "bridge.txt",
        "The town council of Millbrook decided on Tuesday to rebuild the old stone bridge over the river. The bridge was closed in March \
         after engineers found cracks in two of its arches. The work will take about eight months and will be paid for by the county. Until \
         it is finished, buses will use the road along the mill. Shop owners on the east side had asked for a temporary footbridge, and the \
         council agreed to build one before the summer.",
    ),
    (
        "garden.md",
        "# The school garden\n\nThe pupils of the school have planted a garden behind the gymnasium. They grow beans, carrots and sunflowers, \
         and they sell what they harvest at the market on Saturdays. The money pays for new tools and for a trip to the botanical garden. \
         Parents help on weekends, and a retired farmer shows the children how to keep the soil healthy without fertiliser.",
    ),
    (
        "library.html",
        "<html><body><h1>The library</h1><p>The public library will open on Sundays from next month. Visitors had asked for longer hours in a \
         survey last year, and the city has hired two more librarians. On Sundays there will be readings for children in the morning and a \
         language exchange in the afternoon. The reading room stays closed, because its heating is being repaired.</p></body></html>",
    ),
];

#[test]
#[ignore = "needs the model: make test fetches it"]
fn a_second_run_settles_every_document_from_what_is_stored() {
    let deployment = Deployment::new();
    for (name, text) in ARTICLES {
        deployment.write(&format!("in/{name}"), text);
    }
    deployment.write("in/broken.txt", b"\xff\xfe\0");
    let out = deployment.path("out");
    let run = || deployment.run(&["summarize", "in", "--out", text(&out), "--max-words", "50", "--json"]);

    let first = run();
    assert_eq!(first.code, 2, "{}", first.stderr);
    let rows = first.json();
    assert_eq!(rows.len(), 4);
    let (done, bad) = rows.split_at(3);
    assert_eq!(bad[0]["outcome"], json!("not_read"));
    for row in done {
        assert!(["answered", "extracted", "flagged"].contains(&row["outcome"].as_str().unwrap()), "{row}");
        assert!(!row["summary"].as_str().unwrap().trim().is_empty(), "{row}");
        let tier = if row["outcome"] == "extracted" { &row["rejected"][0]["tier"] } else { &row["tier"] };
        assert_eq!((tier, &row["from_store"]), (&json!("gpu"), &json!(false)));
        assert!(row["output_tokens"].as_i64() > Some(0), "{row}");
        assert!(out.join(format!("{}.json", row["document_id"].as_str().unwrap())).is_file());
    }
    let summaries = std::fs::read_to_string(out.join("summaries.md")).unwrap();
    assert!(summaries.contains("bridge.txt") && summaries.contains("broken.txt"), "{summaries}");

    let second = run();
    for (before, now) in rows.iter().zip(second.json()).take(3) {
        assert_eq!(now["from_store"], json!(true), "{now}");
        assert_eq!((&before["summary"], &before["settled_at"]), (&now["summary"], &now["settled_at"]));
    }
}

#[test]
#[ignore = "needs the model: make test fetches it"]
fn bench_measures_the_same_prompts_that_it_writes() {
    let deployment = Deployment::new();
    for (name, text) in ARTICLES {
        deployment.write(&format!("in/{name}"), text);
    }
    deployment.run(&["bench", "--documents", "in", "--write-prompts", "prompts.txt"]).succeeded();
    let prompts = std::fs::read_to_string(deployment.path("prompts.txt")).unwrap();
    let tokens = prompts.split_whitespace().count();
    assert_eq!(prompts.lines().count(), 3);

    let common = ["bench", "--new-tokens", "6", "--batch", "2", "--json"];
    let run = |more: &[&str]| deployment.run(&[&common, more].concat()).succeeded().json();
    let (by_file, by_text) = (run(&["--prompts", "prompts.txt"]), run(&["--documents", "in", "--rounds", "2"]));
    assert_eq!((by_file.len(), by_text.len()), (1, 2));
    for row in by_file.iter().chain(&by_text) {
        let measured = &row["measured"];
        assert_eq!((&measured["documents"], &measured["output_tokens"]), (&json!(3), &json!(18)), "{row}");
        assert_eq!(measured["input_tokens"], json!(tokens), "{row}");
        assert!(row["documents_per_minute"].as_f64() > Some(0.0), "{row}");
        // Keys and values of what two of them need, and no less than the process has in all.
        assert!(
            row["kv_bytes"].as_u64() > Some(0) && row["kv_bytes"].as_u64() < row["peak_rss_bytes"].as_u64(),
            "{row}"
        );
    }
    let decode = run(&["--prompts", "prompts.txt", "--scenario", "decode", "--context", "64"]);
    let measured = &decode[0]["measured"];
    assert_eq!(measured["output_tokens"].as_u64(), measured["steps"].as_u64().map(|steps| steps * 2), "{}", decode[0]);
    assert!(measured["steps"].as_u64() >= Some(3), "{}", decode[0]);
}
