use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{MAX_OVERTAKEN, Plan, Running, StepLimits, Waiting, Work, plan};

const LIMITS: StepLimits = StepLimits { step_tokens: 100, max_sequences: 4 };

fn running(id: u64, tokens: usize, computed: usize) -> Running {
    Running { id, tokens, computed }
}

fn waiting(id: u64, tokens: usize, blocks: usize) -> Waiting {
    Waiting { id, priority: 0, overtaken: 0, tokens, blocks }
}

fn work(id: u64, tokens: usize) -> Work {
    Work { id, tokens }
}

#[test]
fn nothing_to_do_is_an_empty_plan() {
    assert_eq!(plan(&[], &[], 10, LIMITS), Plan::default());
}

#[test]
fn decodes_go_before_prefills_and_admission_comes_last() {
    let plan = plan(&[running(1, 300, 0), running(2, 41, 40)], &[waiting(3, 10, 1)], 10, LIMITS);
    assert_eq!(plan.work, [work(2, 1), work(1, 99)]);
    assert!(plan.admit.is_empty(), "the budget is spent");
}

#[test]
fn a_long_prompt_is_computed_in_chunks() {
    assert_eq!(plan(&[running(1, 250, 0)], &[], 10, LIMITS).work, [work(1, 100)]);
    assert_eq!(plan(&[running(1, 250, 200)], &[], 10, LIMITS).work, [work(1, 50)]);
}

#[test]
fn admitted_prompts_share_what_is_left_of_the_budget() {
    let plan = plan(&[running(1, 41, 40)], &[waiting(2, 60, 2), waiting(3, 60, 2), waiting(4, 60, 2)], 10, LIMITS);
    assert_eq!(plan.admit, [2, 3]);
    assert_eq!(plan.work, [work(1, 1), work(2, 60), work(3, 39)]);
}

#[test]
fn no_more_sequences_run_than_may() {
    let busy: Vec<Running> = (0..3).map(|id| running(id, 41, 40)).collect();
    assert_eq!(plan(&busy, &[waiting(7, 5, 1), waiting(8, 5, 1)], 10, LIMITS).admit, [7]);
}

#[test]
fn the_first_in_line_is_not_overtaken_because_it_is_large() {
    assert_eq!(plan(&[], &[waiting(1, 90, 8), waiting(2, 5, 1)], 7, LIMITS), Plan::default());
}

#[test]
fn higher_priority_goes_first_and_equals_in_order_of_arrival() {
    let urgent = |id| Waiting { priority: 1, ..waiting(id, 10, 1) };
    assert_eq!(plan(&[], &[waiting(1, 10, 1), urgent(2), waiting(3, 10, 1), urgent(4)], 9, LIMITS).admit, [2, 4, 1, 3]);
}

#[test]
fn who_was_overtaken_often_enough_goes_first() {
    let patient = Waiting { overtaken: MAX_OVERTAKEN, priority: -5, ..waiting(1, 10, 1) };
    let urgent = Waiting { priority: 9, ..waiting(2, 10, 1) };
    assert_eq!(plan(&[], &[urgent, patient], 9, LIMITS).admit, [1, 2]);
}

fn some_running() -> impl Strategy<Value = Vec<Running>> {
    prop::collection::vec((0_usize..300, prop_oneof![Just(1_usize), 1_usize..300]), 0..=4).prop_map(|sizes| {
        (0..).zip(sizes).map(|(id, (computed, behind))| running(id, computed + behind, computed)).collect()
    })
}

fn some_waiting() -> impl Strategy<Value = Vec<Waiting>> {
    let one = (1_usize..300, 1_usize..12, -2..3, prop_oneof![Just(0), 0..2 * MAX_OVERTAKEN]);
    prop::collection::vec(one, 0..8).prop_map(|sizes| {
        let request = |(id, (tokens, blocks, priority, overtaken))| Waiting { id, priority, overtaken, tokens, blocks };
        (100..).zip(sizes).map(request).collect()
    })
}

proptest! {
    #[test]
    fn a_plan_keeps_every_bound_and_never_stands_still(
        running in some_running(),
        waiting in some_waiting(),
        free_blocks in 0_usize..24,
        step_tokens in 4_usize..200,
    ) {
        let limits = StepLimits { step_tokens, max_sequences: 4 };
        let plan = plan(&running, &waiting, free_blocks, limits);
        let behind = |id: u64| {
            let runs = running.iter().find(|sequence| sequence.id == id).map(|sequence| sequence.tokens - sequence.computed);
            runs.or_else(|| plan.admit.contains(&id).then(|| waiting[id as usize - 100].tokens)).unwrap_or(0)
        };
        let total: usize = plan.work.iter().map(|work| work.tokens).sum();
        prop_assert!(total <= step_tokens);
        prop_assert!(plan.work.iter().all(|work| (1..=behind(work.id)).contains(&work.tokens)));
        prop_assert_eq!(plan.work.iter().map(|work| work.id).collect::<BTreeSet<_>>().len(), plan.work.len());

        let taken: usize = plan.admit.iter().map(|id| waiting[*id as usize - 100].blocks).sum();
        prop_assert!(taken <= free_blocks && running.len() + plan.admit.len() <= 4);
        for id in &plan.admit {
            prop_assert!(plan.work.iter().any(|work| work.id == *id), "admitted for nothing");
        }
        for sequence in running.iter().filter(|sequence| behind(sequence.id) == 1) {
            prop_assert!(plan.work.contains(&work(sequence.id, 1)), "an answer was stalled");
        }
        prop_assert!(running.is_empty() || !plan.work.is_empty());
        let all_fit = waiting.iter().all(|request| request.blocks <= free_blocks);
        prop_assert!(!all_fit || waiting.is_empty() || !plan.work.is_empty(), "nothing runs though everybody fits");
    }
}
