use super::{SourceNames, opens_sentence};
use crate::{CheckName, Input, Thresholds, check};

const SOURCE: &str = "The GNU General Public License was written by Richard Stallman for the software of the \
    FREE SOFTWARE FOUNDATION. It is used by debian and by many others.";

fn names(source: &str) -> SourceNames {
    SourceNames::read(source).expect("English has names")
}

#[test]
fn words_of_the_source_may_be_names() {
    let names = names(SOURCE);
    for word in ["GNU", "License", "Stallman", "FREE", "Free", "Debian", "Foundation", "President", "A", "B12"] {
        assert!(names.has(word), "{word}");
    }
    for word in ["Linus", "Gnus", "Stall", "NATO", "debian"] {
        assert!(!names.has(word), "{word}");
    }
    assert_eq!(names.beginning("Stal").collect::<Vec<_>>(), ["Stallman"]);
    assert_eq!(names.beginning("Nsl").next(), None);
}

/// What the rule lets through, the check accepts.
#[test]
fn every_allowed_name_passes_the_check() {
    let names = names(SOURCE);
    let written: Vec<&str> = names.beginning("").collect();
    assert!(written.len() > 30);
    for name in written {
        let summary = format!("it was said that {name} is what the people of the place use for their own work");
        let input = Input { source: SOURCE, summary: &summary, finish_reason: "stop", ..Input::default() };
        let checks = check(&input, &Thresholds::default());
        let failed = checks.iter().find(|check| check.name == CheckName::UnsupportedNames.as_str() && !check.passed);
        assert!(failed.is_none(), "{name}: {failed:?}");
    }
}

#[test]
fn where_every_noun_has_a_capital_there_is_no_rule() {
    let german = "Die Bundesregierung hat gestern in Berlin einen neuen Entwurf für das Gesetz über die Bahn und die \
        Straßen vorgelegt, der von den Ländern und den Gemeinden noch geprüft werden muss.";
    assert!(SourceNames::read(german).is_none());
}

#[test]
fn a_capital_says_nothing_where_a_sentence_begins() {
    for opened in ["", "It ends. ", "Why? ", "a line\n", "Note: ", "he said “", "- "] {
        assert!(opens_sentence(opened), "{opened:?}");
    }
    for within in ["It goes ", "for Dr. ", "a, ", "the (", "Jean-"] {
        assert!(!opens_sentence(within), "{within:?}");
    }
}
