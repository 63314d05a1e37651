use super::SourceNumbers;

/// A piece is judged as the check judges a summary: by value, unit and month.
#[test]
fn support_agrees_with_the_check_of_numbers() {
    let source = SourceNumbers::read("On 12 March 2021 the tenant paid $1,200 for thirty days, up 3.5 %, under XIV.");
    for piece in ["1200", "$1,200", "30 days", "3.5 %", "in March 2021", "12 March", "no number at all", "14"] {
        assert!(source.support(piece), "{piece}");
    }
    for piece in ["1300", "30 months", "12 %", "12 April", "2022", "3.6"] {
        assert!(!source.support(piece), "{piece}");
    }
}

#[test]
fn has_knows_numbers_in_words_but_no_rounding() {
    let source = SourceNumbers::read("Three of 12.4 parts, chapter XIV.");
    assert!(source.has(3) && source.has(14));
    assert!(!source.has(12) && !source.has(4));
}
