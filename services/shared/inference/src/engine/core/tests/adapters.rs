//! Requests with adapters beside each other and beside requests without one.

use super::*;

fn adapted(core: &mut Core<FakeModel>, prompt: &[u32], common: usize, slot: Option<u32>) -> Answer {
    submit_adapted(core, prompt, common, 12, 0, slot.map(AdapterLease::empty))
}

fn prompt(seed: u32, count: u32) -> Vec<u32> {
    (0..count).map(|at| 60 + (seed * 7 + at * 3) % 40).collect()
}

#[test]
fn answers_are_those_of_each_requests_own_adapter() {
    let (mut core, _) = core(64, StepLimits { step_tokens: 64, max_sequences: 8 });
    let requests: Vec<(Vec<u32>, Option<u32>)> =
        (0..12).map(|seed| (prompt(seed / 4, 20), [None, Some(3), Some(7), Some(3)][seed as usize % 4])).collect();
    let answers: Vec<Answer> = requests.iter().map(|(prompt, slot)| adapted(&mut core, prompt, 0, *slot)).collect();
    finish(&mut core);
    for ((prompt, slot), answer) in requests.iter().zip(answers) {
        assert_eq!(generated(answer), fake::answer_with(*slot, prompt, 12), "adapter {slot:?}");
    }
}

/// The same beginning has other keys and values with another adapter, so it is shared only with the
/// same one.
#[test]
fn a_beginning_is_shared_only_with_the_same_adapter() {
    let (mut core, _) = core(64, StepLimits { step_tokens: 256, max_sequences: 8 });
    let common = prompt(1, 40);
    let with_end = |seed: u32| [common.clone(), prompt(seed, 9)].concat();
    for (round, slot) in [None, Some(1), Some(2), None, Some(1), Some(2)].into_iter().enumerate() {
        let before = core.counters.stats().shared_tokens;
        let text = with_end(round as u32 + 5);
        let answer = adapted(&mut core, &text, 40, slot);
        finish(&mut core);
        assert_eq!(generated(answer), fake::answer_with(slot, &text, 12), "adapter {slot:?}");
        let shared = core.counters.stats().shared_tokens - before;
        assert_eq!(shared, if round < 3 { 0 } else { 40 }, "round {round}");
    }
    // Two blocks each.
    assert_eq!(core.prefix.blocks().len(), 6);
    core.drop_adapter(1);
    assert_eq!(core.prefix.blocks().len(), 4);
    core.drop_adapter(2);
    assert_eq!(core.prefix.blocks().len(), 2);
    assert!(core.model.adapters.is_empty(), "the model has given them up, too");
    finish(&mut core);
}

/// The beginnings of many adapters hold a quarter of the pool at most; the unread ones make room.
#[test]
fn beginnings_of_many_adapters_leave_room_in_the_pool() {
    let (mut core, _) = core(32, StepLimits { step_tokens: 256, max_sequences: 8 });
    let common = prompt(1, 64);
    for slot in 0..20 {
        let text = [common.clone(), prompt(slot, 9)].concat();
        let answer = adapted(&mut core, &text, 64, Some(slot));
        finish(&mut core);
        assert_eq!(generated(answer), fake::answer_with(Some(slot), &text, 12));
        assert!(core.prefix.blocks().len() <= 8, "{} of 32 blocks", core.prefix.blocks().len());
    }
    assert_eq!(core.prefix.blocks().len(), 8);
}
