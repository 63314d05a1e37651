use std::collections::BTreeMap;

use candle_core::quantized::GgmlDType;

use super::{Place, Quantisation, format};

/// How many matrices of a decoder with a head of its own get each format.
fn counts(layers: usize, width: usize, inner: usize) -> BTreeMap<String, usize> {
    let place = Place { layers, has_head: true };
    let mut names = vec![("token_embd.weight".to_owned(), width), ("output.weight".to_owned(), width)];
    for layer in 0..layers {
        for part in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up"] {
            names.push((format!("blk.{layer}.{part}.weight"), width));
        }
        names.push((format!("blk.{layer}.ffn_down.weight"), inner));
    }
    let mut counts = BTreeMap::new();
    for (name, columns) in names {
        *counts.entry(format!("{:?}", format(Quantisation::Q4K, &name, &[8, columns], place))).or_default() += 1;
    }
    counts
}

fn expected(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// The counts are those of Qwen2.5-Coder's official files of 1.5B and 0.5B, which llama.cpp
/// quantised to `Q4_K_M`. Rows of 896 fill no blocks of 256.
#[test]
fn q4_k_is_the_mixture_of_llama_cpp() {
    assert_eq!(counts(28, 1536, 8960), expected(&[("Q4K", 169), ("Q6K", 29)]));
    assert_eq!(counts(24, 896, 4864), expected(&[("Q4K", 12), ("Q5_0", 133), ("Q6K", 12), ("Q8_0", 13)]));
}

#[test]
fn an_embedding_that_is_also_the_head_is_stored_as_one() {
    let place = |has_head| Place { layers: 2, has_head };
    let embedding = |has_head, columns| format(Quantisation::Q4K, "token_embd.weight", &[8, columns], place(has_head));
    assert_eq!([embedding(true, 256), embedding(false, 256)], [GgmlDType::Q4K, GgmlDType::Q6K]);
    assert_eq!(embedding(false, 576), GgmlDType::Q8_0);
}

#[test]
fn vectors_stay_floats_and_odd_rows_get_16_bits() {
    let place = Place { layers: 2, has_head: false };
    for to in [Quantisation::Q4K, Quantisation::Q8_0, Quantisation::F16] {
        assert_eq!(format(to, "blk.0.attn_norm.weight", &[256], place), GgmlDType::F32);
        assert_eq!(format(to, "blk.0.attn_q.weight", &[8, 48], place), GgmlDType::F16);
    }
    assert_eq!(format(Quantisation::Q8_0, "blk.0.attn_q.weight", &[8, 96], place), GgmlDType::Q8_0);
}
