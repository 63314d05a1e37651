#![allow(clippy::unwrap_used)]

use super::*;

fn result(summary: &str) -> Check {
    check(&Input { summary, ..Input::default() }, &Text::read(summary), &Thresholds::default())
}

#[test]
fn loops_of_small_models_are_found() {
    for summary in [
        "The law is the law is the law is the law.",
        "The study the study the study the study shows growth.",
        "no no no no it is not",
        "The tenant shall pay the rent. The tenant shall pay the rent.",
        "Le contrat est conclu pour un an. Il est renouvelable. Le contrat est conclu pour un an.",
        "- The user can edit the file\n- The user can edit the file",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        assert!(!result(summary).passed, "{summary}");
    }
}

#[test]
fn returning_phrases_are_a_loop_beyond_their_share() {
    let summary = "The first part of the licence covers the rights of the user of the program. \
                   The second part of the licence covers the rights of the user of the program. \
                   The third part of the licence covers the rights of the user of the program.";
    let found = result(summary);
    assert!(!found.passed);
    assert!(found.value.unwrap() > 0.5, "{found:?}");
}

#[test]
fn good_prose_is_no_loop() {
    for summary in [
        "It was a very, very, very long trial, but in the end the court found for the claimant on all counts.",
        "The European Commission proposed the regulation. The Parliament amended it, and the European Commission agreed.",
        "Le bailleur remet les clés au locataire ; le locataire verse le dépôt de garantie au bailleur.",
        "",
        "Yes. Yes.",
    ] {
        let found = result(summary);
        assert!(found.passed, "{found:?}");
    }
}

#[test]
fn the_engines_own_word_counts() {
    let input = Input { summary: "Fine text.", finish_reason: "repetition", ..Input::default() };
    assert!(!check(&input, &Text::read("Fine text."), &Thresholds::default()).passed);
}
