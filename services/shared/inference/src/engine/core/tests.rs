#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use proptest::prelude::*;
use tokio::sync::oneshot::{self, Receiver};

use super::Core;
use crate::engine::adapters::AdapterLease;
use crate::engine::fake::{self, BOMB, END, FakeModel, NOT_A_NUMBER, POISON, Steps};
use crate::engine::metrics::Counters;
use crate::engine::prefix::MAX_MISSES;
use crate::engine::scheduler::{MAX_OVERTAKEN, StepLimits};
use crate::engine::sequence::{Generated, Job};
use crate::error::EngineError;
use crate::request::{End, FinishReason};
use crate::step::BLOCK_TOKENS;

mod adapters;

type Answer = Receiver<Result<Generated, EngineError>>;

const LIMITS: StepLimits = StepLimits { step_tokens: 16, max_sequences: 4 };

fn core(blocks: usize, limits: StepLimits) -> (Core<FakeModel>, Steps) {
    let model = FakeModel::new(blocks);
    let steps = Steps::clone(&model.steps);
    (Core::new(model, limits, fake::rules(), blocks, Arc::new(Counters::default())), steps)
}

fn submit(core: &mut Core<FakeModel>, prompt: &[u32], max_new_tokens: usize, priority: i32) -> Answer {
    submit_with_common(core, prompt, 0, max_new_tokens, priority)
}

fn submit_with_common(
    core: &mut Core<FakeModel>,
    prompt: &[u32],
    common_tokens: usize,
    max_new_tokens: usize,
    priority: i32,
) -> Answer {
    submit_adapted(core, prompt, common_tokens, max_new_tokens, priority, None)
}

fn submit_adapted(
    core: &mut Core<FakeModel>,
    prompt: &[u32],
    common_tokens: usize,
    max_new_tokens: usize,
    priority: i32,
    adapter: Option<AdapterLease>,
) -> Answer {
    let (reply, answer) = oneshot::channel();
    let limits = crate::decode::stop::AnswerLimits { max_new_tokens, end: End::Natural };
    let prompt = prompt.to_vec();
    core.accept(Job { prompt, common_tokens, limits, steering: None, priority, adapter, reply, place: None });
    answer
}

