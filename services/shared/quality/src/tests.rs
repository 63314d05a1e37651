#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const SOURCE: &str = "Article 5. The tenant, Martin Dubois, shall pay a monthly rent of EUR 1,250.00 to Acme Immobilier SA on the \
    first day of each month. The lease begins on 1 March 2021 and runs for thirty-six (36) months. A deposit of two months' \
    rent is held by the landlord. Either party may end the lease with three months' notice, given by registered letter. \
    In case of late payment, interest at 4.5 % a year is due. The tenant insures the premises.";

const GOOD: &str = "Martin Dubois rents from Acme Immobilier for €1,250 a month, from March 2021 for 36 months. The deposit is \
    two months' rent, notice takes three months, and late payments bear interest at 4.5% a year.";

fn failed_of(summary: &str) -> Vec<&'static str> {
    let thresholds = Thresholds::default();
    let checks = check(&Input { source: SOURCE, summary, finish_reason: "stop", ..Input::default() }, &thresholds);
    failed(&checks, &thresholds)
}

#[test]
fn a_faithful_summary_is_accepted() {
    assert_eq!(failed_of(GOOD), Vec::<&str>::new());
}

#[test]
fn each_fault_fails_its_own_check() {
    assert_eq!(failed_of(""), ["empty"]);
    assert_eq!(failed_of("I'm sorry, but I cannot summarize this."), ["refusal"]);
    assert_eq!(failed_of("Martin Dubois rents from Acme Immobilier for a monthly rent of"), ["truncated"]);
    assert_eq!(
        failed_of("The tenant pays rent. The tenant pays rent every month. The tenant pays rent every month."),
        ["repetition"]
    );
    assert_eq!(
        failed_of(
            "Le locataire verse un loyer mensuel au bailleur et assure les locaux pendant toute la durée du bail, qui prend \
             fin par lettre recommandée."
        ),
        ["language"]
    );
    assert_eq!(failed_of("The tenant pays a rent of EUR 1,520 a month."), ["unsupported_numbers"]);
    assert_eq!(failed_of("The rent is paid to Century Homes every month."), ["unsupported_names"]);
}

#[test]
fn every_check_is_reported_in_the_stated_order_gating_or_not() {
    let names: Vec<_> = check(&Input::default(), &Thresholds::default()).iter().map(|check| check.name).collect();
    assert_eq!(names, CheckName::ALL.map(CheckName::as_str));
}

/// Failed checks are in order of cost: the cheapest first, the model's own doubts last.
#[test]
fn the_cheapest_failed_check_comes_first() {
    let all = Thresholds { gates: CheckName::ALL.into_iter().collect(), ..Thresholds::default() };
    let summary = "I'm sorry, but I cannot say whether Century Homes paid EUR 9,999 in";
    let input = Input { source: SOURCE, summary, finish_reason: "length", logprob: Some(-8.0), ..Input::default() };
    let failed = failed(&check(&input, &all), &all);
    let position =
        |name: &str| failed.iter().position(|failed| *failed == name).unwrap_or_else(|| panic!("{name}: {failed:?}"));
    let order = ["truncated", "refusal", "coverage", "unsupported_numbers", "unsupported_names", "confidence"];
    assert!(order.windows(2).all(|pair| position(pair[0]) < position(pair[1])), "{failed:?}");
}

#[test]
fn doubts_are_measured_and_decide_only_where_the_policy_says_so() {
    let judge = |logprob, thresholds: &Thresholds| {
        let checks = check(&Input { source: SOURCE, summary: GOOD, logprob, ..Input::default() }, thresholds);
        (checks.last().unwrap().value, accepted(&checks, thresholds))
    };
    let usual = Thresholds::default();
    let strict = Thresholds { gates: CheckName::ALL.into_iter().collect(), min_logprob: -2.0, ..usual.clone() };
    assert_eq!(judge(Some(-9.0), &usual), (Some(-9.0), true));
    assert_eq!(judge(Some(-2.5), &strict), (Some(-2.5), false));
    assert_eq!(judge(Some(-1.5), &strict), (Some(-1.5), true));
    assert_eq!(judge(None, &strict), (None, true), "a provider that tells none is not punished for it");
}

#[test]
fn the_policy_says_which_checks_gate() {
    let checks = check(
        &Input { source: SOURCE, summary: "The tenant pays a rent of EUR 1,520 a month.", ..Input::default() },
        &Thresholds::default(),
    );
    let lenient: Thresholds = toml::from_str("gates = ['empty', 'truncated']").unwrap();
    assert!(accepted(&checks, &lenient));
    assert!(!accepted(&checks, &Thresholds::default()));
    assert!(toml::from_str::<Thresholds>("gates = ['emty']").is_err());
    assert!(toml::from_str::<Thresholds>("min_word = 3").is_err());
}

