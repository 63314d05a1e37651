use super::language_tag;

#[test]
fn stated_languages_become_tags() {
    for (stated, tag) in [
        ("en", "en"),
        ("EN", "en"),
        ("pt-BR", "pt-BR"),
        ("en_US", "en"),
        ("fr_FR.UTF-8", "fr"),
        ("de_DE@euro", "de"),
        ("zh_Hant_TW", "zh"),
        ("eng", "en"),
        ("eng_Latn", "en"),
        ("English (US)", "en"),
        (" français ", "fr"),
        ("Deutsch", "de"),
        ("日本語", "ja"),
        ("gsw", "gsw"),
    ] {
        assert_eq!(language_tag(stated).as_deref(), Some(tag), "{stated}");
    }
}

#[test]
fn what_is_no_language_is_left_out() {
    for stated in [
        "n/a", "unknown", "none", "-", "?", "und", "mul", "Klingon", "en, fr", "1", "_", "en_", "e n", "en--US", "(US)",
    ] {
        assert_eq!(language_tag(stated), None, "{stated}");
    }
}

#[test]
fn every_tag_is_one_that_the_router_takes() {
    for stated in ["en_US", "français", "x-y", "EN-us-x-a", &format!("en-{}", "a-".repeat(200)), "en\u{0}", "fr\n"] {
        let tag = language_tag(stated).unwrap_or_else(|| "en".to_owned());
        assert!(tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{tag:?}");
        assert!(!tag.is_empty() && tag.len() <= precis_router::MAX_LABEL_BYTES);
    }
}
