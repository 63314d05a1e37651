#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::time::Duration;

use precis_schemas::{PrecisionRecall, ReferenceScores, Rouge, Usd};

use super::*;
use crate::inputs::SUMMARIES_FILE;
use crate::output::width::columns;

fn row(name: &str, outcome: End) -> Row {
    let mut row = Row::without_summary(name, Some(&format!("{name}-0123456789abcdef")), outcome, "code", "message");
    if outcome.has_summary() {
        row.summary = Some("The first words of a summary that goes on for quite a while.".into());
        row.tier = Some("gpu".into());
        row.finish_reason = Some("stop".into());
        (row.code, row.message) = (None, None);
        (row.words_in, row.words_out, row.seconds) = (1200, 42, 3.25);
        (row.input_tokens, row.output_tokens) = (1800, 60);
    }
    row
}

fn check(name: &str, passed: bool, detail: &str) -> CheckResult {
    CheckResult { name: name.into(), passed, value: None, detail: detail.into() }
}

#[test]
fn only_failed_checks_are_findings() {
    let mut row = row("a", End::Flagged);
    assert_eq!(row.findings(), "");
    row.checks = vec![
        check("truncated", true, "ends well"),
        check("unsupported_numbers", false, "1998, 42"),
        check("language", false, ""),
    ];
    assert_eq!(row.findings(), "unsupported numbers: 1998, 42; language");
}

#[test]
fn the_index_is_shown_and_the_reference_beside_it() {
    let mut row = row("a", End::Answered);
    assert_eq!(row.quality(), "");
    assert!(!plain_text(&row).contains("quality"));
    row.quality_index = Some(0.934);
    row.scores = Some(Scores::default());
    assert_eq!(row.quality(), "quality index 0.93");
    let json = serde_json::to_value(&row).unwrap();
    assert!((json["quality_index"].as_f64().unwrap() - 0.934).abs() < 1e-9 && json["scores"]["reference"].is_null());
    let one = PrecisionRecall { precision: 0.25, recall: 1.0, f: 0.4 };
    let rouge = Rouge { rouge1: one, rouge2: one, rouge_l: one, rouge_lsum: one };
    let reference = ReferenceScores {
        rouge,
        rouge_stemmed: rouge,
        unicode_rouge: rouge,
        bleu: 12.34,
        chrf: 45.67,
        exact_match: false,
    };
    row.scores = Some(Scores { reference: Some(reference), ..Scores::default() });
    let expected =
        "quality index 0.93, beside the reference ROUGE-1 0.40, ROUGE-2 0.40, ROUGE-L 0.40, BLEU 12.3, chrF 45.7";
    assert_eq!(row.quality(), expected);
    assert!(plain_text(&row).contains(expected));
}

/// Results of versions without figures are read, too.
#[test]
fn a_row_without_figures_is_read() {
    let mut json = serde_json::to_value(row("a", End::Answered)).unwrap();
    assert!(json.as_object().unwrap().get("quality_index").is_none(), "nothing is written where there is nothing");
    json.as_object_mut().unwrap().remove("scores");
    assert_eq!(serde_json::from_value::<Row>(json).unwrap().scores, None);
}

fn shown(rows: &[Row], width: usize) -> String {
    table_of(rows, width).lines(width).join("\n")
}

