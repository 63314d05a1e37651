use proptest::prelude::*;

use super::*;

fn code(verdict: Verdict) -> &'static str {
    verdict.err().map_or("", |error| error.code())
}

fn document() -> Document {
    Document {
        document_id: "d".to_owned(),
        text: Some("Words.".to_owned()),
        content_type: "text/plain".to_owned(),
        ..Document::default()
    }
}

fn request_code(change: impl FnOnce(&mut Document)) -> &'static str {
    let mut document = document();
    change(&mut document);
    code(request(&document, &Limits::default()))
}

#[test]
fn options_are_judged_without_a_document() {
    let options = |max_words, language: &str| Document {
        max_words: Some(max_words),
        output_language: Some(language.to_owned()),
        ..Document::default()
    };
    let limits = Limits { max_summary_words: 50, ..Limits::default() };
    assert_eq!(code(check_options(&options(50, "fr"), &limits)), "");
    assert_eq!(code(check_options(&options(51, "fr"), &limits)), "max_words_out_of_range");
    assert_eq!(code(check_options(&options(50, "Français"), &limits)), "language_invalid");
}

#[test]
fn limits_hold_at_their_last_value_and_not_beyond() {
    let long = |bytes: usize| Some("x".repeat(bytes));
    assert_eq!(request_code(|document| document.title = long(MAX_TITLE_BYTES)), "");
    assert_eq!(request_code(|document| document.title = long(MAX_TITLE_BYTES + 1)), "title_too_long");
    assert_eq!(request_code(|document| document.instruction = long(MAX_INSTRUCTION_BYTES)), "");
    assert_eq!(request_code(|document| document.instruction = long(MAX_INSTRUCTION_BYTES + 1)), "instruction_too_long");
    assert_eq!(request_code(|document| document.residency = long(MAX_LABEL_BYTES + 1)), "label_too_long");
    assert_eq!(request_code(|document| document.document_type = "x".repeat(MAX_LABEL_BYTES + 1)), "label_too_long");
    assert_eq!(request_code(|document| document.subject_ids = vec!["s".to_owned(); MAX_SUBJECTS]), "");
    assert_eq!(
        request_code(|document| document.subject_ids = vec!["s".to_owned(); MAX_SUBJECTS + 1]),
        "too_many_subjects"
    );
    assert_eq!(request_code(|document| document.max_words = Some(MIN_SUMMARY_WORDS)), "");
    assert_eq!(request_code(|document| document.max_words = Some(MIN_SUMMARY_WORDS - 1)), "max_words_out_of_range");
    assert_eq!(request_code(|document| document.max_words = Some(1_000)), "");
    assert_eq!(request_code(|document| document.max_words = Some(1_001)), "max_words_out_of_range");
    assert_eq!(request_code(|document| document.revision = -1), "revision_negative");
    let id = |bytes: usize| code(identity(&Document { document_id: "x".repeat(bytes), ..document() }));
    assert_eq!((id(1), id(MAX_DOCUMENT_ID_BYTES)), ("", ""));
    assert_eq!((id(0), id(MAX_DOCUMENT_ID_BYTES + 1)), ("document_id_invalid", "document_id_invalid"));
}

/// Labels reach terminals and pages of whoever looks at a document.
#[test]
fn labels_with_control_characters_are_refused() {
    for control in ["\u{1b}[2J", "a\u{9b}2J", "a\nb", "a\rb", "a\tb", "a\u{0}", "\u{7f}"] {
        let label = || control.to_owned();
        let refused = [
            request_code(|document| document.title = Some(label())),
            request_code(|document| document.residency = Some(label())),
            request_code(|document| document.document_type = label()),
            request_code(|document| document.subject_ids = vec!["s".to_owned(), label()]),
        ];
        assert_eq!(refused, ["label_control_characters"; 4], "{control:?}");
    }
    let instruction = |text: &str| request_code(|document| document.instruction = Some(text.to_owned()));
    assert_eq!(instruction("List:\n\t- dates\r\n\t- names"), "");
    assert_eq!(instruction("List \u{1b}]0;title\u{7}"), "label_control_characters");
    assert_eq!(request_code(|document| document.title = Some("Übersicht 報告 \u{200f}עברית".to_owned())), "");
}

