#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use proptest::prelude::*;
use tokio::sync::oneshot::{self, Receiver};

use super::Core;
use crate::engine::batch::BLOCK_TOKENS;
use crate::engine::fake::{self, BOMB, END, FakeModel, NOT_A_NUMBER, POISON, Steps};
use crate::engine::metrics::Counters;
use crate::engine::scheduler::Limits;
use crate::engine::sequence::{Generated, Job};
use crate::error::EngineError;
use crate::request::FinishReason;

type Answer = Receiver<Result<Generated, EngineError>>;

const LIMITS: Limits = Limits { step_tokens: 16, max_sequences: 4 };

fn core(blocks: usize, limits: Limits) -> (Core<FakeModel>, Steps) {
    let model = FakeModel::new(blocks);
    let steps = Steps::clone(&model.steps);
    (Core::new(model, limits, fake::rules(), blocks, Arc::new(Counters::default())), steps)
}

fn submit(core: &mut Core<FakeModel>, prompt: &[u32], max_new_tokens: usize, priority: i32) -> Answer {
    let (reply, answer) = oneshot::channel();
    let limits = crate::decode::stop::Limits { max_new_tokens, one_paragraph: false };
    core.accept(Job { prompt: prompt.to_vec(), limits, priority, reply, place: None });
    answer
}

/// Turns until all is done; more turns than there can be work for is a hang.
fn finish(core: &mut Core<FakeModel>) {
    for _ in 0..20_000 {
        if core.is_idle() {
            assert_eq!(core.blocks.available(), core.blocks.total(), "blocks leaked");
            return;
        }
        core.turn().unwrap();
    }
    panic!("the engine makes no progress");
}

/// The tokens that were generated, closing one included.
fn generated(mut answer: Answer) -> Vec<u32> {
    let generated = answer.try_recv().expect("answered").unwrap();
    let mut ids = generated.ids;
    if generated.reason == FinishReason::Stop {
        ids.push(END);
    }
    assert!(ids.len() <= generated.logprobs.len());
    ids
}

#[derive(Debug, Clone)]
struct Case {
    prompt: Vec<u32>,
    max_new_tokens: usize,
    priority: i32,
    after: usize,
}

fn case() -> impl Strategy<Value = Case> {
    (prop::collection::vec(1_u32..40, 1..90), 1_usize..40, -1..2, 0_usize..30)
        .prop_map(|(prompt, max_new_tokens, priority, after)| Case { prompt, max_new_tokens, priority, after })
}

proptest! {
    #[test]
    fn every_request_is_answered_once_as_if_it_were_alone(
        mut cases in prop::collection::vec(case(), 1..12),
        blocks in 5_usize..24,
        step_tokens in 4_usize..70,
    ) {
        let (mut core, steps) = core(blocks, Limits { step_tokens, max_sequences: 4 });
        cases.sort_by_key(|case| case.after);
        let mut answers = Vec::new();
        let mut turns = 0;
        for case in &cases {
            while turns < case.after {
                core.turn().unwrap();
                turns += 1;
            }
            answers.push(submit(&mut core, &case.prompt, case.max_new_tokens, case.priority));
        }
        finish(&mut core);
        for (case, answer) in cases.iter().zip(answers) {
            let expected = fake::answer(&case.prompt, case.max_new_tokens);
            let got = generated(answer);
            prop_assert!(expected.starts_with(&got), "{got:?} is not the beginning of {expected:?}");
            // Shorter only where the answer went in circles.
            prop_assert_eq!(got.len(), expected.len(), "answers of the fake do not go in circles");
        }
        for (tokens, sequences) in steps.borrow().iter() {
            prop_assert!(*tokens <= step_tokens && *sequences <= 4);
        }
    }
}

