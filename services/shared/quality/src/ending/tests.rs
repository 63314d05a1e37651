use super::*;

fn truncated(summary: &str, finish_reason: &str, format: Format) -> bool {
    !check(&Input { summary, finish_reason, format, ..Input::default() }).passed
}

#[test]
fn a_finished_sentence_is_not_truncated() {
    for summary in [
        "The tenant pays.",
        "Est-ce permis ?",
        "He said “it is over.”",
        "La loi s’applique (voir l’annexe).»",
        "**The contract ends in May.**",
        "契約は終了した。",
        "See the site…\n",
        "It costs 5 USD (incl. VAT.)",
    ] {
        assert!(!truncated(summary, "stop", Format::Paragraph), "{summary}");
    }
}

#[test]
fn a_sentence_without_its_end_is_truncated() {
    for summary in
        ["The tenant pays the", "The parties agree on:", "Le bailleur, qui", "He left (", "one, two and three"]
    {
        assert!(truncated(summary, "stop", Format::Paragraph), "{summary}");
    }
}

#[test]
fn the_token_limit_truncates_whatever_the_text_looks_like() {
    assert!(truncated("The tenant pays.", "length", Format::Paragraph));
}

#[test]
fn points_of_a_list_need_no_full_stop() {
    assert!(!truncated("Key points:\n- rent is due monthly\n- notice is three months", "stop", Format::Paragraph));
    assert!(!truncated("1. Rent\n2. Notice period", "stop", Format::Paragraph));
    assert!(!truncated("Rent is due monthly\nNotice is three months", "stop", Format::Bullets));
    assert!(truncated("- rent is due monthly\n- notice is,", "stop", Format::Bullets));
}

#[test]
fn scripts_without_full_stops_are_not_held_to_them() {
    assert!(!truncated("สัญญาสิ้นสุดแล้ว", "stop", Format::Paragraph));
}