/// Runs steps until all is done. More steps than there can be work for are a hang.
fn finish(core: &mut Core<FakeModel>) {
    for _ in 0..20_000 {
        if core.is_idle() {
            assert_eq!(core.blocks.available() + core.prefix.blocks().len(), core.blocks.total(), "blocks leaked");
            return;
        }
        core.run_step().unwrap();
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

/// A request of a property test, and what happens to it.
#[derive(Debug, Clone)]
struct Case {
    prompt: Vec<u32>,
    /// How many of its first tokens it declares to be common; not always the truth.
    common_tokens: usize,
    max_new_tokens: usize,
    priority: i32,
    /// The step before which it arrives.
    arrives: usize,
    /// Steps after which its caller goes away, if it does.
    gives_up_after: Option<usize>,
}

/// A request with one of three beginnings, of which one begins another, or with none.
fn case() -> impl Strategy<Value = Case> {
    let beginning = prop_oneof![Just(0_u32..0), Just(100..112), Just(200..240), Just(200..275)];
    let document = prop::collection::vec(1_u32..40, 1..60);
    let lie = prop_oneof![4 => Just(None), 1 => (0_usize..140).prop_map(Some)];
    let gives_up_after = prop_oneof![3 => Just(None), 1 => (0_usize..20).prop_map(Some)];
    (beginning, document, lie, 1_usize..40, -1..2, 0_usize..40, gives_up_after).prop_map(
        |(beginning, document, lie, max_new_tokens, priority, arrives, gives_up_after)| Case {
            common_tokens: lie.unwrap_or(beginning.len()),
            prompt: beginning.chain(document).collect(),
            max_new_tokens,
            priority,
            arrives,
            gives_up_after,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_request_is_answered_once_as_if_it_were_alone(
        mut cases in prop::collection::vec(case(), 1..24),
        poison in prop::option::of(any::<prop::sample::Index>()),
        blocks in 6_usize..24,
        step_tokens in 4_usize..70,
    ) {
        let (mut core, steps) = core(blocks, StepLimits { step_tokens, max_sequences: 4 });
        cases.sort_by_key(|case| case.arrives);
        // One that fails must harm neither its neighbours nor the prefix that it may have.
        let poison = poison.map(|index| index.index(cases.len()));
        if let Some(at) = poison {
            cases[at].prompt.push(POISON);
        }
        let mut answers: Vec<Option<Answer>> = Vec::new();
        for step in 0..20_000 {
            for case in &cases[answers.len()..] {
                if case.arrives > step {
                    break;
                }
                let Case { prompt, common_tokens, max_new_tokens, priority, .. } = case;
                answers.push(Some(submit_with_common(&mut core, prompt, *common_tokens, *max_new_tokens, *priority)));
            }
            for (case, answer) in cases.iter().zip(&mut answers) {
                if case.gives_up_after.is_some_and(|gives_up_after| case.arrives + gives_up_after == step) {
                    *answer = None;
                }
            }
            if core.is_idle() && answers.len() == cases.len() {
                break;
            }
            core.run_step().unwrap();
            let owned: usize = core.running.values().map(|sequence| sequence.own_blocks().len()).sum();
            prop_assert_eq!(owned + core.prefix.blocks().len() + core.blocks.available(), blocks);
        }
        finish(&mut core);
        for (at, (case, answer)) in cases.iter().zip(answers).enumerate() {
            let Some(mut answer) = answer else { continue };
            if poison == Some(at) {
                prop_assert_eq!(answer.try_recv().unwrap().unwrap_err().code(), "step_failed");
                continue;
            }
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

proptest! {
    #[test]
    fn an_urgent_stream_overtakes_only_so_often(
        blocks in 1_usize..6,
        arrivals in prop::collection::vec((1_usize..4, -1..9), 200),
        length in 1_u32..30,
    ) {
        let (mut core, _) = core(blocks, LIMITS);
        let first = submit(&mut core, &[1; 30], 2, 9);
        let patient = core.next_id;
        let _patient = submit(&mut core, &(1..=length).collect::<Vec<_>>(), 2, -2);
        let mut later = vec![first];
        for (count, priority) in arrivals {
            for _ in 0..count {
                later.push(submit(&mut core, &[3, 4], 1, priority));
            }
            core.run_step().unwrap();
            if core.waiting.iter().all(|sequence| sequence.id != patient) {
                break;
            }
        }
        prop_assert!(core.waiting.iter().all(|sequence| sequence.id != patient), "it was never admitted");
        let waiting: Vec<_> = core.waiting.iter().map(|sequence| sequence.id).collect();
        let overtook = (patient + 1..core.next_id).filter(|id| !waiting.contains(id)).count();
        // Requests admitted in one step with the last one that may overtake are not counted yet.
        prop_assert!(overtook <= MAX_OVERTAKEN as usize + 2 * LIMITS.max_sequences, "{overtook} went first");
    }
}

#[test]
fn a_cancelled_request_frees_its_blocks_before_the_next_step() {
    let (mut core, _) = core(8, LIMITS);
    let answer = submit(&mut core, &[1; 100], 50, 0);
    let waiting = submit(&mut core, &[2; 100], 100, 0);
    core.run_step().unwrap();
    assert_eq!(core.blocks.available(), 3);
    drop(waiting);
    drop(answer);
    core.run_step().unwrap();
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

/// When every request of a batch is poisonous, each of them fails and the engine goes on.
#[test]
fn a_batch_of_poisonous_requests_does_not_blame_the_device() {
    let (mut core, _) = core(16, LIMITS);
    let mut bad: Vec<Answer> = (0..3).map(|_| submit(&mut core, &[POISON], 9, 0)).collect();
    finish(&mut core);
    for answer in &mut bad {
        assert_eq!(answer.try_recv().unwrap().unwrap_err().code(), "step_failed");
    }
    let good = submit(&mut core, &[1, 2], 9, 0);
    finish(&mut core);
    assert_eq!(generated(good), fake::answer(&[1, 2], 9));
}

#[test]
fn a_broken_device_is_known_from_a_single_request() {
    let (mut core, _) = core(16, LIMITS);
    let _answer = submit(&mut core, &[1], 9, 0);
    core.model.broken = true;
    assert_eq!(core.run_step().unwrap_err().code(), "engine_stopped");
}

#[test]
fn a_broken_device_stops_the_engine_and_blames_no_request() {
    let (mut core, _) = core(16, LIMITS);
    let mut answers: Vec<Answer> = (1..3).map(|id| submit(&mut core, &[id], 9, 0)).collect();
    core.model.broken = true;
    let error = core.run_step().unwrap_err();
    assert_eq!(error.code(), "engine_stopped");
    core.abandon(&error);
    for answer in &mut answers {
        assert_eq!(answer.try_recv().unwrap().unwrap_err().code(), "engine_stopped");
    }
    assert_eq!(core.blocks.available(), 16);
}

/// The common beginning of prompts about a document, and a whole prompt.
fn with_beginning(length: u32, document: u32) -> Vec<u32> {
    (100..100 + length).chain([document; 5]).collect()
}

#[test]
fn the_beginning_of_a_prompt_is_computed_once() {
    for length in [8, 31, 32, 33, 64, 80] {
        let (mut core, steps) = core(16, LIMITS);
        for document in 0..5 {
            let prompt = with_beginning(length, document);
            let answer = submit_with_common(&mut core, &prompt, length as usize, 9, 0);
            finish(&mut core);
            assert_eq!(generated(answer), fake::answer(&prompt, 9), "{length} tokens shared");
        }
        let stats = core.counters.stats();
        assert_eq!((stats.prefix_hits, stats.shared_tokens), (4, 4 * u64::from(length)));
        assert_eq!(stats.prefill_tokens, u64::from(length) + 5 * 5);
        assert_eq!(stats.kv_blocks_pinned, u64::from(length.div_ceil(32)));
        let computed: usize = steps.borrow().iter().map(|(tokens, _)| tokens).sum();
        assert_eq!(computed as u64, stats.prefill_tokens + stats.decode_tokens);
    }
}

#[test]
fn those_who_share_need_fewer_blocks() {
    let (mut core, _) = core(7, LIMITS);
    let first = submit_with_common(&mut core, &with_beginning(64, 1), 64, 9, 0);
    finish(&mut core);
    // Each takes three blocks, of which two are shared: five fit beside the two pinned ones, four
    // may run.
    let rest: Vec<Answer> =
        (2..6).map(|document| submit_with_common(&mut core, &with_beginning(64, document), 64, 9, 0)).collect();
    core.run_step().unwrap();
    core.run_step().unwrap();
    assert_eq!(core.running.len(), 4);
    finish(&mut core);
    for (document, answer) in (1..).zip([first].into_iter().chain(rest)) {
        assert_eq!(generated(answer), fake::answer(&with_beginning(64, document), 9));
    }
}

/// A prompt that is nothing but the shared beginning still computes its last token.
#[test]
fn a_prompt_equal_to_the_prefix_still_gets_its_logits() {
    let (mut core, _) = core(8, LIMITS);
    let prompt: Vec<u32> = (100..164).collect();
    for _ in 0..3 {
        let answer = submit_with_common(&mut core, &prompt, 64, 9, 0);
        finish(&mut core);
        assert_eq!(generated(answer), fake::answer(&prompt, 9));
    }
    assert_eq!(core.counters.stats().shared_tokens, 2 * 63);
}

#[test]
fn another_beginning_takes_the_place_after_a_while() {
    let (mut core, _) = core(16, LIMITS);
    let other = |document: u32| (500..540).chain([document; 3]).collect::<Vec<u32>>();
    for document in 0..4 {
        let answer = submit_with_common(&mut core, &with_beginning(40, document), 40, 9, 0);
        finish(&mut core);
        drop(answer);
    }
    assert_eq!(core.counters.stats().prefix_hits, 3);
    for document in 0..MAX_MISSES + 4 {
        let answer = submit_with_common(&mut core, &other(document), 40, 9, 0);
        finish(&mut core);
        assert_eq!(generated(answer), fake::answer(&other(document), 9));
    }
    assert_eq!(core.counters.stats().prefix_hits, 3 + 4);
    assert_eq!(core.counters.stats().kv_blocks_pinned, 2);
}

#[test]
fn a_request_that_needs_the_whole_pool_takes_the_prefix_away() {
    let (mut core, _) = core(4, LIMITS);
    let first = submit_with_common(&mut core, &with_beginning(40, 1), 40, 9, 0);
    finish(&mut core);
    assert_eq!(core.prefix.blocks().len(), 2);
    let prompt = with_beginning(40, 2);
    // Four blocks: three of its own beside a shared one, but only two are free.
    let large = submit_with_common(&mut core, &prompt, 40, 4 * BLOCK_TOKENS - prompt.len(), 0);
    finish(&mut core);
    assert_eq!(generated(large), fake::answer(&prompt, 4 * BLOCK_TOKENS - prompt.len()));
    drop(first);
}

#[test]
fn a_prefix_outlives_the_request_that_computed_it() {
    let (mut core, _) = core(16, LIMITS);
    let prompt = with_beginning(80, 1);
    let first = submit_with_common(&mut core, &prompt, 80, 50, 0);
    while core.prefix.blocks().is_empty() {
        core.run_step().unwrap();
    }
    drop(first);
    core.run_step().unwrap();
    assert_eq!((core.blocks.available(), core.prefix.blocks().len()), (13, 3));
    let prompt = with_beginning(80, 2);
    let answer = submit_with_common(&mut core, &prompt, 80, 50, 0);
    finish(&mut core);
    assert_eq!(generated(answer), fake::answer(&prompt, 50));
    assert_eq!(core.counters.stats().prefix_hits, 1);
}
