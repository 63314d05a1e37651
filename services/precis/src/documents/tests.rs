#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use super::*;

fn input(stem: &str, text: &str) -> Input {
    Input {
        name: format!("{stem}.txt"),
        stem: stem.to_owned(),
        stated_id: None,
        title: None,
        language: None,
        text: text.to_owned(),
    }
}

fn id(text: &str, wishes: &Wishes, answering: &[&str], now_ms: i64) -> String {
    document(&input("report", text), wishes, answering, now_ms).document_id
}

#[test]
fn the_same_request_has_the_same_id_at_any_time() {
    let wishes = Wishes::default();
    let first = id("text", &wishes, &["model"], 1);
    assert_eq!(first, id("text", &wishes, &["model"], 2));
    assert!(first.starts_with("report-") && first.len() == "report-".len() + DIGEST_DIGITS, "{first}");
}

#[test]
fn another_text_wish_or_model_is_another_document() {
    let plain = id("text", &Wishes::default(), &["model", "policy"], 1);
    let wishes = [
        Wishes { max_words: Some(40), ..Wishes::default() },
        Wishes { language: Some("fr".into()), ..Wishes::default() },
        Wishes { instruction: Some("Only the dates.".into()), ..Wishes::default() },
        Wishes { bullets: true, ..Wishes::default() },
        Wishes { document_type: "contract".into(), ..Wishes::default() },
        Wishes { sensitivity: Some(Label::Public), ..Wishes::default() },
    ];
    for wish in &wishes {
        assert_ne!(plain, id("text", wish, &["model", "policy"], 1), "{wish:?}");
    }
    assert_ne!(plain, id("text.", &Wishes::default(), &["model", "policy"], 1));
    assert_ne!(plain, id("text", &Wishes::default(), &["other", "policy"], 1));
    assert_ne!(plain, id("text", &Wishes::default(), &["model", "other"], 1));
}

#[test]
fn the_prompt_follows_the_wishes() {
    let plain = prompt_digest(&Wishes::default());
    assert_ne!(plain, prompt_digest(&Wishes { max_words: Some(40), ..Wishes::default() }));
    assert_ne!(plain, prompt_digest(&Wishes { bullets: true, ..Wishes::default() }));
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
