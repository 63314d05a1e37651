//! `language`: whether the summary is in the requested language.
//!
//! Trigram detection (whatlang) with its own confidence. Some summaries are not judged, and so
//! pass: those of few words, detections that are not confident, languages that the detector does
//! not know, and languages so close that a summary full of names is easily taken for the neighbour.

use std::borrow::Cow;

use whatlang::Lang;

use crate::spelling::plain;
use crate::text::count_words;
use crate::{Check, CheckName, Input, Thresholds};

/// Bytes of a text that are read; more add nothing to the confidence.
const SAMPLE_BYTES: usize = 20_000;

/// Languages that a detector of trigrams confuses on a paragraph.
const NEIGHBOURS: &[&[Lang]] = &[
    &[Lang::Nob, Lang::Dan, Lang::Swe],
    &[Lang::Spa, Lang::Por, Lang::Cat],
    &[Lang::Hrv, Lang::Srp, Lang::Slv, Lang::Mkd, Lang::Bul],
    &[Lang::Ces, Lang::Slk],
    &[Lang::Rus, Lang::Ukr, Lang::Bel, Lang::Bul],
    &[Lang::Nld, Lang::Afr],
    &[Lang::Ind, Lang::Jav, Lang::Tgl],
    &[Lang::Tur, Lang::Aze, Lang::Uzb, Lang::Tuk],
    &[Lang::Hin, Lang::Mar, Lang::Nep],
    &[Lang::Cmn, Lang::Jpn],
    &[Lang::Deu, Lang::Yid],
    &[Lang::Fin, Lang::Est],
];

/// ISO 639-1 codes of the languages that the detector knows, with the tags in use beside them.
const CODES: &[(&str, Lang)] = &[
    ("af", Lang::Afr),
    ("am", Lang::Amh),
    ("ar", Lang::Ara),
    ("az", Lang::Aze),
    ("be", Lang::Bel),
    ("bg", Lang::Bul),
    ("bn", Lang::Ben),
    ("ca", Lang::Cat),
    ("cs", Lang::Ces),
    ("cy", Lang::Cym),
    ("da", Lang::Dan),
    ("de", Lang::Deu),
    ("el", Lang::Ell),
    ("en", Lang::Eng),
    ("eo", Lang::Epo),
    ("es", Lang::Spa),
    ("et", Lang::Est),
    ("fa", Lang::Pes),
    ("fi", Lang::Fin),
    ("fr", Lang::Fra),
    ("gu", Lang::Guj),
    ("he", Lang::Heb),
    ("hi", Lang::Hin),
    ("hr", Lang::Hrv),
    ("hu", Lang::Hun),
    ("hy", Lang::Hye),
    ("id", Lang::Ind),
    ("it", Lang::Ita),
    ("ja", Lang::Jpn),
    ("jv", Lang::Jav),
    ("ka", Lang::Kat),
    ("km", Lang::Khm),
    ("kn", Lang::Kan),
    ("ko", Lang::Kor),
    ("la", Lang::Lat),
    ("lt", Lang::Lit),
    ("lv", Lang::Lav),
    ("mk", Lang::Mkd),
    ("ml", Lang::Mal),
    ("mr", Lang::Mar),
    ("my", Lang::Mya),
    ("nb", Lang::Nob),
    ("ne", Lang::Nep),
    ("nl", Lang::Nld),
    ("no", Lang::Nob),
    ("or", Lang::Ori),
    ("pa", Lang::Pan),
    ("pl", Lang::Pol),
    ("pt", Lang::Por),
    ("ro", Lang::Ron),
    ("ru", Lang::Rus),
    ("si", Lang::Sin),
    ("sk", Lang::Slk),
    ("sl", Lang::Slv),
    ("sn", Lang::Sna),
    ("sr", Lang::Srp),
    ("sv", Lang::Swe),
    ("ta", Lang::Tam),
    ("te", Lang::Tel),
    ("th", Lang::Tha),
    ("tk", Lang::Tuk),
    ("tl", Lang::Tgl),
    ("tr", Lang::Tur),
    ("uk", Lang::Ukr),
    ("ur", Lang::Urd),
    ("uz", Lang::Uzb),
    ("vi", Lang::Vie),
    ("yi", Lang::Yid),
    ("zh", Lang::Cmn),
    ("zu", Lang::Zul),
];

/// The languages of source and summary; `None` where they cannot be told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Languages {
    /// The summary's language, detected.
    summary: Option<Lang>,
    /// The source's language, detected.
    source: Option<Lang>,
    /// The language that the summary should have.
    expected: Option<Lang>,
}

impl Languages {
    pub(crate) fn of(input: &Input<'_>, thresholds: &Thresholds) -> Self {
        let source = confident(input.source, thresholds);
        let requested = input.expected_language.map(by_code);
        Self {
            summary: confident(input.summary, thresholds),
            source,
            // If the requested language is not known, the source's language does not stand for it.
            expected: requested.unwrap_or(source),
        }
    }

    /// The language to read the summary's number words in: its own, else the expected one.
    pub(crate) fn of_summary(self) -> Option<Lang> {
        self.summary.or(self.expected)
    }

    /// Whether the summary's language gives every noun a capital letter.
    pub(crate) fn capitalise_nouns(self) -> bool {
        self.of_summary() == Some(Lang::Deu)
    }