/// And the first words of the summary.
#[test]
fn the_table_tells_outcome_words_seconds_and_findings() {
    let mut flagged = row("documents/in/a-document-with-a-name-that-is-longer-than-its-column.txt", End::Flagged);
    flagged.checks =
        vec![check("repetition", false, "0.31"), check("unsupported_names", false, "not in the source: Nsl")];
    let mut stored = row("documents/b.txt", End::Answered);
    stored.from_store = true;
    let text = shown(&[flagged, stored, row("documents/c.txt", End::NotRead)], 150);
    for expected in [
        "is-longer-than-its-column.txt ",
        " b.txt ",
        "flagged",
        "1200 → 42",
        "3.2",
        "repetition, names: Nsl",
        "The first words of a",
        "stored",
        "not read",
        "message",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
}

/// Long names of any script, long findings, a hostile text: in every width that has room for a name
/// and an outcome beside it.
#[test]
fn a_document_takes_one_line_in_terminals_of_any_width() {
    let mut long = row("a-document-with-a-name-that-is-longer-than-its-column-in-any-table.txt", End::Flagged);
    long.checks = vec![check("unsupported_names", false, &format!("not in the source: {}", "Name, ".repeat(40)))];
    let mut wide = row("報告書/とても長い名前のファイル、どの列にも入らないもの.txt", End::Answered);
    wide.summary = Some("要約の最初の言葉は、かなり長い間続きます。👩\u{200d}👧 e\u{301}e\u{301}".repeat(4));
    let mut hostile = row("a\nb\u{1b}[31m\u{202e}\u{9b}.txt", End::Failed);
    hostile.message = Some("no\u{7}pe\r\nand more\t".into());
    let rows = [long, wide, hostile];
    for width in 1..=400 {
        let text = shown(&rows, width);
        if width < 22 {
            assert!(text.contains("Outcome: answered") && text.contains("\\u{1b}[31m"), "{width}\n{text}");
            continue;
        }
        assert_eq!(text.lines().count(), 2 + rows.len(), "{width}\n{text}");
        assert!(text.lines().all(|line| columns(line) <= width), "{width}\n{text}");
    }
    assert_eq!(shown(&rows, 100_000).lines().count(), 2 + rows.len());
}

#[test]
fn names_lose_the_folder_that_all_share_and_nothing_else() {
    let names = |names: &[&str]| display_names(&names.iter().map(|name| row(name, End::Answered)).collect::<Vec<_>>());
    assert_eq!(names(&["in/é/a.txt", "in/é/b/c.txt"]), ["a.txt", "b/c.txt"]);
    assert_eq!(names(&["in/a.txt", "inner/a.txt"]), ["in/a.txt", "inner/a.txt"]);
    assert_eq!(names(&["in/a.txt"]), ["a.txt"]);
    assert_eq!(names(&["stdin", "in/a.txt"]), ["stdin", "in/a.txt"]);
    assert_eq!(names(&["in/same", "in/same"]), ["same", "same"]);
}

#[test]
fn totals_count_only_new_work_as_work() {
    let mut stored = row("a", End::Answered);
    stored.from_store = true;
    stored.cost_usd = "0.5".parse().unwrap();
    let mut paid = row("b", End::Flagged);
    paid.cost_usd = "0.25".parse().unwrap();
    let totals = Totals::of(&[stored, paid, row("c", End::NotRead)], Duration::from_secs(30));
    assert_eq!((totals.answered, totals.flagged, totals.not_read, totals.from_store), (1, 1, 1, 1));
    assert_eq!((totals.tokens, totals.cost_usd), (1860, "0.25".parse::<Usd>().unwrap()));
    assert!(!totals.all_have_summaries());
    let text = totals.to_string();
    assert!(text.contains("3 documents: 1 answered, 1 flagged, 1 not read"), "{text}");
    assert!(text.contains("2.0 documents a minute, 62 tokens a second"), "{text}");
    assert!(text.contains("\n1 document settled from what was stored"), "{text}");
}

#[test]
fn a_run_that_only_reads_the_store_says_so() {
    let mut stored = row("a", End::Answered);
    stored.from_store = true;
    let text = Totals::of(&[stored.clone(), stored], Duration::from_millis(400)).to_string();
    assert!(text.contains("\nall 2 documents settled from what was stored"), "{text}");
    assert!(!text.contains("a minute"), "{text}");
}

#[test]
fn every_document_has_its_file_and_the_summaries_are_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut odd = row("b", End::Answered);
    odd.document_id = Some("../ünsafe name/".into());
    let mut twin = odd.clone();
    twin.document_id = Some("../ünsafe?name/".into());
    let rows = [row("a_b.txt", End::Flagged), odd, twin, row("c", End::NotRead)];
    let summaries = write_files(&folder.path().join("out"), &rows[..3], &Totals::of(&rows, Duration::ZERO)).unwrap();
    let mut names: Vec<_> = fs::read_dir(folder.path().join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["_ünsafe_name_-2.json", "_ünsafe_name_.json", "a_b.txt-0123456789abcdef.json", "summaries.md"]);
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("out").join(&names[2])).unwrap()).unwrap();
    assert_eq!((json["outcome"].as_str(), json["words_in"].as_i64()), (Some("flagged"), Some(1200)));
    let text = fs::read_to_string(summaries.page).unwrap();
    assert!(text.contains("## a\\_b.txt\n\nThe first words"), "{text}");
}

#[test]
fn times_are_utc() {
    assert_eq!(utc(0), "1970-01-01T00:00:00Z");
}

#[test]
fn a_better_result_of_an_earlier_run_stays_and_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let write = |rows: &[Row]| write_files(folder.path(), rows, &Totals::of(rows, Duration::ZERO)).unwrap();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let ranks = [End::Waiting, End::Failed, End::Flagged, End::Extracted, End::Answered];
    for (place, better) in ranks.into_iter().enumerate() {
        let good = row("a.txt", better);
        assert_eq!(write(std::slice::from_ref(&good)).kept, 0, "{better:?}: what is better replaces what is worse");
        let file = read("a.txt-0123456789abcdef.json");
        for worse in &ranks[..place] {
            assert_eq!(write(&[row("a.txt", *worse), row("b.txt", End::Flagged)]).kept, 1, "{better:?} {worse:?}");
            assert_eq!(read("a.txt-0123456789abcdef.json"), file, "{better:?} {worse:?}");
            let page = read(SUMMARIES_FILE);
            assert_eq!(page.contains("No summary"), !better.has_summary(), "{better:?} {worse:?}: {page}");
            assert!(page.contains(&format!("1 {}", better.as_str())) || better == End::Flagged, "{page}");
        }
    }
}

