#![allow(clippy::unwrap_used)]

use super::CandleBackend;
use crate::engine::isolate::{StepInput, compute};
use crate::model::decoder::Decoder;
use crate::step::{BLOCK_TOKENS, Batch, Restriction, StepModel};
use crate::testing::adapters::{self, RECIPE, Recipe};
use crate::testing::tiny::{self, BLOCKS, Reference};

/// Logits after the last token, computed `chunk` tokens at a time in these blocks.
fn logits(decoder: &mut Decoder<CandleBackend>, tokens: &[u32], chunk: usize, blocks: &[u32]) -> Vec<f32> {
    let mut last = Vec::new();
    for (index, tokens) in tokens.chunks(chunk).enumerate() {
        let mut batch = Batch::default();
        batch.push(tokens, index * chunk, blocks, Some(&[]));
        last = decoder.host_logits(&batch).remove(0);
    }
    last
}

fn tokens(seed: u32, count: u32) -> Vec<u32> {
    (0..count).map(|at| (seed + at * at * 7 + at * 3) % tiny::VOCABULARY as u32).collect()
}

fn assert_close(left: &[f32], right: &[f32]) {
    assert_eq!(left.len(), right.len());
    for (index, (left, right)) in left.iter().zip(right).enumerate() {
        assert!((left - right).abs() < 2e-4 * (1.0 + right.abs()), "logit {index}: {left} and {right}");
    }
}

#[test]
fn logits_equal_those_of_a_plain_forward_pass() {
    let mut decoder = tiny::decoder();
    for count in [1, 2, 31, 32, 33, 150] {
        let tokens = tokens(5, count);
        assert_close(&logits(&mut decoder, &tokens, 200, &[0, 1, 2, 3, 4]), &Reference::new().logits(&tokens));
    }
}

#[test]
fn a_prompt_computed_in_chunks_gives_the_same() {
    let tokens = tokens(9, 140);
    let whole = logits(&mut tiny::decoder(), &tokens, 200, &[0, 1, 2, 3, 4]);
    for chunk in [1, 7, 32, 33, 128, 139] {
        assert_close(&logits(&mut tiny::decoder(), &tokens, chunk, &[0, 1, 2, 3, 4]), &whole);
    }
}

#[test]
fn the_blocks_a_sequence_has_do_not_matter() {
    let tokens = tokens(3, 100);
    let whole = logits(&mut tiny::decoder(), &tokens, 200, &[0, 1, 2, 3]);
    for blocks in [[4, 5, 6, 7], [7, 2, 9, 0], [1, 2, 3, 5]] {
        let mut decoder = tiny::decoder();
        // Keys and values that another sequence left behind must not be read.
        logits(&mut decoder, &[1; 300], 300, &(0..BLOCKS as u32).collect::<Vec<_>>());
        assert_close(&logits(&mut decoder, &tokens, 33, &blocks), &whole);
    }
}

/// Sequences of these lengths together in one batch, each in its own blocks; their logits.
fn together(sequences: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let mut batch = Batch::default();
    let mut next = 0;
    for tokens in sequences {
        let count = tokens.len().div_ceil(BLOCK_TOKENS) as u32;
        batch.push(tokens, 0, &(next..next + count).collect::<Vec<_>>(), Some(&[]));
        next += count;
    }
    assert!(next as usize <= BLOCKS);
    tiny::decoder().host_logits(&batch)
}

#[test]
fn a_batch_gives_what_each_gives_alone() {
    let of = |lengths: &[u32]| -> Vec<Vec<u32>> {
        lengths.iter().enumerate().map(|(seed, length)| tokens(seed as u32 * 13, *length)).collect()
    };
    let ragged = of(&[5, 64, 1, 33, 90]);
    let mut permuted = ragged.clone();
    permuted.reverse();
    let duplicates = vec![tokens(4, 40), tokens(4, 40), tokens(4, 40)];
    for sequences in [ragged, permuted, duplicates, of(&[32, 32, 32]), of(&[1, 1, 1, 1]), of(&[17])] {
        for (tokens, batched) in sequences.iter().zip(together(&sequences)) {
            let alone = together(std::slice::from_ref(tokens)).remove(0);
            assert_close(&batched, &alone);
        }
    }
}