    /// Whether the summary is a translation, which has other names and number words.
    pub(crate) fn differ(self) -> bool {
        matches!((self.of_summary(), self.source), (Some(a), Some(b)) if a != b)
    }
}

/// The language of a text as an ISO 639-3 code, and the detector's confidence between 0 and 1.
pub fn detect(text: &str) -> Option<(&'static str, f64)> {
    whatlang::detect(&plain_sample(text)).map(|info| (info.lang().code(), info.confidence()))
}

/// The language of a text as an ISO 639-1 code; `None` where the text is too short or the detector
/// not sure.
pub fn language_of(text: &str) -> Option<&'static str> {
    let found = confident(&plain_sample(text), &Thresholds::default())?;
    CODES.iter().find(|(_, lang)| *lang == found).map(|(code, _)| *code)
}

/// Whether a text is English beyond doubt, told by words that no other language has. It is for
/// callers that cannot afford [`language_of`], which compares trigrams with those of every
/// language. `false` says nothing.
pub fn is_plainly_english(text: &str) -> bool {
    /// Common words of English and of no other language. So "in", "is", "are" and "was" are not
    /// among them.
    const ENGLISH: [u64; 14] = [
        packed(b"the"),
        packed(b"and"),
        packed(b"that"),
        packed(b"with"),
        packed(b"which"),
        packed(b"from"),
        packed(b"this"),
        packed(b"their"),
        packed(b"they"),
        packed(b"there"),
        packed(b"you"),
        packed(b"your"),
        packed(b"would"),
        packed(b"about"),
    ];
    /// Words that are read: fewer prove nothing, and more prove nothing more.
    const WORDS: std::ops::RangeInclusive<usize> = 40..=200;
    /// One such word in so many words is proof; in English text it is one in eight to ten.
    const WORDS_PER_ENGLISH_WORD: usize = 25;
    let (mut words, mut english) = (0, 0);
    for word in text.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).take(*WORDS.end()) {
        words += 1;
        if (3..=5).contains(&word.len()) {
            let word = packed(word);
            // The word is compared with all of them at once, and equals one at most.
            english += ENGLISH.iter().map(|known| usize::from(*known == word)).sum::<usize>();
        }
        // The words that follow cannot change the result.
        if words >= *WORDS.start() && english * WORDS_PER_ENGLISH_WORD >= *WORDS.end() {
            return true;
        }
    }
    words >= *WORDS.start() && english * WORDS_PER_ENGLISH_WORD >= words
}

/// The bytes of a word of at most eight, letters in lower case, as one number.
const fn packed(word: &[u8]) -> u64 {
    let (mut number, mut at) = (0, 0);
    while at < word.len() {
        number = number << 8 | word[at].to_ascii_lowercase() as u64;
        at += 1;
    }
    number
}

pub(crate) fn confident(text: &str, thresholds: &Thresholds) -> Option<Lang> {
    let sample = sample(text);
    if count_words(sample) < thresholds.min_language_words as usize {
        return None;
    }
    whatlang::detect(sample)
        .filter(|info| info.confidence() >= thresholds.min_language_confidence)
        .map(|info| info.lang())
}

/// The beginning of a text in plain spelling.
fn plain_sample(text: &str) -> Cow<'_, str> {
    plain(sample(text))
}

fn sample(text: &str) -> &str {
    &text[..text.floor_char_boundary(SAMPLE_BYTES)]
}

/// The language of a BCP 47 tag (`fr-CA`) or an ISO 639 code (`fr`, `fra`).
fn by_code(tag: &str) -> Option<Lang> {
    let code = tag.split(['-', '_']).next().unwrap_or_default().trim().to_ascii_lowercase();
    CODES.iter().find(|(short, _)| *short == code).map(|(_, lang)| *lang).or_else(|| Lang::from_code(&code))
}

/// The ISO 639-1 code of a BCP 47 tag or ISO 639 code, for the languages that the checks know.
pub fn known_code(tag: &str) -> Option<&'static str> {
    let named = by_code(tag)?;
    CODES.iter().find(|(_, lang)| *lang == named).map(|(code, _)| *code)
}

/// Whether a BCP 47 tag or ISO 639 code names this language.
pub(crate) fn is(tag: &str, language: Lang) -> bool {
    by_code(tag) == Some(language)
}

pub(crate) fn check(input: &Input<'_>, languages: Languages, thresholds: &Thresholds) -> Check {
    let info = whatlang::detect(sample(input.summary));
    let value = info.as_ref().map(whatlang::Info::confidence);
    let words = count_words(input.summary);
    let (passed, detail) = match (languages.summary, languages.expected) {
        (Some(found), Some(expected)) if found == expected => (true, String::new()),
        (Some(found), Some(expected)) if are_neighbours(found, expected) => {
            (true, format!("undecided: {} is close to {}", found.code(), expected.code()))
        }
        (Some(found), Some(expected)) => (false, format!("{} instead of {}", found.code(), expected.code())),
        (None, _) if words < thresholds.min_language_words as usize => (true, format!("undecided: only {words} words")),
        (None, _) => (true, "undecided: low confidence".to_owned()),
        (Some(_), None) => (true, "undecided: expected language not known".to_owned()),
    };
    Check::new(CheckName::Language, passed, value, detail)
}

fn are_neighbours(a: Lang, b: Lang) -> bool {
    NEIGHBOURS.iter().any(|group| group.contains(&a) && group.contains(&b))
}

#[cfg(test)]
mod tests;