#[test]
fn plain_text_and_markdown_in_utf8_are_served() {
    for served in
        ["text/plain", "text/markdown", "Text/Plain; charset=UTF-8", "text/markdown;charset=\"utf-8\"; variant=GFM"]
    {
        assert_eq!(request_code(|document| document.content_type = served.to_owned()), "", "{served}");
    }
    for refused in ["", "text/html", "application/pdf", "text/plain; charset=latin1", "text/plaintext"] {
        assert_eq!(
            request_code(|document| document.content_type = refused.to_owned()),
            "content_type_unsupported",
            "{refused}"
        );
    }
}

#[test]
fn exactly_one_of_text_and_body_is_wanted() {
    let body = || Some(precis_schemas::BodyReference { key: "k".into(), sha256: String::new(), size_bytes: 5 });
    assert_eq!(request_code(|document| document.text = None), "body_missing");
    assert_eq!(request_code(|document| document.body = body()), "body_ambiguous");
    let by_reference = |size_bytes| {
        request_code(|document| {
            document.text = None;
            document.body = body().map(|body| precis_schemas::BodyReference { size_bytes, ..body });
        })
    };
    assert_eq!((by_reference(5), by_reference(i64::MAX)), ("", "text_too_large"));
    assert_eq!(by_reference(-1), "", "the reference itself is judged when it is followed");
}

#[test]
fn only_production_is_the_publishers() {
    for purpose in [Purpose::Shadow, Purpose::Evaluation, Purpose::Canary] {
        assert_eq!(request_code(|document| document.purpose = purpose), "purpose_not_allowed");
    }
}

#[test]
fn language_tags_are_tags() {
    for (tag, expected) in [("fr", ""), ("fr-CA", ""), ("", "language_invalid"), ("fr; drop", "language_invalid")] {
        assert_eq!(request_code(|document| document.language = Some(tag.to_owned())), expected);
        assert_eq!(request_code(|document| document.output_language = Some(tag.to_owned())), expected);
    }
}

#[test]
fn texts_without_words_or_with_binary_in_them_are_refused() {
    let verdict = |value: &str| code(text(value, &Limits::default()));
    assert_eq!(verdict("Tab\tand\r\nlines\u{c}pages\u{85}"), "");
    assert_eq!(verdict("契約"), "");
    assert_eq!(verdict("5\u{a0}£"), "", "begins with the byte that C1 controls begin with");
    for empty in ["", " \n", "---", "…"] {
        assert_eq!(verdict(empty), "text_empty");
    }
    for binary in ["a\0b", "\u{1b}[31mred", "x\u{7f}", "a\u{9f}"] {
        assert_eq!(verdict(binary), "control_characters");
    }
    let limits = Limits { max_text_bytes: 4, ..Limits::default() };
    assert_eq!((code(text("four", &limits)), code(text("fives", &limits))), ("", "text_too_large"));
}

#[test]
fn no_forbidden_character_gets_past_the_first_byte_check() {
    for character in (char::MIN..=char::MAX).filter(|character| is_forbidden(*character)) {
        assert!(may_be_forbidden(character.encode_utf8(&mut [0; 4]).as_bytes()[0]), "U+{:04X}", u32::from(character));
    }
}

proptest! {
    #[test]
    fn no_fault_repeats_what_the_document_says(secret in "[a-z]{12}", id in "\\PC{0,600}") {
        let document = Document {
            document_id: format!("{secret}{id}\u{1}"),
            title: Some(secret.repeat(200)),
            max_words: Some(-1),
            text: Some(format!("{secret}\u{0}")),
            ..document()
        };
        let limits = Limits::default();
        let verdicts =
            [identity(&document), request(&document, &limits), labels(&document), text(document.text.as_deref().unwrap_or(""), &limits)];
        for verdict in verdicts {
            let error = verdict.err();
            prop_assert!(error.is_some_and(|error| !error.to_string().contains(&secret)));
        }
    }
}

#[test]
fn texts_are_validated_in_linear_time_whatever_their_shape() {
    precis_fuzz::grows_linearly("validation", 4096, precis_fuzz::shapes::TEXTS, |text| {
        let _ = super::text(text, &Limits::default());
    });
}
