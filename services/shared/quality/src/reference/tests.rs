#![allow(clippy::unwrap_used)]

use precis_fuzz::Shape;
use proptest::prelude::*;

use super::lcs::Pattern;
use super::*;
use crate::ngrams;

fn stems(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| porter::stem(word)).collect()
}

/// Words of the paper and of NLTK's extensions; `tests/golden/scores.json` holds whole texts.
#[test]
fn words_lose_their_endings_as_nltk_takes_them() {
    let words = [
        "caresses",
        "ponies",
        "ties",
        "cats",
        "agreed",
        "feed",
        "plastered",
        "motoring",
        "sing",
        "conflated",
        "hopping",
        "falling",
        "filing",
        "happy",
        "enjoy",
        "relational",
        "radically",
        "theology",
        "triplicate",
        "hopeful",
        "revival",
        "adoption",
        "probate",
        "rate",
        "cease",
        "controlling",
        "spied",
        "died",
        "dying",
        "syzygies",
    ];
    let expected = [
        "caress", "poni", "tie", "cat", "agre", "feed", "plaster", "motor", "sing", "conflat", "hop", "fall", "file",
        "happi", "enjoy", "relat", "radic", "theolog", "triplic", "hope", "reviv", "adopt", "probat", "rate", "ceas",
        "control", "spi", "die", "die", "syzygi",
    ];
    assert_eq!(stems(&words), expected);
}

#[test]
fn accents_split_words_for_rouge_and_not_for_its_unicode_form() {
    let scores = ReferenceScores::of("Évreux a voté", "evreux vote");
    assert!(scores.rouge.rouge1.f.abs() < 1e-12, "vreux, a, vot beside evreux, vote");
    assert!((scores.unicode_rouge.rouge1.recall - 2.0 / 3.0).abs() < 1e-12);
    assert!((scores.unicode_rouge.rouge1.precision - 1.0).abs() < 1e-12);
}

#[test]
fn white_space_at_the_ends_is_no_difference() {
    assert!(ReferenceScores::of("A contract.\n", " A contract.").exact_match);
    assert!(!ReferenceScores::of("A contract.", "a contract.").exact_match);
}

/// The table that the bits stand for.
fn table(one: &[u32], other: &[u32]) -> Vec<Vec<usize>> {
    let mut table = vec![vec![0; other.len() + 1]; one.len() + 1];
    for i in 1..=one.len() {
        for j in 1..=other.len() {
            table[i][j] =
                if one[i - 1] == other[j - 1] { table[i - 1][j - 1] + 1 } else { table[i - 1][j].max(table[i][j - 1]) };
        }
    }
    table
}

/// rouge-score's way back through the table.
fn marked(one: &[u32], other: &[u32]) -> Vec<bool> {
    let table = table(one, other);
    let (mut i, mut j, mut marks) = (one.len(), other.len(), vec![false; one.len()]);
    while i > 0 && j > 0 {
        if one[i - 1] == other[j - 1] {
            marks[i - 1] = true;
            (i, j) = (i - 1, j - 1);
        } else if table[i][j - 1] > table[i - 1][j] {
            j -= 1;
        } else {
            i -= 1;
        }
    }
    marks
}

proptest! {
    /// More tokens than a word has bits, of few kinds.
    #[test]
    fn bits_give_the_subsequence_of_the_table(
        one in prop::collection::vec(0_u32..6, 0..150),
        other in prop::collection::vec(0_u32..7, 0..150),
    ) {
        let pattern = Pattern::of(&one);
        prop_assert_eq!(pattern.common(&other), table(&one, &other)[one.len()][other.len()]);
        let mut marks = vec![false; one.len()];
        pattern.mark(&one, &other, &mut Vec::new(), &mut marks);
        prop_assert_eq!(marks, marked(&one, &other));
    }

    #[test]
    fn each_score_is_within_its_range(reference in "\\PC{0,80}", summary in "[a-c \\n.,&-]{0,80}") {
        let scores = ReferenceScores::of(&reference, &summary);
        for rouge in [scores.rouge, scores.rouge_stemmed, scores.unicode_rouge] {
            for score in [rouge.rouge1, rouge.rouge2, rouge.rouge_l, rouge.rouge_lsum] {
                for share in [score.precision, score.recall, score.f] {
                    prop_assert!((0.0..=1.0).contains(&share), "{:?}", rouge);
                }
            }
        }
        for score in [scores.bleu, scores.chrf] {
            prop_assert!((0.0..=100.0 + 1e-9).contains(&score), "{:?}", scores);
        }
    }

    #[test]
    fn a_text_has_all_in_common_with_itself(text in "[a-zé]{4,9}( [a-zé]{1,9}){3,30}") {
        let scores = ReferenceScores::of(&text, &text);
        prop_assert!(scores.exact_match);
        prop_assert!((scores.bleu - 100.0).abs() < 1e-9 && (scores.chrf - 100.0).abs() < 1e-9, "{:?}", scores);
        prop_assert!((scores.unicode_rouge.rouge_lsum.f - 1.0).abs() < 1e-9, "{:?}", scores);
    }
}

