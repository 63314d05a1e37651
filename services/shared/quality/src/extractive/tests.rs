#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use super::*;

const LIMITS: Limits = Limits { max_words: 60, max_sentences: 3 };

fn of(text: &str) -> Vec<String> {
    summary(text, None, LIMITS).sentences
}

const MINUTES: &str = "The council met on Monday in the town hall, and forty people came to listen. The council agreed to repair the \
    old bridge over the river before the winter. However, this will close the road to the station for three months. The repair \
    of the bridge costs the town 1.2 million euros, half of which the region pays. A baker asked about parking on market days. \
    Work on the bridge begins in May and ends in August, said the mayor. The meeting ended at nine with applause for the choir.";

/// Sentences as they stand there, in their order, within the limits.
#[test]
fn sentences_are_the_texts_own_in_its_order() {
    let sentences = of(MINUTES);
    assert!(!sentences.is_empty() && sentences.len() <= LIMITS.max_sentences);
    let places: Vec<_> = sentences.iter().map(|sentence| MINUTES.find(sentence.as_str()).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(sentences.iter().any(|sentence| sentence.contains("repair the old bridge")), "{sentences:?}");
    let words: usize = sentences.iter().map(|sentence| crate::count_words(sentence)).sum();
    assert!(words <= LIMITS.max_words as usize, "{words}");
}

/// An extract passes the checks that every answer must pass, in both shapes.
#[test]
fn an_extract_passes_the_checks() {
    let extract = summary(MINUTES, Some("en"), LIMITS);
    for (summary, format) in
        [(extract.paragraph(), crate::Format::Paragraph), (extract.bullets(), crate::Format::Bullets)]
    {
        let input = crate::Input {
            source: MINUTES,
            summary: &summary,
            finish_reason: "stop",
            max_words: Some(60),
            format,
            ..crate::Input::default()
        };
        let thresholds = crate::Thresholds::default();
        assert_eq!(crate::failed(&crate::check(&input, &thresholds), &thresholds), [""; 0], "{summary}");
    }
}

/// The bits are fixed: another machine, another order of a hash map, or another version of the
/// method would choose otherwise.
#[test]
fn the_choice_is_pinned() {
    let expected = [
        "The council met on Monday in the town hall, and forty people came to listen.",
        "The council agreed to repair the old bridge over the river before the winter.",
        "However, this will close the road to the station for three months.",
    ];
    for _ in 0..3 {
        assert_eq!(of(MINUTES), expected, "a changed choice is a new VERSION");
    }
}

#[test]
fn neither_headings_code_tables_nor_menus_are_chosen() {
    let text = "# The Bridge Is Repaired In May.\n\nHome | News | Contact us today.\n\n\
        Annual Report Of The Town Council\n=================================\n\n\
        ```\nThis line of code stands in a fence and looks like prose.\n```\n\n\
        | Year | Cost of the bridge in the year. |\n|------|------|\n| 2024 | It was one million euros in all. |\n\n\
        - Back to the top\n- See [the minutes](https://town.example/minutes) of the whole meeting.\n\
        - The town pays half of the repair of the bridge.\n\n\
        let total = costs.iter().sum(); return total + 1;\n\n\
        Copyright The Town Council And The Friends Of The Bridge.\n\n\
        Is the bridge open to heavy lorries in the winter?\n\n\
        The region pays the other half of the repair of the bridge (about\nsix hundred thousand euros).\n\n\
        Year\tThe cost of the bridge as it stands in a table of figures.\n\n\
        The ferry runs twice a day while the old bridge is being re-\npaired by the town.\n";
    let sentences = prose::sentences(text, None);
    let found: Vec<_> = sentences.iter().map(|sentence| sentence.text.as_str()).collect();
    assert_eq!(
        found,
        [
            "The town pays half of the repair of the bridge.",
            "The region pays the other half of the repair of the bridge (about six hundred thousand euros).",
        ]
    );
}

#[test]
fn abbreviations_dates_and_quotations_cut_no_sentence() {
    for (text, language, expected) in [
        ("Dr. Smith met Mr. Jones at approx. nine. They talked about the old bridge.", "en", 2),
        ("The U.S. gave 4.5 million dollars, e.g. for the bridge. The rest came from the town.", "en", 2),
        ("Am 3. Oktober wurde die neue Brücke eröffnet. Die Kosten trägt zur Hälfte das Land, vgl. Abs. 4.", "de", 2),
        ("Le pont a été rouvert le 3 mai par M. Dupont. « Nous sommes ravis ! » a dit le maire de la ville.", "fr", 2),
        ("\"The bridge is open at last.\" The mayor smiled at all who came.", "en", 2),
        ("桥梁的修复工程将于五月开始。市政府承担一半的费用。", "zh", 2),
    ] {
        let found = prose::sentences(text, Some(language));
        assert_eq!(found.len(), expected, "{found:?}");
    }
}

/// Notices, and what was left untranslated, say nothing of the text.
#[test]
fn neither_notices_nor_other_languages_are_chosen() {
    let text = "Copyright (C) 1989, 1991 The Free Bridge Foundation Of The Town, who keep it. Le pont sur la rivière est \
        fermé de mai à août. The ferry runs twice a day while the bridge is closed, and it is free for all who walk. Les \
        travaux coûtent un million d'euros à la ville et à la région.";
    let found = |language| prose::sentences(text, language).into_iter().map(|one| one.text).collect::<Vec<_>>();
    let french = found(Some("fr"));
    assert!(french.len() == 2 && french.iter().all(|one| one.starts_with("Le")), "{french:?}");
    assert_eq!(found(Some("fra")), french);
    assert_eq!(found(Some("en-GB")).len(), 1);
    assert_eq!(found(None).len(), 3, "where no language is known, none is foreign");
}

#[test]
fn what_was_said_already_is_not_said_again() {
    let again = "The council agreed to repair the old bridge over the river before winter comes.";
    let text = format!("{MINUTES} {again}\n\n{MINUTES}");
    let sentences = of(&text);
    let about = sentences.iter().filter(|sentence| sentence.contains("agreed to repair")).count();
    assert_eq!(about, 1, "{sentences:?}");
}

#[test]
fn no_prose_gives_no_sentence() {
    for text in
        ["", "   \n\n", "a", "1 2 3 4 5 6 7", "# Only A Heading\n", "no full stop at all in this line", "...", "? ? ?"]
    {
        assert!(of(text).is_empty(), "{text:?}");
    }
    let tight = Limits { max_words: 5, max_sentences: 3 };
    assert!(summary(MINUTES, None, tight).sentences.is_empty(), "no sentence is that short");
}

/// A summary of a text that is hardly longer is about half of it.
#[test]
fn a_short_text_is_not_copied_whole() {
    let text =
        "The old bridge over the river is closed from May to August. The town repairs it before the winter comes.";
    assert_eq!(of(text).len(), 1);
}

/// Beginning and end of a long text are read, and its middle at even distances.
#[test]
fn a_long_text_is_thinned_out_evenly() {
    for length in [0, 1, MAX_SENTENCES, MAX_SENTENCES + 1, 1_000, 54_321] {
        let mut places: Vec<usize> = (0..length).collect();
        thin_out(&mut places);
        assert_eq!(places.len(), length.min(MAX_SENTENCES));
        assert!(places.iter().take(OPENING).copied().eq(0..length.min(OPENING)));
        assert_eq!(places.last().copied(), length.checked_sub(1));
        let widest = places.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        assert!(widest <= length / (MAX_SENTENCES - OPENING - CLOSING) + 1, "{length}: {widest}");
    }
}

#[test]
fn extraction_survives_broken_texts() {
    let corpus = [
        MINUTES,
        "« Oui ! » dit-il. \"A (b [c.\" \u{201e}D.\u{201c}\n- x\n1. y.\n```\n~~~\n***\n> q",
        "桥。梁！\u{3}é.\r\n\t|",
    ];
    let corpus = corpus.map(|text| text.as_bytes().to_vec());
    precis_fuzz::survives("extractive", &corpus, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let extract = summary(&text, Some("de"), LIMITS);
        let words: usize = extract.sentences.iter().map(|sentence| crate::count_words(sentence)).sum();
        assert!(words <= LIMITS.max_words as usize && extract.sentences.len() <= LIMITS.max_sentences);
    });
}

/// Of prose more is read than is ranked, so that what grows with the square of the sentences is in
/// both lengths.
#[test]
fn extracts_are_linear_in_texts_of_any_shape() {
    use precis_fuzz::Shape;
    const PROSE: &[Shape] = &[
        Shape { name: "sentences that differ", text: |bytes| sentences(bytes, "opened in may") },
        Shape { name: "long sentences that differ", text: |bytes| sentences(bytes, &"opened in may and ".repeat(15)) },
    ];
    fn sentences(bytes: usize, middle: &str) -> String {
        let mut text = String::new();
        for number in 0.. {
            if text.len() >= bytes {
                break;
            }
            write!(text, "The harbour h{number}ab{number} {middle} in fear. ").unwrap();
        }
        text
    }
    // Sentences are compared with each other, at most 400 of them: below that the texts are short
    // enough here for the comparisons to be a small part, above it they are a constant.
    precis_fuzz::grows_linearly("extracts", 512, precis_fuzz::shapes::TEXTS, |text| {
        let _ = summary(text, None, LIMITS);
    });
    precis_fuzz::grows_linearly("extracts of prose", 160 * 1024, PROSE, |text| {
        let _ = summary(text, None, LIMITS);
    });
}
