use super::*;

const ENGLISH: &str = "The tenant must pay the rent on the first day of each month, and the landlord has to keep the \
                       building in good repair throughout the term of the lease.";
const FRENCH: &str = "Le locataire doit payer le loyer le premier jour de chaque mois, et le bailleur est tenu \
                      d'entretenir le bâtiment pendant toute la durée du bail.";

fn result(source: &str, summary: &str, expected: Option<&str>) -> Check {
    let input = Input { source, summary, expected_language: expected, ..Input::default() };
    let thresholds = Thresholds::default();
    check(&input, Languages::of(&input, &thresholds), &thresholds)
}

#[test]
fn the_summary_has_the_sources_language() {
    assert!(result(ENGLISH, ENGLISH, None).passed);
    assert!(result(FRENCH, FRENCH, None).passed);
    let found = result(FRENCH, ENGLISH, None);
    assert!(!found.passed);
    assert_eq!(found.detail, "eng instead of fra");
}

#[test]
fn the_language_asked_for_goes_before_the_sources() {
    for code in ["fr", "fra", "fr-CA", "FR"] {
        assert!(result(ENGLISH, FRENCH, Some(code)).passed, "{code}");
        assert!(!result(ENGLISH, ENGLISH, Some(code)).passed, "{code}");
    }
}

#[test]
fn what_cannot_be_told_has_passed() {
    assert_eq!(result(FRENCH, "Rent is due.", None).detail, "undecided: only 3 words");
    let formulas = "x1 y2 z3 q4 w5 e6 r7 t8 u9 i1 o2 p3 a4 s5 d6";
    assert!(result(FRENCH, formulas, None).passed);
    assert_eq!(result("", ENGLISH, Some("tlh")).detail, "undecided: expected language not known");
}

#[test]
fn neighbouring_languages_are_not_told_apart() {
    let danish = "Lejeren skal betale husleje den første dag i hver måned, og udlejeren skal holde bygningen i god stand \
                  i hele lejeperioden.";
    assert!(result("", danish, Some("nb")).passed);
    assert!(!result("", danish, Some("fr")).passed);
}

#[test]
fn languages_are_named_by_their_short_codes() {
    assert_eq!(language_of(FRENCH), Some("fr"));
    assert_eq!(language_of(ENGLISH), Some("en"));
    assert_eq!(language_of("Oui."), None);
}

#[test]
fn what_is_plainly_english_is_english_to_the_detector_too() {
    let english = ENGLISH.repeat(3);
    assert!(is_plainly_english(&english));
    assert_eq!(language_of(&english), Some("en"));
    assert!(!is_plainly_english(&FRENCH.repeat(3)));
    assert!(!is_plainly_english("The rent is due and that is that."), "too few words to tell");
    let mostly_french = format!("{} {ENGLISH}", FRENCH.repeat(20));
    assert!(!is_plainly_english(&mostly_french), "a quotation in it makes no text English");
}
