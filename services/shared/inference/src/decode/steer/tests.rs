#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use precis_kernels::Isa;
use tokio::sync::oneshot;

use super::{Steering, SteeringRules};
use crate::decode::stop::{AnswerLimits, StopRules, Verdict};
use crate::decode::tokens::TokenClasses;
use crate::engine::core::Core;
use crate::engine::metrics::Counters;
use crate::engine::scheduler::StepLimits;
use crate::engine::sequence::{Generated, Job};
use crate::request::{End, FinishReason, Request};
use crate::testing::tiny;
use crate::text::detokenise::Detokeniser;

const END: u32 = 0;
const WORD: u32 = 1;
const STOP: u32 = 2;
const LINE: u32 = 3;
const DIGIT: u32 = 4;
const OPENS: u32 = 5;
const CLOSES: u32 = 6;
const OTHER: u32 = 7;
const TEXTS: [(&str, bool); 8] = [
    ("", true),
    ("Ġword", false),
    (".", false),
    ("Ċ", false),
    ("7", false),
    ("<think>", true),
    ("</think>", true),
    ("Ġother", false),
];

fn steering(no_repeat_tokens: usize) -> (Steering, StopRules) {
    let detokeniser = Arc::new(Detokeniser::new(TEXTS.into_iter()));
    let classes = Arc::new(TokenClasses::new(Arc::clone(&detokeniser), vec![END]));
    let rules = SteeringRules {
        classes,
        numbers_from_source: true,
        names_from_source: false,
        no_repeat_tokens,
        whole_sentences: true,
    };
    let stop = StopRules { endings: vec![END], detokeniser, begins_in_reasoning: false };
    (Steering::of(&rules, &about("No figures here.")), stop)
}

fn about(document: &str) -> Request {
    Request { document: document.to_owned(), ..Request::default() }
}

fn limits(max_new_tokens: usize, end: End) -> AnswerLimits {
    AnswerLimits { max_new_tokens, end }
}

fn refused(answer: &[u32], end: End) -> Vec<u32> {
    let (steering, stop) = steering(3);
    let mut refused = steering.restriction(answer, limits(100, end), &stop).except;
    refused.sort_unstable();
    refused.dedup();
    refused
}

/// Numbers, repeats and sentences each refuse their own.
#[test]
fn rules_are_put_together() {
    assert_eq!(refused(&[], End::Paragraph), [DIGIT]);
    assert_eq!(refused(&[WORD], End::Paragraph), [END, LINE, DIGIT]);
    assert_eq!(refused(&[WORD], End::Natural), [DIGIT]);
    assert_eq!(refused(&[WORD, STOP], End::Paragraph), [DIGIT]);
    assert_eq!(refused(&[WORD, OTHER, WORD, STOP, WORD, OTHER], End::Natural), [WORD, DIGIT]);
}

#[test]
fn reasoning_is_led_by_no_rule() {
    assert!(refused(&[OPENS, WORD], End::Paragraph).is_empty());
    assert_eq!(refused(&[OPENS, WORD, CLOSES, WORD], End::Paragraph), [END, LINE, DIGIT]);
}

fn verdict(answer: &[u32], max_new_tokens: usize) -> Verdict {
    let (steering, stop) = steering(0);
    steering.verdict(answer, limits(max_new_tokens, End::Paragraph), &stop)
}

fn finished(reason: FinishReason, keep: usize) -> Verdict {
    Verdict::Finished { reason, keep }
}

#[test]
fn the_last_quarter_of_the_room_ends_with_the_sentence() {
    let answer = [WORD, OTHER, WORD, OTHER, WORD, STOP, OTHER];
    assert_eq!(verdict(&answer, 8), finished(FinishReason::Sentence, 6));
    assert_eq!(verdict(&answer[..6], 8), Verdict::Continue);
    assert_eq!(verdict(&answer, 20), Verdict::Continue);
}