#[test]
fn a_neighbour_changes_nothing_and_an_own_token_does() {
    let (mine, other, changed) = (tokens(1, 50), tokens(2, 50), tokens(3, 50));
    let before = together(&[mine.clone(), other.clone()]);
    let after = together(&[mine.clone(), changed]);
    assert_close(&before[0], &after[0]);
    let mut touched = mine;
    touched[0] = (touched[0] + 1) % tiny::VOCABULARY as u32;
    let own = together(&[touched, other]);
    let differs = own[0].iter().zip(&before[0]).any(|(left, right)| (left - right).abs() > 1e-2);
    assert!(differs, "the first token is not seen");
    assert_close(&own[1], &before[1]);
}

#[test]
fn choices_are_the_likeliest_ids_with_their_log_probabilities() {
    let mut decoder = tiny::decoder();
    let tokens = tokens(6, 20);
    let input =
        StepInput { tokens: &tokens, position: 0, blocks: &[0], wanted: Some(&[]), adapter: None, restriction: None };
    let choice = compute(&mut decoder, &[input]).remove(0).unwrap().unwrap();
    let logits = Reference::new().logits(&tokens);
    let highest = logits.iter().copied().fold(f32::MIN, f32::max);
    assert!((logits[choice.id as usize] - highest).abs() < 1e-5);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - highest).exp()).sum();
    assert!((f64::from(choice.logprob) + sum.ln()).abs() < 1e-4);
}

#[test]
fn a_penalty_makes_written_ids_less_likely_and_no_others() {
    let tokens = tokens(6, 20);
    let free = |written: &[u32], penalty: f32| {
        let mut decoder = tiny::decoder_with_penalty(penalty);
        let input = StepInput {
            tokens: &tokens,
            position: 0,
            blocks: &[0],
            wanted: Some(written),
            adapter: None,
            restriction: None,
        };
        compute(&mut decoder, &[input, input]).remove(1).unwrap().unwrap().id
    };
    let likeliest = free(&[], 2.0);
    assert_eq!(free(&[], 1.0), likeliest);
    assert_eq!(free(&[likeliest], 1.0), likeliest, "a penalty of 1 is none");
    assert_ne!(free(&[likeliest, likeliest], 2.0), likeliest);
    let others: Vec<u32> = (0..tiny::VOCABULARY as u32).filter(|id| *id != likeliest).collect();
    assert_eq!(free(&others, 2.0), likeliest);
}

/// The likeliest of the allowed tokens is chosen, and a neighbour's restriction changes nothing.
#[test]
fn a_restriction_takes_tokens_out_of_its_row_alone() {
    let tokens = tokens(6, 20);
    let logits = Reference::new().logits(&tokens);
    let mut order: Vec<u32> = (0..tiny::VOCABULARY as u32).collect();
    order.sort_by(|left, right| logits[*right as usize].total_cmp(&logits[*left as usize]));
    let choose = |restriction: &Restriction| {
        let mut decoder = tiny::decoder();
        let input = |restriction| StepInput {
            tokens: &tokens,
            position: 0,
            blocks: &[0],
            wanted: Some(&[]),
            adapter: None,
            restriction,
        };
        let choices = compute(&mut decoder, &[input(None), input(Some(restriction)), input(None)]);
        choices.into_iter().map(|choice| choice.unwrap().unwrap().id).collect::<Vec<_>>()
    };
    let except = |ids: &[u32]| Restriction { only: None, except: ids.to_vec() };
    assert_eq!(choose(&except(&[])), [order[0]; 3]);
    assert_eq!(choose(&except(&[order[0], order[1], order[0]])), [order[0], order[2], order[0]]);
    let only = Restriction { only: Some(vec![order[7], order[5]]), except: Vec::new() };
    assert_eq!(choose(&only), [order[0], order[5], order[0]]);
}

