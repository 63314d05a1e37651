//! What can be told of a document for nothing, and the score made of it.

use std::collections::BTreeMap;

use crate::policy::Score;

/// Names of the features, as weights, decision records and dashboards spell them.
pub(crate) const FEATURE_NAMES: [&str; 6] = ["length", "digits", "names", "noise", "long_sentences", "not_english"];

/// Text and what is known about it.
#[derive(Debug, Clone, Copy)]
pub struct TextFacts<'a> {
    /// The text.
    pub text: &'a str,
    /// Its language (ISO 639-1), where that could be told.
    pub language: Option<&'a str>,
}

/// Feature name → value between 0 and 1.
pub type Features = BTreeMap<String, f64>;

/// The features of a text, each between 0 and 1:
///
/// | feature | what it measures |
/// | --- | --- |
/// | `length` | log of the number of words: 0 at 100 words or fewer, 1 at 100,000 |
/// | `digits` | share of words that hold a digit: figures are where small models go wrong |
/// | `names` | share of words inside a sentence that begin with a capital: names to be confused |
/// | `noise` | share of characters that are neither letters, digits, white space nor common punctuation: tables, code, bad OCR |
/// | `long_sentences` | mean words a sentence: 0 at 15 or fewer, 1 at 60 |
/// | `not_english` | 1 if the language is known and is not English |
///
/// Linear in the text's length.
pub fn features(facts: &TextFacts<'_>) -> Features {
    let (mut words, mut with_digit, mut inner, mut capital, mut sentences) = (0_u64, 0_u64, 0_u64, 0_u64, 0_u64);
    let (mut characters, mut odd) = (0_u64, 0_u64);
    let mut starts_sentence = true;
    let mut word = None;
    // The end of the text ends its last word.
    for c in facts.text.chars().chain([' ']) {
        characters += 1;
        odd += u64::from(is_odd(c));
        if !c.is_whitespace() {
            word.get_or_insert_with(Word::default).take(c);
        } else if let Some(Word { digit, begins_upper, last }) = word.take() {
            words += 1;
            with_digit += u64::from(digit);
            if !starts_sentence {
                inner += 1;
                capital += u64::from(begins_upper == Some(true));
            }
            starts_sentence = matches!(last, Some('.' | '!' | '?' | '…' | '。'));
            sentences += u64::from(starts_sentence);
        }
    }
    characters -= 1;
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let per_sentence = words as f64 / sentences.max(1) as f64;
    let values = [
        (((words.max(1) as f64).log10() - 2.0) / 3.0).clamp(0.0, 1.0),
        share(with_digit, words),
        share(capital, inner),
        share(odd, characters),
        ((per_sentence - 15.0) / 45.0).clamp(0.0, 1.0),
        f64::from(u8::from(facts.language.is_some_and(|language| language != "en"))),
    ];
    FEATURE_NAMES.iter().map(|name| (*name).to_owned()).zip(values).collect()
}

/// What is asked of a word.
#[derive(Default)]
struct Word {
    digit: bool,
    /// Whether its first letter is upper case.
    begins_upper: Option<bool>,
    /// Its last character, closing quotes and brackets left out.
    last: Option<char>,
}

impl Word {
    fn take(&mut self, c: char) {
        self.digit |= c.is_ascii_digit();
        if self.begins_upper.is_none() && c.is_alphabetic() {
            self.begins_upper = Some(c.is_uppercase());
        }
        if !matches!(c, '"' | '\'' | ')' | '»' | '”') {
            self.last = Some(c);
        }
    }
}

/// Whether a character is none of those that sentences are made of.
fn is_odd(c: char) -> bool {
    match c {
        'a'..='z'
        | 'A'..='Z'
        | '0'..='9'
        | ' '
        | '\t'..='\r'
        | '.'
        | ','
        | ';'
        | ':'
        | '!'
        | '?'
        | '\''
        | '"'
        | '('
        | ')'
        | '-'
        | '/'
        | '%'
        | '&'
        | '–'
        | '—'
        | '’'
        | '“'
        | '”'
        | '«'
        | '»'
        | '…' => false,
        _ => !(c.is_alphanumeric() || c.is_whitespace()),
    }
}

/// The probability that the first tier's answer passes its checks, by the policy's logistic weights for the document's type: between 0 and 1.
pub fn score(features: &Features, score: &Score, document_type: &str) -> f64 {
    let (bias, weights) = score.of_type(document_type);
    let sum: f64 = features.iter().filter_map(|(name, value)| weights.get(name).map(|weight| weight * value)).sum();
    1.0 / (1.0 + (-(bias + sum)).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> f64 {
        score(&features(&TextFacts { text, language: Some("en") }), &Score::default(), "")
    }

    #[test]
    fn figures_names_and_noise_make_a_document_harder() {
        let plain =
            "The committee met in the morning and agreed to repair the bridge before the winter comes. ".repeat(20);
        let figures = "In 2021 the 14 members paid 3,200 dollars for 17 pumps on 4 May. ".repeat(20);
        let noise = "| a | b ## {{x}} = <y> ~~ ^^ @@ $$ \\\\ |_|_|_| ".repeat(40);
        assert!(of(&plain) > of(&figures) && of(&plain) > of(&noise));
        assert!(of(&plain) > of(&plain.repeat(200)), "longer is harder");
    }

    #[test]
    fn a_type_may_have_weights_of_its_own() {
        let mut weights = Score::default();
        let digits = BTreeMap::from([("digits".to_owned(), 3.0)]);
        weights.types.insert("table".to_owned(), crate::Weights { bias: 0.0, weights: digits });
        let features = features(&TextFacts { text: "1 2 3 4", language: Some("en") });
        let (table, other) = (score(&features, &weights, "table"), score(&features, &weights, "letter"));
        assert!((table - 1.0 / (1.0 + (-3.0_f64).exp())).abs() < 1e-12, "{table}");
        assert!(other < 0.1, "{other}: figures are hard elsewhere");
    }

    proptest::proptest! {
        #[test]
        fn every_text_has_features_and_score_between_0_and_1(text in ".{0,400}") {
            let features = features(&TextFacts { text: &text, language: None });
            proptest::prop_assert!(features.values().all(|value| (0.0..=1.0).contains(value)));
            let score = score(&features, &Score::default(), "contract");
            proptest::prop_assert!((0.0..=1.0).contains(&score));
        }
    }
}