/// Half of the answer is enough; with less it is an answer that was cut.
#[test]
fn at_its_limit_an_answer_is_cut_back_to_its_sentence() {
    assert_eq!(verdict(&[WORD, OTHER, STOP, WORD, OTHER, WORD], 6), finished(FinishReason::Sentence, 3));
    assert_eq!(verdict(&[WORD, STOP, WORD, OTHER, WORD, OTHER], 6), finished(FinishReason::Length, 6));
    assert_eq!(verdict(&[WORD, OTHER, WORD, OTHER], 4), finished(FinishReason::Length, 4));
}

#[test]
fn the_models_own_end_stays_its_own() {
    assert_eq!(verdict(&[WORD, STOP, END], 4), finished(FinishReason::Stop, 2));
}

/// Answers of the tiny model about these documents, so many at a time.
fn answers(documents: &[&str], max_sequences: usize) -> Vec<Generated> {
    let words = ["", ".", "Ċ", "Ġ", "1", "2", "3", "0", "Ġdays", "Ġmonths", "Ġthe", "Ġa"];
    let texts = (0..tiny::VOCABULARY).map(|id| (words[id % words.len()], id == 0));
    let detokeniser = Arc::new(Detokeniser::new(texts));
    let classes = Arc::new(TokenClasses::new(Arc::clone(&detokeniser), vec![END]));
    let rules = SteeringRules {
        classes,
        numbers_from_source: true,
        names_from_source: false,
        no_repeat_tokens: 3,
        whole_sentences: true,
    };
    let stop = StopRules { endings: vec![END], detokeniser, begins_in_reasoning: false };
    let steps = StepLimits { step_tokens: 32, max_sequences };
    let decoder = tiny::cpu_decoder(1, Isa::Portable);
    let mut core = Core::new(decoder, steps, stop, tiny::BLOCKS, Arc::new(Counters::default()));
    let submit = |(number, document): (usize, &&str)| {
        let (reply, answer) = oneshot::channel();
        core.accept(Job {
            prompt: (1..12).map(|id| id * (number as u32 + 3) % tiny::VOCABULARY as u32).collect(),
            common_tokens: 0,
            limits: limits(40, End::Natural),
            steering: Some(Steering::of(&rules, &about(document))),
            adapter: None,
            priority: 0,
            reply,
            place: None,
        });
        answer
    };
    let waiting: Vec<_> = documents.iter().enumerate().map(submit).collect();
    while !core.is_idle() {
        core.run_step().unwrap();
    }
    waiting.into_iter().map(|mut answer| answer.try_recv().unwrap().unwrap()).collect()
}

/// An answer is the same, token for token and bit for bit of its probabilities, alone and beside
/// others with other documents.
#[test]
fn the_rules_of_others_change_no_answer() {
    let documents = ["12 days", "No figure", "301 months and 20", "3", "0.1", "2 2 2", "13 the 31"];
    let together = answers(&documents, documents.len());
    assert_eq!(together, answers(&documents, 1));
    assert_ne!(together, answers(&["No figure"; 7], 7), "the documents change nothing");
}

/// Summaries of parts that are put together may open a sentence with a name that their text has
/// not: the names are those of the text.
#[test]
fn names_are_those_of_the_text_behind_the_summaries() {
    let detokeniser = Arc::new(Detokeniser::new([("", true), ("Ġthe", false), ("ĠNsl", false)].into_iter()));
    let classes = Arc::new(TokenClasses::new(Arc::clone(&detokeniser), vec![END]));
    let rules = SteeringRules {
        classes,
        numbers_from_source: false,
        names_from_source: true,
        no_repeat_tokens: 0,
        whole_sentences: false,
    };
    let stop = StopRules { endings: vec![END], detokeniser, begins_in_reasoning: false };
    let refused = |source: Option<&str>| {
        let request = Request { source: source.map(Arc::from), ..about("Nsl is a part of it.") };
        Steering::of(&rules, &request).restriction(&[1], limits(100, End::Natural), &stop).except
    };
    assert_eq!(refused(None), Vec::<u32>::new());
    assert_eq!(refused(Some("A text without it.")), [2]);
}
