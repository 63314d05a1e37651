//! The identity suite with adapters: an answer with adapter A has the same bits alone and beside B.

use std::sync::Arc;

use super::*;
use crate::step::Adapter;
use crate::testing::adapters::{RECIPE, Recipe, random};

/// Adapters of unlike ranks and projections.
fn adapters() -> Vec<Arc<Adapter>> {
    let recipes = [
        RECIPE,
        Recipe { seed: 2, rank: 16, ..RECIPE },
        Recipe { seed: 3, rank: 1, projections: 3, ..RECIPE },
        Recipe { seed: 4, rank: 5, projections: 6, alpha: 5.0 },
    ];
    recipes.into_iter().map(random).collect()
}

fn with_adapters(threads: usize, isa: Isa, adapters: &[Arc<Adapter>]) -> Decoder<CpuBackend> {
    let mut decoder = tiny::cpu_decoder(threads, isa);
    for (slot, adapter) in adapters.iter().enumerate() {
        decoder.load_adapter(slot as u32, adapter).unwrap();
    }
    decoder
}

/// Sequences of these lengths, with adapters by turns and every fifth without one.
fn mixed(lengths: &[usize]) -> Vec<Sequence> {
    let all: Vec<Vec<u32>> = lengths.iter().zip(31..).map(|(count, seed)| tokens(seed, *count)).collect();
    let mut sequences = sequences(&all);
    for (index, sequence) in sequences.iter_mut().enumerate() {
        sequence.adapter = Some(index as u32 % 5).filter(|slot| *slot < 4);
    }
    sequences
}

/// Each sequence alone, token by token, in plain Rust.
fn each_alone(sequences: &[Sequence], adapters: &[Arc<Adapter>]) -> Vec<Bits> {
    let alone = |sequence: &Sequence| {
        let mut decoder = with_adapters(1, Isa::Portable, adapters);
        together(&mut decoder, std::slice::from_ref(sequence), 1).remove(0)
    };
    sequences.iter().map(alone).collect()
}

#[test]
fn bits_with_an_adapter_do_not_depend_on_company() {
    let adapters = adapters();
    let all = mixed(&[20, 33, 5, 64, 40, 1, 32, 17, 50]);
    let expected = each_alone(&all, &adapters);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        for threads in [1, 3] {
            let mut decoder = with_adapters(threads, isa, &adapters);
            for chunk in [1, 7, 32, 1000] {
                let found = together(&mut decoder, &all, chunk);
                assert!(found == expected, "{isa:?}, {threads} threads, chunks of {chunk}");
            }
        }
    }
    // Next to each other, as the engine puts them, and turned around.
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|index| all[*index].adapter);
    for order in [order.clone(), order.into_iter().rev().collect()] {
        let sorted: Vec<Sequence> = order.iter().map(|index| all[*index].clone()).collect();
        let found = together(&mut with_adapters(2, Isa::detect(), &adapters), &sorted, 9);
        for (bits, index) in found.iter().zip(&order) {
            assert!(*bits == expected[*index], "sequence {index} in another order");
        }
    }
}

#[test]
fn sequences_without_an_adapter_are_as_if_there_were_none() {
    let adapters = adapters();
    let all = mixed(&[40, 30, 20, 10, 25, 35]);
    let found = together(&mut with_adapters(2, Isa::detect(), &adapters), &all, 16);
    for (sequence, bits) in all.iter().zip(&found) {
        let plain = TINY.alone(&sequence.tokens);
        assert_eq!(*bits == plain, sequence.adapter.is_none(), "adapter {:?}", sequence.adapter);
    }
}

/// Slots that are given up and used again, and adapters that come and go between steps.
#[test]
fn bits_do_not_depend_on_which_adapters_are_loaded() {
    let adapters = adapters();
    let mut needle = mixed(&[75])[0].clone();
    needle.adapter = Some(1);
    let expected = each_alone(std::slice::from_ref(&needle), &adapters);
    let mut decoder = tiny::cpu_decoder(2, Isa::detect());
    decoder.load_adapter(1, &adapters[1]).unwrap();
    for slot in [0, 2, 3, 9] {
        decoder.load_adapter(slot, &adapters[slot as usize % 4]).unwrap();
        assert!(together(&mut decoder, std::slice::from_ref(&needle), 11) == expected, "beside slot {slot}");
        decoder.drop_adapter(slot);
    }
    decoder.drop_adapter(1);
    let mut batch = Batch::default();
    batch.push_adapted(Some(1), &[1], 0, &[0], Some(&[]));
    assert!(decoder.step(&batch).unwrap_err().to_string().contains("no adapter in slot 1"));
}

/// The difference to merged weights. Both round weights and activations to 8 bits, one after and
/// one before the adapter is added: a few hundredths of the largest logit, where the adapter
/// changes logits by more than a tenth of it.
#[test]
fn logits_with_an_adapter_are_near_to_those_of_merged_weights() {
    for adapter in adapters() {
        let mut sequence = mixed(&[90])[0].clone();
        sequence.adapter = Some(0);
        let mut adapted = with_adapters(2, Isa::detect(), std::slice::from_ref(&adapter));
        let found = together(&mut adapted, std::slice::from_ref(&sequence), 1000).remove(0);
        sequence.adapter = None;
        let merged = together(&mut tiny::cpu_merged(&adapter), std::slice::from_ref(&sequence), 1000).remove(0);
        let exact = Reference::merged(&adapter).logits(&sequence.tokens);
        let size = exact.iter().map(|logit| logit.abs()).fold(0.0, f32::max);
        let last = |bits: &Bits| -> Vec<f32> { bits[89].iter().map(|logit| f32::from_bits(*logit)).collect() };
        let largest = |left: &[f32], right: &[f32]| {
            left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max) / size
        };
        let (found, merged) = (last(&found), last(&merged));
        assert!(largest(&found, &exact) < 0.06, "{} of the exact logits", largest(&found, &exact));
        assert!(largest(&found, &merged) < 0.03, "{} of merged weights", largest(&found, &merged));
        let plain = Reference::new().logits(&sequence.tokens);
        assert!(largest(&exact, &plain) > 0.1, "it changes logits by {} only", largest(&exact, &plain));
    }
}
