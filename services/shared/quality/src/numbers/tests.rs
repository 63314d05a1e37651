use whatlang::Lang;

use super::lex::mentions;
use super::*;
use crate::Input;
use crate::spelling::plain;

/// The numbers that the check reports as missing for a summary in a language.
fn missing(source: &str, summary: &str, language: &str) -> String {
    let (source, summary) = (&*plain(source), &*plain(summary));
    let thresholds = Thresholds::default();
    let input = Input { source, summary, expected_language: Some(language), ..Input::default() };
    let found =
        check(&Source::read(source, &[]), &Text::read(summary), Languages::of(&input, &thresholds), &thresholds);
    found.detail.strip_prefix("not in the source: ").unwrap_or_default().to_owned()
}

#[track_caller]
fn supported(source: &str, summary: &str) {
    assert_eq!(missing(source, summary, "en"), "", "{source:?} should support {summary:?}");
}

#[track_caller]
fn supported_french(source: &str, summary: &str) {
    assert_eq!(missing(source, summary, "fr"), "", "{source:?} should support {summary:?}");
}

#[track_caller]
fn unsupported(source: &str, summary: &str, expected: &str) {
    assert_eq!(missing(source, summary, "en"), expected, "{source:?} against {summary:?}");
}

#[test]
fn numbers_are_the_same_however_they_are_written() {
    supported("Sales of 1,200,000 units.", "Sales reached 1.2 million units.");
    supported("Sales of 1.2m units.", "Sales reached 1,200,000 units.");
    supported("about 12 per cent of cases", "12% of cases");
    supported("twelve members", "12 members");
    supported("12 members", "Twelve members");
    supported("a fine of EUR 5,000", "a fine of €5,000");
    supported("$3 billion", "3bn dollars");
    supported("the 3rd of May", "May 3");
    supported("the nineteen-nineties and 1990s", "in the 1990s");
    supported("a share of 0.45", "45% of it");
    supported("World War II", "2 world wars");
    supported("It took 007 days", "It took 7 days");
    supported("5kg of rice", "5 kg of rice");
    supported("In 2019–2020 it fell", "In 2019-20 it fell");
    supported("thirty (30) days", "30 days");
    supported("a twelve-month term", "a 12 month term");
}

#[test]
fn french_numbers_are_the_same_however_they_are_written() {
    supported_french("un capital de 1 200 000 euros", "un capital de 1,2 million d’euros");
    supported_french("un loyer de 1\u{202f}200,50 €", "un loyer de 1.200,50 euros");
    supported_french("12,5 pour cent des voix", "12,5 % des voix");
    supported_french("soixante-dix jours", "70 jours");
    supported_french("le 1er janvier 2021", "le premier janvier 2021");
    supported_french("au XIXe siècle", "au 19e siècle");
    supported_french("trois milliards d’euros", "3 Md€");
    supported_french("une amende de 5000 €", "une amende de 5 000 €");
    supported_french("un délai de quinze jours", "un délai de 15 jours");
    supported_french("entre 10 et 20 %", "de 10 % à 20 %");
    supported_french("dans quatre-vingt-dix-neuf cas", "dans 99 cas");
}

#[test]
fn invented_numbers_are_reported_with_their_units() {
    unsupported("The lease runs 12 months.", "The lease runs 18 months.", "18 months");
    unsupported("12% of cases", "15% of cases", "15%");
    unsupported("Founded in 1998.", "Founded in 1989.", "1989");
    unsupported("a fine of $5,000", "a fine of $50,000", "50,000");
    unsupported("three parties", "Four parties", "Four");
    unsupported("1.5 million people", "1.5 billion people", "1.5 billion");
    unsupported("", "It cost 3 million euros in 2012.", "3 million euros, 2012");
    assert_eq!(missing("un délai de dix jours", "un délai de douze jours", "fr"), "douze jours");
    assert_eq!(missing("une hausse de 2,4 %", "une hausse de 4,2 %", "fr"), "4,2 %");
}

#[test]
fn units_must_agree_where_both_are_written() {
    unsupported("notice of 30 days", "notice of 30 months", "30 months");
    unsupported("12 patients of 40 recovered", "12% recovered", "12%");
    unsupported("a price of €500", "a price of $500", "500");
    supported("a period of 30 business days", "30 days");
    supported("aged 18 to 65", "18 to 65 years of age");
    supported("Mortality (%)\nA 12\nB 15", "Mortality was 12% and 15%.");
    supported("All figures in millions of euros: revenue 42, costs 30.", "Revenue was 42 million euros.");
    supported("10 to 20 %", "10% to 20%");
    supported("10, 15 and 20 km", "15 km");
    supported("$10-20 a day", "$20 a day");
    supported("In 2019 and 20 % more", "In 2019, 20% more");
}

#[test]
fn rounding_is_support_and_distortion_is_not() {
    supported("12.3% of cases", "12% of cases");
    supported("1,234,567 people", "1.2 million people");
    supported("1,187 cases", "nearly 1,200 cases");
    supported("1,187 cases", "more than 1,000 cases");
    supported("une hausse de 9,7 %", "about 10 %");
    unsupported("1,187 cases", "1,200 cases", "1,200");
    unsupported("12.3% of cases", "13% of cases", "13%");
    unsupported("1,187 cases", "more than 2,000 cases", "2,000");
    unsupported("5 cases", "about 1,000 cases", "1,000");
}

