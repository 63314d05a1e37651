use std::sync::Arc;

use super::{AnswerLimits, StopRules, Verdict};
use crate::request::{End, FinishReason};
use crate::text::detokenise::Detokeniser;

const END: u32 = 2;

/// Tokens that matter for blank lines, by id.
const TEXTS: [&str; 7] = ["", "", "", "word", "Ċ", "ĊĊ", "Ġ"];

fn rules(endings: &[u32]) -> StopRules {
    let detokeniser = Detokeniser::new(TEXTS.iter().map(|text| (*text, false)));
    StopRules { endings: endings.to_vec(), detokeniser: Arc::new(detokeniser), begins_in_reasoning: false }
}

fn verdict(answer: &[u32], endings: &[u32], max_new_tokens: usize) -> Verdict {
    rules(endings).verdict(answer, AnswerLimits { max_new_tokens, end: End::Natural })
}

fn finished(reason: FinishReason, keep: usize) -> Verdict {
    Verdict::Finished { reason, keep }
}

#[test]
fn every_ending_token_stops_and_is_not_text() {
    for end in [END, 9] {
        assert_eq!(verdict(&[5, 6, end], &[END, 9], 100), finished(FinishReason::Stop, 2));
    }
}

#[test]
fn the_limit_keeps_all_tokens() {
    assert_eq!(verdict(&[5, 6, 7], &[END], 3), finished(FinishReason::Length, 3));
    assert_eq!(verdict(&[5, 6], &[END], 3), Verdict::Continue);
}

#[test]
fn an_ending_token_at_the_limit_is_a_stop() {
    assert_eq!(verdict(&[5, END], &[END], 2), finished(FinishReason::Stop, 1));
}

#[test]
fn three_equal_runs_are_a_loop_and_the_first_is_kept() {
    let mut answer: Vec<u32> = (100..120).collect();
    let start = answer.len();
    for _ in 0..3 {
        assert_eq!(verdict(&answer, &[END], 1000), Verdict::Continue);
        answer.extend(10..20);
    }
    assert_eq!(verdict(&answer, &[END], 1000), finished(FinishReason::Repetition, start + 10));
}

#[test]
fn one_token_for_ever_is_a_loop() {
    let answers = (1..100).map(|length| verdict(&vec![7; length], &[END], 1000));
    assert_eq!(answers.filter(|verdict| *verdict == Verdict::Continue).count(), 23);
}

/// A phrase that comes back a third time is a loop, whatever stands between its places.
#[test]
fn a_phrase_said_a_third_time_is_a_loop() {
    let phrase: Vec<u32> = (200..212).collect();
    let mut answer = vec![5, 6];
    answer.extend(&phrase);
    answer.extend(&[7, 8, 9]);
    answer.extend(&phrase);
    answer.push(10);
    answer.extend(&phrase[..11]);
    assert_eq!(verdict(&answer, &[END], 1000), Verdict::Continue);
    answer.push(211);
    assert_eq!(verdict(&answer, &[END], 1000), finished(FinishReason::Repetition, 14));
}

#[test]
fn lists_with_short_repeats_are_no_loop() {
    let row = [40, 41, 42, 43];
    let answer: Vec<u32> = (0..5).flat_map(|index| row.into_iter().chain([index])).collect();
    assert_eq!(verdict(&answer, &[END], 1000), Verdict::Continue);
}

#[test]
fn one_paragraph_ends_at_the_first_blank_line_after_text() {
    let one = AnswerLimits { max_new_tokens: 100, end: End::Paragraph };
    for (answer, ends) in [
        (&[3, 4][..], false),
        (&[3, 5], true),
        (&[3, 4, 4], true),
        (&[3, 4, 6, 4], true),
        (&[3, 4, 3, 4], false),
        (&[5], false),
        (&[5, 3, 3], false),
    ] {
        let expected = if ends { finished(FinishReason::Stop, answer.len()) } else { Verdict::Continue };
        assert_eq!(rules(&[END]).verdict(answer, one), expected, "{answer:?}");
        assert_eq!(verdict(answer, &[END], 100), Verdict::Continue);
    }
}

#[test]
fn at_the_limit_means_exactly_so_many_tokens_whatever_they_are() {
    let limits = AnswerLimits { max_new_tokens: 40, end: End::AtLimit };
    let (ending, looping) = ([7; 39], [1; 39]);
    assert_eq!(rules(&[7]).verdict(&ending, limits), Verdict::Continue);
    assert_eq!(rules(&[7]).verdict(&looping, limits), Verdict::Continue);
    assert_eq!(rules(&[7]).verdict(&[7; 40], limits), Verdict::Finished { reason: FinishReason::Length, keep: 40 });
}

/// Ids of [`reasoning_rules`].
const OPENS: u32 = 3;
const CLOSES: u32 = 4;
const WORD: u32 = 5;
const BLANK: u32 = 6;

fn reasoning_rules(begins_in_reasoning: bool) -> StopRules {
    let texts =
        [("", false), ("", false), ("", true), ("<think>", true), ("</think>", true), ("word", false), ("ĊĊ", false)];
    StopRules { endings: vec![END], detokeniser: Arc::new(Detokeniser::new(texts.into_iter())), begins_in_reasoning }
}

#[test]
fn a_blank_line_in_or_after_reasoning_ends_no_paragraph() {
    let limits = AnswerLimits { max_new_tokens: 100, end: End::Paragraph };
    for (begins_in_reasoning, answer, ends) in [
        (false, vec![OPENS, BLANK], false),
        (false, vec![OPENS, WORD, BLANK, WORD, BLANK], false),
        (false, vec![OPENS, WORD, CLOSES, BLANK], false),
        (false, vec![OPENS, WORD, CLOSES, BLANK, WORD, BLANK], true),
        (true, vec![WORD, BLANK], false),
        (true, vec![WORD, BLANK, CLOSES, BLANK], false),
        (true, vec![WORD, BLANK, CLOSES, WORD, BLANK], true),
        (false, vec![WORD, BLANK], true),
    ] {
        let verdict = reasoning_rules(begins_in_reasoning).verdict(&answer, limits);
        assert_eq!(verdict != Verdict::Continue, ends, "{begins_in_reasoning} {answer:?}");
    }
}