#[test]
fn thresholds_survive_the_policys_format() {
    let thresholds = Thresholds { max_density: Some(8.0), ..Thresholds::default() };
    let written = toml::to_string(&thresholds).unwrap();
    assert_eq!(toml::from_str::<Thresholds>(&written).unwrap(), thresholds);
}

/// Text as documents have it: words, numbers, dates, punctuation of several languages.
fn messy() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("the".to_owned()),
        Just("Paris".to_owned()),
        Just("quatre-vingt".to_owned()),
        Just("one hundred and".to_owned()),
        Just("L’Oréal's".to_owned()),
        Just("U.S.".to_owned()),
        Just("12/03/2021".to_owned()),
        Just("\n1.".to_owned()),
        Just("§ €%$°".to_owned()),
        "[0-9]{1,20}([.,' \u{a0}][0-9]{1,3}){0,3}[a-zA-Z%]{0,2}",
        "\\PC{0,8}",
        any::<String>(),
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_makes_it_panic(source in messy(), summary in messy(), reason in any::<String>(), words in any::<Option<u32>>()) {
        let input = Input {
            source: &source,
            summary: &summary,
            finish_reason: &reason,
            max_words: words,
            expected_language: Some(&reason),
            ..Input::default()
        };
        for check in check(&input, &Thresholds::default()) {
            prop_assert!(check.value.is_none_or(f64::is_finite), "{check:?}");
        }
    }

    #[test]
    fn a_text_supports_its_own_numbers_and_names(text in messy()) {
        let checks = check(&Input { source: &text, summary: &text, ..Input::default() }, &Thresholds::default());
        for check in checks.iter().filter(|check| check.name.starts_with("unsupported")) {
            prop_assert!(check.passed, "{check:?}");
        }
    }

    #[test]
    fn more_source_never_supports_less(a in messy(), b in messy(), summary in messy()) {
        let count = |source: &str, context: &[&str]| {
            let input = Input { source, context, summary: &summary, expected_language: Some("en"), ..Input::default() };
            let thresholds = Thresholds { min_language_words: u32::MAX, ..Thresholds::default() };
            check(&input, &thresholds)
                .into_iter()
                .filter(|check| check.name.starts_with("unsupported"))
                .map(|check| check.value.unwrap_or(0.0))
                .sum::<f64>()
        };
        prop_assert!(count(&a, &[&b]) <= count(&a, &[]));
    }
}

/// Publishers' texts and models' answers, broken: "no input makes it panic".
#[test]
fn checks_survive_broken_texts() {
    // No document of others: what is found from these is kept in the repository.
    let texts = [
        "Le conseil d'Évreux a voté, le 1er avril 2025, un budget de 1\u{202f}234\u{202f}567,89 € (+\u{a0}3,5 %) : « c'est peu », dit Mme \
         Lefèvre-Duval. Vingt-deux élus sur trente-trois étaient pour ; M. Ngô s'est abstenu.",
        "Der Stadtrat beschloß am 12. Mai 2024 zweiundzwanzig Maßnahmen für rund 4,5 Mio. Euro. Frau Dr. Müller-Lüdenscheid nannte das \
         „überfällig“.",
        "* Twenty-two of 1,000 members (2.2 %) met in St. John's at 9:30 a.m.\n* The U.N. gave $4.5bn; O'Neill asked for one third.\n\n1. As an \
         AI language model, I cannot summarise this.",
        "On 3 March 2024, 1,200.50 dollars (12 %) went to XIVe arrondissement; cf. 1 200,5 € and $3.2 million. - a\n- b",
    ];
    let corpus = texts.map(|text| text.as_bytes().to_vec());
    let thresholds = Thresholds::default();
    precis_fuzz::survives("quality", &corpus, move |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
        let (source, summary) = text.split_at(middle);
        let input = Input {
            source,
            context: &[summary],
            summary,
            finish_reason: "stop",
            expected_language: None,
            max_words: Some(50),
            format: Format::Bullets,
            logprob: None,
            asked_words: None,
            reference: Some(source),
        };
        let index = judge(&input, &thresholds).index(&IndexWeights::default());
        assert!((0.0..=1.0).contains(&index.unwrap()), "{index:?}");
    });
}

/// Source and summary in each shape: the author of a document writes the source, and models repeat
/// what they read.
#[test]
fn checks_are_linear_in_texts_of_any_shape() {
    let thresholds = Thresholds::default();
    precis_fuzz::grows_linearly("checks", 2048, precis_fuzz::shapes::TEXTS, |text| {
        let input = Input { source: text, summary: text, max_words: Some(50), ..Input::default() };
        let checks = check(&input, &thresholds);
        assert_eq!(checks.len(), CheckName::ALL.len());
    });
    precis_fuzz::grows_linearly("words and language", 2048, precis_fuzz::shapes::TEXTS, |text| {
        let _ = (count_words(text), language_of(text), is_plainly_english(text));
    });
}
