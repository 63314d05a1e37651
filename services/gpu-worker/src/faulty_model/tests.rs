#![allow(clippy::unwrap_used)]

use std::time::Duration;

use precis_policy::{TextFacts, features};
use precis_quality::{Input, Thresholds, check, failed};

use super::{Fault, FaultRates, FaultyModel};

const TEXT: &str = "The harbour board met on Monday and heard the engineers. It agreed to rebuild the old ferry terminal for 4,200 dollars, \
    because the roof leaks. Work begins in spring, after the last boats have left for the islands.";
const FRENCH: &str = "Le conseil du port s'est réuni lundi et il a entendu les ingénieurs. Il a décidé de reconstruire la gare maritime, \
    parce que le toit fuit. Les travaux commencent au printemps, quand les derniers bateaux sont partis vers les îles.";
const MAX_WORDS: u32 = 40;

fn model(rates: &str) -> FaultyModel {
    FaultyModel { rates: FaultRates::parse(rates).unwrap(), delay: Duration::ZERO }
}

/// The checks that the answer to a text fails, at these rates.
fn failed_of(rates: &str, text: &str, language: &str) -> Vec<&'static str> {
    let (summary, finish_reason) = model(rates).answer(text, Some(language), MAX_WORDS as usize);
    let expected_language = Some(language);
    let max_words = Some(MAX_WORDS);
    let input =
        Input { source: text, summary: &summary, finish_reason, expected_language, max_words, ..Input::default() };
    failed(&check(&input, &Thresholds::default()), &Thresholds::default())
}

/// A long text of figures that begins with `text`.
fn long(text: &str) -> String {
    let lines = (0..3_000).map(|number| format!(" Berth {number} was painted."));
    lines.fold(text.to_owned(), |all, line| all + &line)
}

#[test]
fn each_error_is_found_by_the_check_that_is_for_it() {
    let long = long(TEXT);
    assert_eq!(failed_of("truncated=1", &long, "en"), ["truncated"]);
    assert_eq!(failed_of("refusal=1", TEXT, "en"), ["refusal"]);
    assert_eq!(failed_of("repetition=1", &long, "en"), ["repetition"]);
    assert_eq!(failed_of("numbers=1", &long, "en"), ["unsupported_numbers"]);
    assert_eq!(failed_of("language=1", FRENCH, "fr"), ["language"]);
}

#[test]
fn without_an_error_an_answer_passes() {
    for (text, language) in [(TEXT, "en"), (FRENCH, "fr"), (&*long(TEXT), "en")] {
        assert_eq!(failed_of("", text, language), [""; 0]);
    }
    assert_eq!(failed_of("language=1", TEXT, "en"), [""; 0], "an English answer to an English text is right");
}

#[test]
fn the_same_text_always_has_the_same_answer_and_rates_are_kept() {
    let model = model("refusal=0.25");
    let answer = |number: usize| model.answer(&format!("{TEXT} Number {number}."), Some("en"), 40).0;
    let refused = (0..4_000).filter(|number| answer(*number).contains("cannot")).count();
    assert!((900..1_100).contains(&refused), "{refused} of 4,000");
    assert_eq!(answer(7), answer(7));
}

#[test]
fn harder_texts_are_got_wrong_more_often() {
    let rates = FaultRates::parse("truncated=0.2,numbers=0.3").unwrap();
    let wrong = |text: &str| {
        let features = features(&TextFacts { text, language: Some("en") });
        (0..1_000).filter(|step| rates.pick(&features, f64::from(*step) / 1_000.0).is_some()).count()
    };
    let plain = TEXT.replace("4,200", "many");
    assert!(wrong(&plain) < wrong(TEXT), "figures are hard");
    assert!(wrong(&plain) < wrong(&plain.repeat(50)), "length is hard");
}

#[test]
fn a_malformed_rate_is_an_error() {
    for wrong in ["numbers", "numbers=often", "numbers=2", "names=0.1"] {
        assert!(FaultRates::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(FaultRates::parse(" refusal=0.5, ").unwrap(), FaultRates(vec![(Fault::Refusal, 0.5)]));
}