#[test]
fn a_pool_for_one_request_serves_many_in_turn() {
    let (mut core, _) = core(2, LIMITS);
    let prompt: Vec<u32> = (1..40).collect();
    let answers: Vec<Answer> = (0..5).map(|_| submit(&mut core, &prompt, 2 * BLOCK_TOKENS - prompt.len(), 0)).collect();
    finish(&mut core);
    for answer in answers {
        assert_eq!(generated(answer), fake::answer(&prompt, 2 * BLOCK_TOKENS - prompt.len()));
    }
}

#[test]
fn what_can_never_fit_is_refused_and_blocks_nobody() {
    let (mut core, _) = core(2, LIMITS);
    let mut never = submit(&mut core, &[1; 60], 5, 0);
    let fits = submit(&mut core, &[1, 2, 3], 5, 0);
    finish(&mut core);
    assert_eq!(never.try_recv().unwrap().unwrap_err().code(), "invalid_request");
    assert_eq!(generated(fits), fake::answer(&[1, 2, 3], 5));
}

#[test]
fn an_urgent_stream_does_not_starve_the_others() {
    let (mut core, _) = core(1, LIMITS);
    let mut patient = submit(&mut core, &[1, 2], 3, 0);
    let mut urgent = Vec::new();
    for _ in 0..500 {
        urgent.push(submit(&mut core, &[3, 4], 3, 9));
        core.turn().unwrap();
        if patient.try_recv().is_ok() {
            return;
        }
    }
    panic!("the request of low priority was never served");
}

#[test]
fn a_cancelled_request_frees_its_blocks_before_the_next_step() {
    let (mut core, _) = core(8, LIMITS);
    let answer = submit(&mut core, &[1; 100], 50, 0);
    let waiting = submit(&mut core, &[2; 100], 100, 0);
    core.turn().unwrap();
    assert_eq!(core.blocks.available(), 3);
    drop(waiting);
    drop(answer);
    core.turn().unwrap();
    assert!(core.is_idle());
    assert_eq!(core.blocks.available(), 8);
    assert_eq!(core.counters.stats().cancelled, 2);
}

#[test]
fn a_poisonous_request_fails_alone() {
    for (poison, reason) in [(POISON, "poison"), (BOMB, "panicked"), (NOT_A_NUMBER, "not numbers")] {
        let (mut core, _) = core(16, LIMITS);
        let before = submit(&mut core, &[1, 2, 3], 9, 0);
        let mut bad = submit(&mut core, &[4, poison, 5], 9, 0);
        let after = submit(&mut core, &[6, 7], 9, 0);
        finish(&mut core);
        let error = bad.try_recv().unwrap().unwrap_err();
        assert_eq!(error.code(), "step_failed");
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(generated(before), fake::answer(&[1, 2, 3], 9));
        assert_eq!(generated(after), fake::answer(&[6, 7], 9));
        assert_eq!(core.counters.stats().failed, 1);
    }
}

#[test]
fn poisonous_requests_one_after_another_do_not_stop_the_engine() {
    let (mut core, _) = core(16, LIMITS);
    for _ in 0..2 {
        let mut bad = submit(&mut core, &[POISON], 9, 0);
        finish(&mut core);
        assert_eq!(bad.try_recv().unwrap().unwrap_err().code(), "step_failed");
    }
    let good = submit(&mut core, &[1, 2], 9, 0);
    finish(&mut core);
    assert_eq!(generated(good), fake::answer(&[1, 2], 9));
}

#[test]
fn a_broken_device_stops_the_engine_and_blames_no_request() {
    let (mut core, _) = core(16, LIMITS);
    let mut answers: Vec<Answer> = (1..3).map(|id| submit(&mut core, &[id], 9, 0)).collect();
    core.model.broken = true;
    let error = core.turn().unwrap_err();
    assert_eq!(error.code(), "engine_stopped");
    core.abandon(&error);
    for answer in &mut answers {
        assert_eq!(answer.try_recv().unwrap().unwrap_err().code(), "engine_stopped");
    }
    assert_eq!(core.blocks.available(), 16);
}
