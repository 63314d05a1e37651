use std::collections::BTreeSet;
use std::time::Duration;

use precis_pipeline::Summariser;
use precis_policy::DecodingRules;

use super::{UniqueAnswers, beginning};

const TEXT: &str = "The harbour board met on Monday. It agreed to rebuild the old ferry terminal, because the roof leaks. \
    Work begins in spring.";

fn instance(name: &str) -> UniqueAnswers {
    UniqueAnswers::new(name.to_owned(), Duration::ZERO)
}

#[tokio::test]
async fn no_two_answers_are_alike_and_all_compete_for_one_key() {
    let (first, second) = (instance("a"), instance("b"));
    let mut answers = BTreeSet::new();
    for _ in 0..10 {
        answers.insert(first.answer(TEXT, 30).await);
        answers.insert(second.answer(TEXT, 30).await);
    }
    assert_eq!(answers.len(), 20, "{answers:?}");
    assert!(answers.contains(&format!("{TEXT} [b-10]")), "{answers:?}");
    assert_eq!(first.decoding(&DecodingRules::default()), second.decoding(&DecodingRules::default()));
}

#[test]
fn a_beginning_ends_with_a_sentence_where_one_fits() {
    assert_eq!(beginning(TEXT, 8), "The harbour board met on Monday.");
    assert_eq!(beginning(TEXT, 3), "The harbour board.");
}
