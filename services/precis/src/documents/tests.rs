#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use super::*;

fn input(stem: &str, text: &str) -> Input {
    Input {
        name: format!("{stem}.txt"),
        stem: stem.to_owned(),
        stated_id: None,
        title: None,
        language: None,
        reference: None,
        text: text.to_owned(),
    }
}

fn id(text: &str, options: &RequestOptions, answering: &[&str], now_ms: i64) -> String {
    document(&input("report", text), options, answering, now_ms).document_id
}

#[test]
fn the_same_request_has_the_same_id_at_any_time() {
    let options = RequestOptions::default();
    let first = id("text", &options, &["model"], 1);
    assert_eq!(first, id("text", &options, &["model"], 2));
    assert!(first.starts_with("report-") && first.len() == "report-".len() + DIGEST_DIGITS, "{first}");
}

#[test]
fn another_text_option_or_model_is_another_document() {
    let plain = id("text", &RequestOptions::default(), &["model", "policy"], 1);
    let options = [
        RequestOptions { max_words: Some(40), ..RequestOptions::default() },
        RequestOptions { language: Some("fr".into()), ..RequestOptions::default() },
        RequestOptions { instruction: Some("Only the dates.".into()), ..RequestOptions::default() },
        RequestOptions { bullets: true, ..RequestOptions::default() },
        RequestOptions { document_type: "contract".into(), ..RequestOptions::default() },
        RequestOptions { sensitivity: Some(Label::Public), ..RequestOptions::default() },
    ];
    for option in &options {
        assert_ne!(plain, id("text", option, &["model", "policy"], 1), "{option:?}");
    }
    assert_ne!(plain, id("text.", &RequestOptions::default(), &["model", "policy"], 1));
    assert_ne!(plain, id("text", &RequestOptions::default(), &["other", "policy"], 1));
    assert_ne!(plain, id("text", &RequestOptions::default(), &["model", "other"], 1));
}

#[test]
fn the_prompt_follows_the_options() {
    let plain = prompt_digest(&RequestOptions::default());
    assert_ne!(plain, prompt_digest(&RequestOptions { max_words: Some(40), ..RequestOptions::default() }));
    assert_ne!(plain, prompt_digest(&RequestOptions { bullets: true, ..RequestOptions::default() }));
}

#[test]
fn language_tags_are_held_against_their_form() {
    for good in ["en", "fr", "pt-BR", "zh-Hans-CN"] {
        assert_eq!(language_tag(good).unwrap(), good);
    }
    for bad in ["", "English", "f", "en_US", "EN", "en-"] {
        assert!(language_tag(bad).is_err(), "{bad}");
    }
}
