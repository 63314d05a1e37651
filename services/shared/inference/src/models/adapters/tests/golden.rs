//! Logits with the adapters of `tests/golden/lora`, beside those of PEFT on transformers
//! (`tests/golden/lora.py`).

use std::sync::Arc;

use precis_kernels::Isa;
use serde::Deserialize;

use super::*;
use crate::backend::Backend;
use crate::model::decoder::Decoder;
use crate::step::{Batch, StepModel};

#[derive(Deserialize)]
struct Golden {
    prompts: Vec<Vec<u32>>,
    none: Vec<Vec<f32>>,
    all: Vec<Vec<f32>>,
    some: Vec<Vec<f32>>,
}

fn adapter(path: &str) -> Arc<Adapter> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/lora").join(path);
    let files = AdapterFiles::open("golden", &path).unwrap();
    Arc::new(factors::factors("golden", &files, &base()).unwrap())
}

/// The largest difference of a logit, relative to the largest logit of its row, over all prompts
/// and adapters in one batch.
fn distance<B: Backend>(mut decoder: Decoder<B>) -> f32 {
    let golden: Golden = serde_json::from_str(include_str!("../../../../tests/golden/lora.json")).unwrap();
    let cases = [(None, &golden.none), (Some(0), &golden.all), (Some(1), &golden.some), (Some(2), &golden.all)];
    for (slot, path) in ["all", "some", "all.gguf"].into_iter().enumerate() {
        decoder.load_adapter(slot as u32, &adapter(path)).unwrap();
    }
    let mut largest = 0.0_f32;
    for (index, prompt) in golden.prompts.iter().enumerate() {
        let mut batch = Batch::default();
        for (number, (slot, _)) in cases.iter().enumerate() {
            let first = number as u32 * 4;
            batch.push_adapted(*slot, prompt, 0, &[first, first + 1, first + 2, first + 3], Some(&[]));
        }
        for (found, (_, expected)) in decoder.host_logits(&batch).iter().zip(&cases) {
            let size = expected[index].iter().map(|logit| logit.abs()).fold(0.0, f32::max);
            for (found, expected) in found.iter().zip(&expected[index]) {
                largest = largest.max((found - expected).abs() / size);
            }
        }
    }
    largest
}

/// In single precision only roundings differ.
#[test]
fn logits_with_adapters_equal_those_of_peft() {
    let distance = distance(tiny::decoder());
    assert!(distance < 1e-5, "{distance}");
}

/// On the processor activations are rounded to 8 bits, as without adapters.
#[test]
fn logits_on_the_processor_are_near_to_those_of_peft() {
    let distance = distance(tiny::cpu_decoder(2, Isa::detect()));
    assert!(distance < 0.06, "{distance}");
}

/// The converter of llama.cpp and this crate move the rows of the same factors to the same places.
#[test]
fn the_converted_adapter_equals_the_saved_one() {
    assert_eq!(numbers(&adapter("all.gguf")), numbers(&adapter("all")));
}