#[test]
fn dates_are_compared_by_day_month_and_year() {
    supported("Signed on 2021-03-12.", "It was signed on 12 March 2021.");
    supported("Signed on 12/03/2021.", "It was signed on March 12, 2021.");
    supported("Signed on March 12th, 2021.", "It was signed on 12.03.2021.");
    supported_french("signé le 12 mars 2021", "signé le 12/03/2021");
    supported("in Sept. 2019", "in September 2019");
    unsupported("Signed on 2021-03-12.", "It was signed on 12 May 2021.", "May");
    unsupported("Signed on 12 March 2021.", "It was signed on 12 March 2022.", "2022");
    supported("It may end.", "It may end.");
}

#[test]
fn list_markers_are_no_numbers() {
    supported("Rent and notice.", "1. Rent\n2) Notice\n(3) Deposit\n**4.** Term");
    supported("Rent and notice.", "There are duties: (1) rent and (2) notice.");
    supported("Rent and notice.", "Step 1: pay.\nStep 2: leave.");
    supported("1. Rent\n2. Notice\n14.3. Term", "The lease has 2 chapters, and 14.3 is about its term.");
    unsupported("1. Rent\n2. Notice\n3. Term", "Notice is 3 days, rent is $2.", "3 days, 2");
}

#[test]
fn names_with_digits_are_compared_as_they_are() {
    supported("COVID-19 and H1N1 in Q3", "H1N1 rose in Q3 with COVID-19.");
    supported("the third quarter", "in Q3");
    unsupported("We use GPT-3.", "They use GPT-4.", "4");
    unsupported("Vitamin B12", "Vitamin B6", "B6");
}

#[test]
fn versions_and_sections_are_read_by_their_parts_or_as_they_are() {
    supported("See version 1.2.3 and section 4.1.", "Version 1.2.3, section 4.1.");
    unsupported("version 1.2.3", "version 1.2.4", "1.2.4");
}

#[test]
fn small_words_are_not_held_against_a_summary() {
    supported("The tenant pays.", "One of them pays within a year, on the one hand.");
    supported_french("Le locataire paie.", "Un locataire paie une fois ; un véhicule neuf.");
    supported("both parties", "the two parties");
    supported("half of it", "50% of it");
    supported("Opens at 10:30.", "It opens at 10:30 and closes at 10:00.");
}

#[test]
fn a_long_list_of_missing_numbers_is_cut() {
    let numbers: Vec<String> = (1..=30).map(|number| (number * 1_111).to_string()).collect();
    let summary = numbers.join(" and ");
    let detail = missing("nothing", &summary, "en");
    assert!(detail.ends_with("and 22 more"), "{detail}");
}

#[test]
fn values_are_canonical() {
    for (whole, fraction, digits) in [("0012", "50", "12.5"), ("0", "", "0"), ("000", "000", "0"), ("1200", "", "1200")]
    {
        assert_eq!(Value::new(whole, fraction).digits, digits);
    }
    assert_eq!(Value::new("1", "25").shift(6).digits, "1250000");
    let endless = "9".repeat(200_000);
    assert_eq!(Value::new(&endless, "").shift(3).digits, endless.clone() + "000");
    assert_eq!(Value::new(&endless, "").shift(0).digits, endless);
    assert_eq!(Value::new("1", "25").shift(1).digits, "12.5");
    assert_eq!(Value::new("45", "").shift(-2).digits, "0.45");
    assert_eq!(Value::new("5", "").shift(-2).digits, "0.05");
    assert_eq!(Value::new("0", "5").shift(3).digits, "500");
}

/// Mentions are given in batches, for they take a hundred times the memory of a figure.
#[test]
fn units_are_shared_within_series_of_hundreds() {
    let series = (1..=1_000).map(|number| number.to_string()).collect::<Vec<_>>().join(", ");
    let text = format!("{series} % and {series} km");
    let text = Text::read(&text);
    let found = mentions(&text, Reading::Generous);
    assert_eq!(found.len(), 2_000);
    assert!(found[..1_000].iter().all(|mention| mention.unit == Some(Unit::Percent)));
    assert!(found[1_000..].iter().all(|mention| mention.unit == Some(Unit::Kilometre)));
}

/// Text from an attack: signs without end between two words were each compared with all before.
#[test]
fn a_sign_among_signs_belongs_to_no_number() {
    supported("Prices in $$$: 5 and 7", "It is $5");
    supported("7 $$", "It is $7");
    unsupported("5 € a, b 7", "It is $7", "7");
}

#[test]
fn roman_numerals_have_values() {
    assert_eq!(roman("XIX"), Some(19));
    assert_eq!(roman("XIXe"), Some(19));
    assert_eq!(roman("IV"), Some(4));
    assert_eq!(roman("I"), None);
    assert_eq!(roman("Vie"), None);
}

#[test]
fn the_language_of_number_words_is_the_summarys() {
    assert!(mentions(&Text::read("six neuf"), Reading::Strict(Some(Lang::Fra))).len() == 1);
    assert!(mentions(&Text::read("zwei"), Reading::Strict(Some(Lang::Deu))).is_empty());
}