/// Beyond the limit the subsequence is that of the shorter text's first tokens, and its shares are
/// of those.
#[test]
fn subsequences_read_a_stated_number_of_tokens() {
    let text = |words: usize| vec!["word"; words].join(" ");
    let rouge = ReferenceScores::of(&text(MAX_LCS_TOKENS * 2), &text(MAX_LCS_TOKENS + 100)).rouge;
    assert!((rouge.rouge_l.precision - 1.0).abs() < 1e-12);
    assert!((rouge.rouge_l.recall - 0.5).abs() < 1e-12);
    assert!((rouge.rouge_lsum.f - 1.0).abs() < 1e-12, "both end after {MAX_LCS_SUM_TOKENS}");
}

#[test]
fn ngrams_count_as_often_as_both_texts_have_them() {
    let [one, two, three] = ngrams::compare::<3>(&[1, 1, 1, 2], &[1, 1, 3]);
    assert_eq!((one.own, one.other, one.shared, one.novel), (4, 3, 2, 1));
    assert_eq!((two.own, two.other, two.shared, two.novel), (3, 2, 1, 1));
    assert_eq!((three.own, three.other, three.shared, three.novel), (2, 1, 0, 2));
    let [one] = ngrams::compare::<1>(&[1, 1, 3], &[1, 1, 1, 2]);
    assert_eq!((one.shared, one.novel), (2, 1), "the third 1 of the other has no partner");
    let [none, _] = ngrams::compare::<2>(&[], &[1]);
    assert_eq!((none.own, none.other, none.shared, none.novel_share()), (0, 1, 0, None));
}

const fn shape(name: &'static str, text: fn(usize) -> String) -> Shape {
    Shape { name, text }
}

fn repeated(bytes: usize, part: &str) -> String {
    part.repeat(bytes / part.len())
}

/// What the tokenizers, the stemmer and the subsequences could be slow on.
const SHAPES: &[Shape] = &[
    shape("one word again and again", |bytes| repeated(bytes, "rent ")),
    shape("words that differ", |bytes| (0..bytes / 8).map(|number| format!("w{number:06} ")).collect()),
    shape("one word a line", |bytes| repeated(bytes, "a\n")),
    shape("lines", |bytes| repeated(bytes, "the rent is due\n")),
    shape("lines that share a word", |bytes| (0..bytes / 8).map(|number| format!("a {number:05}\n")).collect()),
    shape("lines that differ", |bytes| (0..bytes / 8).map(|number| format!("w{number:06}\n")).collect()),
    shape("line ends", |bytes| repeated(bytes, "\n")),
    shape("one endless word", |bytes| repeated(bytes, "x")),
    shape("one endless run of y", |bytes| repeated(bytes, "y")),
    shape("endings in a row", |bytes| repeated(bytes, "alli")),
    shape("letters that a to z has not", |bytes| repeated(bytes, "é")),
    shape("characters without blanks", |bytes| repeated(bytes, "漢字")),
    shape("full stops and commas", |bytes| repeated(bytes, ".,")),
    shape("figures and dashes", |bytes| repeated(bytes, "1-")),
    shape("dashes at line ends", |bytes| repeated(bytes, "-\n")),
    shape("references", |bytes| repeated(bytes, "&amp;")),
    shape("references in references", |bytes| format!("{};", repeated(bytes, "&amp"))),
    shape("skipped marks", |bytes| repeated(bytes, "<skipped>")),
    shape("brackets", |bytes| repeated(bytes, "()")),
    shape("blanks", |bytes| repeated(bytes, " ")),
];

/// The shorter texts have more tokens than any subsequence reads.
#[test]
fn scores_against_a_reference_are_linear() {
    precis_fuzz::grows_linearly("scores", 24 * 1024, SHAPES, |text| {
        let scores = ReferenceScores::of(text, text);
        assert!(scores.exact_match);
    });
    precis_fuzz::grows_linearly("precision in the source", 24 * 1024, SHAPES, |text| {
        let _ = precision_in_source(text, text);
    });
}
