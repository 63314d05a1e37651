//! The features of a text, at no cost beyond one pass, and the score made of them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::score::Score;

/// Names of the features, as weights, decision records and dashboards spell them.
pub(crate) const FEATURE_NAMES: [&str; 6] = ["length", "digits", "names", "noise", "long_sentences", "not_english"];

/// Bytes of text that make about one token, in the languages for which tokenizers are made. An
/// estimate for rates and for stand-ins without a tokenizer.
pub const BYTES_PER_TOKEN: usize = 4;

/// A text and its known facts.
#[derive(Debug, Clone, Copy)]
pub struct TextFacts<'a> {
    /// The text.
    pub text: &'a str,
    /// Its language (ISO 639-1), where known.
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
    let TextCounts { words, with_digit, inner, capital, sentences, characters, odd } = TextCounts::of(facts.text);
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

/// Counts over the words and characters of a text.
#[derive(Debug, Default, PartialEq, Eq)]
struct TextCounts {
    words: u64,
    with_digit: u64,
    /// Words that do not begin a sentence, and those of them whose first letter is upper case.
    inner: u64,
    capital: u64,
    sentences: u64,
    characters: u64,
    odd: u64,
}

impl TextCounts {
    /// Counts in one pass. Every document passes here, so the kind of an ASCII character is looked
    /// up in a table: several times as fast as the Unicode functions.
    fn of(text: &str) -> Self {
        let mut counts = Self { characters: text.chars().count() as u64, ..Self::default() };
        let (bytes, ascii) = (text.as_bytes(), &*ASCII);
        let mut word = WordKinds::default();
        let mut starts_sentence = true;
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let kind = if let Some(kind) = ascii.get(usize::from(*byte)) {
                at += 1;
                *kind
            } else {
                let c = text[at..].chars().next().unwrap_or_default();
                at += c.len_utf8();
                kind(c)
            };
            counts.odd += u64::from(kind & ODD != 0);
            if kind & SPACE == 0 {
                word.take(kind);
            } else if word.any {
                counts.end(&std::mem::take(&mut word), &mut starts_sentence);
            }
        }
        if word.any {
            counts.end(&word, &mut starts_sentence);
        }
        counts
    }

    fn end(&mut self, word: &WordKinds, starts_sentence: &mut bool) {
        self.words += 1;
        self.with_digit += u64::from(word.all & DIGIT != 0);
        if !*starts_sentence {
            self.inner += 1;
            self.capital += u64::from(word.first_letter & UPPER != 0);
        }
        *starts_sentence = word.last & STOP != 0;
        self.sentences += u64::from(*starts_sentence);
    }
}

/// Kinds of the characters of one word, as bits.
#[derive(Default)]
struct WordKinds {
    any: bool,
    /// The kinds of all its characters.
    all: u8,
    /// The kind of its first letter.
    first_letter: u8,
    /// The kind of its last character, closing quotes and brackets left out.
    last: u8,
}

impl WordKinds {
    fn take(&mut self, kind: u8) {
        self.any = true;
        self.all |= kind;
        if self.first_letter == 0 {
            self.first_letter = kind & (LETTER | UPPER);
        }
        if kind & CLOSING == 0 {
            self.last = kind;
        }
    }
}

/// White space.
const SPACE: u8 = 1;
/// An ASCII digit.
const DIGIT: u8 = 1 << 1;
/// Alphabetic.
const LETTER: u8 = 1 << 2;
/// An upper-case letter.
const UPPER: u8 = 1 << 3;
/// A closing quote or bracket, which may follow a sentence's end.
const CLOSING: u8 = 1 << 4;
/// The end of a sentence.
const STOP: u8 = 1 << 5;
/// A character that sentences are not made of.
const ODD: u8 = 1 << 6;

/// The [`kind`] of each ASCII character.
static ASCII: LazyLock<[u8; 128]> = LazyLock::new(|| std::array::from_fn(|byte| kind(char::from(byte as u8))));

/// The kind of a character, as bits.
fn kind(c: char) -> u8 {
    let bit = |is: bool, bit: u8| if is { bit } else { 0 };
    bit(c.is_whitespace(), SPACE)
        | bit(c.is_ascii_digit(), DIGIT)
        | bit(c.is_alphabetic(), LETTER)
        | bit(c.is_alphabetic() && c.is_uppercase(), UPPER)
        | bit(matches!(c, '"' | '\'' | ')' | '»' | '”'), CLOSING)
        | bit(matches!(c, '.' | '!' | '?' | '…' | '。'), STOP)
        | bit(is_odd(c), ODD)
}

/// Whether sentences are not made of this character: neither letter, digit, white space nor common
/// punctuation.
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

/// The probability that the first tier's answer passes its checks, by the policy's logistic weights
/// for the document's type: between 0 and 1.
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

    /// The definition that [`TextCounts::of`] must agree with: words stand between white space, and
    /// every character is tested with the Unicode functions.
    fn by_characters(text: &str) -> TextCounts {
        let words = || text.split_whitespace();
        let ends = |word: &str| word.trim_end_matches(['"', '\'', ')', '»', '”']).ends_with(['.', '!', '?', '…', '。']);
        let inner = || words().zip(words().skip(1)).filter(|(before, _)| !ends(before)).map(|(_, word)| word);
        let count = |number: usize| number as u64;
        TextCounts {
            words: count(words().count()),
            with_digit: count(words().filter(|word| word.contains(|c: char| c.is_ascii_digit())).count()),
            inner: count(inner().count()),
            capital: count(
                inner().filter(|word| word.chars().find(|c| c.is_alphabetic()).is_some_and(char::is_uppercase)).count(),
            ),
            sentences: count(words().filter(|word| ends(word)).count()),
            characters: count(text.chars().count()),
            odd: count(text.chars().filter(|c| is_odd(*c)).count()),
        }
    }

    #[test]
    fn features_are_linear_in_texts_of_any_shape() {
        precis_fuzz::grows_linearly("features", 4096, precis_fuzz::shapes::TEXTS, |text| {
            assert_eq!(features(&TextFacts { text, language: None }).len(), FEATURE_NAMES.len());
        });
    }

    proptest::proptest! {
        #[test]
        fn one_pass_over_bytes_agrees_with_the_definition(text in "([a-zA-Z0-9.!?,'\")(| \n]|[äÉ»”…。—€ʼǅ²文\u{a0}\u{3000}]){0,60}") {
            proptest::prop_assert_eq!(TextCounts::of(&text), by_characters(&text));
        }

        #[test]
        fn every_text_has_features_and_score_between_0_and_1(text in ".{0,400}") {
            let features = features(&TextFacts { text: &text, language: None });
            proptest::prop_assert!(features.values().all(|value| (0.0..=1.0).contains(value)));
            let score = score(&features, &Score::default(), "contract");
            proptest::prop_assert!((0.0..=1.0).contains(&score));
        }
    }
}