#[test]
fn chunks_whose_logits_nobody_wants_are_computed_too() {
    let mut decoder = tiny::decoder();
    let tokens = tokens(8, 70);
    let blocks = [0, 1, 2];
    let first = StepInput {
        tokens: &tokens[..40],
        position: 0,
        blocks: &blocks,
        wanted: None,
        adapter: None,
        restriction: None,
    };
    assert!(matches!(compute(&mut decoder, &[first])[..], [Ok(None)]));
    let mut batch = Batch::default();
    batch.push(&tokens[40..], 40, &blocks, Some(&[]));
    let rest = decoder.host_logits(&batch).remove(0);
    assert_close(&rest, &Reference::new().logits(&tokens));
}

#[test]
fn a_copied_block_is_as_good_as_the_one_it_was_copied_from() {
    let tokens = tokens(4, 80);
    let whole = logits(&mut tiny::decoder(), &tokens, 80, &[0, 1, 2]);
    let mut decoder = tiny::decoder();
    let mut first = Batch::default();
    first.push(&tokens[..60], 0, &[0, 1], Some(&[]));
    decoder.logits(&first).unwrap();
    decoder.copy_block(1, 6).unwrap();
    decoder.forget(&[1]).unwrap();
    // The copy holds positions 32 to 59; 50 to 79 are written over its end and after it.
    let mut rest = Batch::default();
    rest.push(&tokens[50..], 50, &[0, 6, 3], Some(&[]));
    assert_close(&decoder.host_logits(&rest)[0], &whole);
}

#[test]
fn what_was_forgotten_is_no_number_and_harms_nobody_else() {
    let tokens = tokens(6, 40);
    let mut decoder = tiny::decoder();
    let whole = logits(&mut decoder, &tokens, 40, &[0, 1]);
    decoder.forget(&[0, 2, 5]).unwrap();
    let mut next = Batch::default();
    next.push(&[1], 40, &[0, 1], Some(&[]));
    let read = decoder.host_logits(&next).remove(0);
    assert!(read.iter().all(|logit| logit.is_nan()), "freed memory was read unnoticed");
    assert_close(&logits(&mut decoder, &tokens, 7, &[5, 2]), &whole);
}

/// Adapters of a batch, one for each sequence or none, give what merged weights give.
#[test]
fn adapters_of_a_batch_equal_merged_weights() {
    let loaded = [RECIPE, Recipe { seed: 2, rank: 7, projections: 3, ..RECIPE }].map(adapters::random);
    let mut decoder = tiny::decoder();
    for (slot, adapter) in loaded.iter().enumerate() {
        decoder.load_adapter(slot as u32, adapter).unwrap();
    }
    let of_sequences = [Some(0), None, Some(1), Some(1), Some(0), None];
    let sequences: Vec<Vec<u32>> = (0..6).map(|seed| tokens(seed * 13, 5 + seed * 8)).collect();
    let mut batch = Batch::default();
    for (index, (tokens, adapter)) in sequences.iter().zip(of_sequences).enumerate() {
        let first = index as u32 * 2;
        batch.push_adapted(adapter, tokens, 0, &[first, first + 1], Some(&[]));
    }
    let found = decoder.host_logits(&batch);
    for ((tokens, adapter), found) in sequences.iter().zip(of_sequences).zip(found) {
        let reference = adapter.map_or_else(Reference::new, |slot| Reference::merged(&loaded[slot as usize]));
        assert_close(&found, &reference.logits(tokens));
        if let Some(slot) = adapter {
            let mut merged = tiny::merged(&loaded[slot as usize]);
            assert_close(&found, &logits(&mut merged, tokens, 200, &[0, 1]));
            let plain = Reference::new().logits(tokens);
            assert!(plain.iter().zip(&found).any(|(left, right)| (left - right).abs() > 0.1), "nothing was changed");
        }
    }
    decoder.drop_adapter(0);
    assert!(decoder.step(&batch).unwrap_err().to_string().contains("no adapter in slot 0"));
}
