#![allow(clippy::unwrap_used)]

use precis_schemas::{BodyReference, Document, Format};

use super::*;

fn document(text: &str) -> Document {
    Document { document_id: "a".into(), text: Some(text.into()), ..Document::default() }
}

#[test]
fn when_it_was_submitted_does_not_change_a_request() {
    let first = document("text");
    let again = Document { submitted_at: 99, deadline: Some(5), priority: 3, ..first.clone() };
    assert_eq!(request_digest(&first), request_digest(&again));
}

#[test]
fn every_option_changes_the_request() {
    let base = document("text");
    let others = [
        Document { text: Some("other".into()), ..base.clone() },
        Document { max_words: Some(10), ..base.clone() },
        Document { instruction: Some(String::new()), ..base.clone() },
        Document { output_language: Some("fr".into()), ..base.clone() },
        Document { format: Format::Bullets, ..base.clone() },
        Document { sensitivity: Some(Sensitivity::Public), ..base.clone() },
        Document { residency: Some("eu".into()), ..base.clone() },
        Document { document_type: "contract".into(), ..base.clone() },
    ];
    let digests: std::collections::HashSet<_> = others.iter().chain([&base]).map(request_digest).collect();
    assert_eq!(digests.len(), others.len() + 1);
}

#[test]
fn body_by_reference_is_the_same_request_as_inline() {
    let inline = document("text");
    let reference = BodyReference { key: "k".into(), sha256: sha256_hex(b"text"), size_bytes: 4 };
    let referenced = Document { text: None, body: Some(reference), ..inline.clone() };
    assert_eq!(request_digest(&inline), request_digest(&referenced));
}

#[test]
fn fingerprint_ignores_composition_and_line_ends_only() {
    let base = document("");
    let print = |text: &str| request_fingerprint("acme", &base, text);
    assert_eq!(print("caf\u{e9}\nnext"), print("  cafe\u{301} \r\nnext\n\n"));
    assert_ne!(print("the fee is 10"), print("the fee is 11"));
    assert_ne!(print("one two"), print("one  two"));
}

#[test]
fn fingerprint_never_crosses_tenants_or_residencies() {
    let base = document("text");
    let european = Document { residency: Some("eu".into()), ..base.clone() };
    assert_ne!(request_fingerprint("acme", &base, "text"), request_fingerprint("other", &base, "text"));
    assert_ne!(request_fingerprint("acme", &base, "text"), request_fingerprint("acme", &european, "text"));
}

#[test]
fn the_document_id_is_no_part_of_the_fingerprint() {
    let base = document("text");
    let twin = Document { document_id: "b".into(), revision: 4, ..base.clone() };
    assert_eq!(request_fingerprint("acme", &base, "text"), request_fingerprint("acme", &twin, "text"));
}

/// Another model, adapter, prompt or way of decoding is another way to answer.
#[test]
fn whatever_answers_is_in_the_answers_fingerprint() {
    let base = ModelIdentity {
        provider: "precis".into(),
        name: "small".into(),
        revision: "1".into(),
        quantisation: "Q4_1".into(),
        adapter: None,
        prompt_digest: "p".into(),
    };
    let others = [
        ModelIdentity { provider: "other".into(), ..base.clone() },
        ModelIdentity { name: "large".into(), ..base.clone() },
        ModelIdentity { revision: "2".into(), ..base.clone() },
        ModelIdentity { quantisation: "Q8_0".into(), ..base.clone() },
        ModelIdentity { adapter: Some(String::new()), ..base.clone() },
        ModelIdentity { adapter: Some("legal@1".into()), ..base.clone() },
        ModelIdentity { adapter: Some("legal@2".into()), ..base.clone() },
        ModelIdentity { prompt_digest: "q".into(), ..base.clone() },
    ];
    let mut found: std::collections::HashSet<_> =
        others.iter().chain([&base]).map(|model| answer_fingerprint(model, "greedy")).collect();
    found.insert(answer_fingerprint(&base, "greedy rope_factors=long"));
    assert_eq!(found.len(), others.len() + 2);
}

#[test]
fn digests_and_words_are_linear_in_texts_of_any_shape() {
    precis_fuzz::grows_linearly("digests and words", 4096, precis_fuzz::shapes::TEXTS, |text| {
        assert_eq!(text_digest(text).len(), 64);
        let _ = crate::source::words(text);
    });
}
