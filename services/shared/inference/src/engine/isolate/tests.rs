use super::{StepInput, compute};
use crate::engine::fake::{FakeModel, POISON, next};

#[test]
fn parts_that_fail_are_found_and_the_others_computed() {
    let prompts: Vec<Vec<u32>> =
        (1..=9).map(|id| if id % 4 == 0 { vec![id, POISON] } else { vec![id, id + 1] }).collect();
    let blocks: Vec<[u32; 1]> = (0..9).map(|block| [block]).collect();
    let inputs: Vec<StepInput<'_>> = prompts
        .iter()
        .zip(&blocks)
        .map(|(tokens, blocks)| StepInput {
            tokens,
            position: 0,
            blocks,
            wanted: Some(&[]),
            adapter: None,
            restriction: None,
        })
        .collect();
    let results = compute(&mut FakeModel::new(9), &inputs);
    for (prompt, result) in prompts.iter().zip(results) {
        match result {
            Ok(choice) => assert_eq!(choice, Some(next(prompt))),
            Err(_) => assert!(prompt.contains(&POISON)),
        }
    }
}

#[test]
fn a_chunk_of_a_prompt_gives_no_token() {
    let input =
        StepInput { tokens: &[1, 2], position: 0, blocks: &[0], wanted: None, adapter: None, restriction: None };
    assert!(matches!(compute(&mut FakeModel::new(1), &[input])[..], [Ok(None)]));
}