#[test]
fn another_document_is_no_better_result() {
    let folder = tempfile::tempdir().unwrap();
    let write = |rows: &[Row]| write_files(folder.path(), rows, &Totals::of(rows, Duration::ZERO)).unwrap();
    write(&[row("a", End::Answered)]);
    let later = Row { revision: 1, ..row("a", End::Failed) };
    assert_eq!(write(std::slice::from_ref(&later)).kept, 0);
    let file: Row = serde_json::from_slice(&fs::read(folder.path().join("a-0123456789abcdef.json")).unwrap()).unwrap();
    assert_eq!(file, later);
}

#[test]
fn a_page_without_any_summary_replaces_none() {
    let folder = tempfile::tempdir().unwrap();
    let write = |rows: &[Row]| write_files(folder.path(), rows, &Totals::of(rows, Duration::ZERO)).unwrap();
    write(&[row("a", End::Answered)]);
    let page = fs::read_to_string(folder.path().join(SUMMARIES_FILE)).unwrap();
    write(&[row("b", End::Waiting)]);
    assert_eq!(fs::read_to_string(folder.path().join(SUMMARIES_FILE)).unwrap(), page);
}

#[test]
fn what_cannot_be_written_leaves_no_part() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [row("a", End::Answered)];
    // A folder in the file's place: it cannot be renamed over.
    fs::create_dir_all(folder.path().join("a-0123456789abcdef.json/x")).unwrap();
    write_files(folder.path(), &rows, &Totals::of(&rows, Duration::ZERO)).unwrap_err();
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a-0123456789abcdef.json"]);
}

#[test]
fn whether_files_can_be_written_is_found_out_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/out");
    check_writable(&out).unwrap();
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    fs::create_dir(out.join(SUMMARIES_FILE)).unwrap();
    assert!(check_writable(&out).unwrap_err().to_string().contains(SUMMARIES_FILE));
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(check_writable(&folder.path().join("file")).unwrap_err().to_string().contains("file"));
}

/// A shared folder, and somebody who knows the name under which a file is written first.
#[cfg(unix)]
#[test]
fn a_link_in_the_folder_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let (out, victim) = (folder.path().join("out"), folder.path().join("victim"));
    fs::create_dir(&out).unwrap();
    fs::write(&victim, "untouched").unwrap();
    let link =
        || std::os::unix::fs::symlink(&victim, out.join(format!(".precis-{}.part", std::process::id()))).unwrap();
    link();
    check_writable(&out).unwrap();
    link();
    std::os::unix::fs::symlink(&victim, out.join(SUMMARIES_FILE)).unwrap();
    let rows = [row("a", End::Answered)];
    write_files(&out, &rows, &Totals::of(&rows, Duration::ZERO)).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    assert!(fs::read_to_string(out.join(SUMMARIES_FILE)).unwrap().contains("first words"));
}

/// Extracts are named as such everywhere, with what they stand in for, and are no passes of the
/// model.
#[test]
fn extracts_are_told_apart_from_answers() {
    let mut extracted = row("b.txt", End::Extracted);
    extracted.tier = None;
    extracted.rejected = vec![RejectedAnswer {
        tier: "gpu".into(),
        failed_checks: vec!["truncated".into(), "unsupported_numbers".into()],
    }];
    let rows = [row("a.txt", End::Answered), extracted, row("c.txt", End::Extracted)];
    let totals = Totals::of(&rows, Duration::ZERO);
    assert_eq!((totals.answered, totals.extracted, totals.extracted_instead, totals.flagged), (1, 2, 1, 0));
    assert!(totals.all_have_summaries());
    let text = totals.to_string();
    assert!(text.starts_with("3 documents: 1 answered, 2 extracted;"), "{text}");
    assert!(text.contains("1 in place of a model's answer"), "{text}");
    let table = shown(&rows, 150);
    assert!(table.contains("extracted") && table.contains("gpu's answer failed truncated"), "{table}");
    assert!(plain_text(&rows[1]).contains("extracted from the document itself"), "{}", plain_text(&rows[1]));
    let folder = tempfile::tempdir().unwrap();
    let written = write_files(folder.path(), &rows, &totals).unwrap();
    let page = fs::read_to_string(written.page).unwrap();
    assert!(page.contains("<sub>extracted · gpu's answer failed truncated, unsupported numbers"), "{page}");
    let file: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("b.txt-0123456789abcdef.json")).unwrap()).unwrap();
    assert_eq!((file["outcome"].as_str(), file["rejected"][0]["tier"].as_str()), (Some("extracted"), Some("gpu")));
}
