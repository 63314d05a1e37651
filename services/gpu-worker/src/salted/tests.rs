use std::collections::BTreeSet;
use std::time::Duration;

use precis_pipeline::Summariser;
use precis_quality::{Input, Thresholds};

use super::{SaltedSummariser, beginning};

const TEXT: &str = "The harbour board met on Monday. It agreed to rebuild the old ferry terminal, because the roof leaks. \
    Work begins in spring.";

fn salted(instance: &str) -> SaltedSummariser {
    SaltedSummariser::new(instance.to_owned(), Duration::ZERO)
}

#[tokio::test]
async fn no_two_answers_are_alike_and_all_compete_for_one_key() {
    let (first, second) = (salted("a"), salted("b"));
    let mut answers = BTreeSet::new();
    for _ in 0..10 {
        answers.insert(first.answer(TEXT, 30).await);
        answers.insert(second.answer(TEXT, 30).await);
    }
    assert_eq!(answers.len(), 20, "{answers:?}");
    assert!(answers.contains(&format!("{TEXT} [b-10]")), "{answers:?}");
    assert_eq!(first.decoding(), second.decoding());
}

#[tokio::test]
async fn an_answer_passes_every_gate_but_that_of_numbers() {
    let mut thresholds = Thresholds::default();
    let summary = salted("a").answer(TEXT, 20).await;
    let input =
        Input { source: TEXT, summary: &summary, finish_reason: "stop", max_words: Some(20), ..Input::default() };
    let checks = precis_quality::check(&input, &thresholds);
    thresholds.gates.retain(|gate| gate.as_str() != "unsupported_numbers");
    assert_eq!(precis_quality::failed(&checks, &thresholds), Vec::<&str>::new(), "{summary}");
}

#[test]
fn a_beginning_ends_with_a_sentence_where_one_fits() {
    assert_eq!(beginning(TEXT, 8), "The harbour board met on Monday.");
    assert_eq!(beginning(TEXT, 3), "The harbour board.");
}
