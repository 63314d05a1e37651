//! Every instruction set against the portable definition, bit for bit, and the definition against
//! naive sums in f64.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::kv::KvShape;
use crate::pack::Format;
use crate::testing::{Numbers, bits, kernels};

fn activations(numbers: &[f32], columns: usize) -> Activations {
    let mut result = Activations::new(numbers.len() / columns, columns);
    let writer = result.writer(numbers.len() / columns, columns);
    for (row, numbers) in numbers.chunks_exact(columns).enumerate() {
        // SAFETY: one thread.
        elementwise::quantise(numbers, &mut unsafe { writer.blocks(row, 0, columns / BLOCK) });
    }
    result
}

fn numbers_of(rows: &Activations) -> Vec<u32> {
    let mut all: Vec<u32> = rows.all().halves.iter().map(|sum| *sum as u32).collect();
    for row in 0..rows.rows() {
        let row = rows.all().row(row);
        all.extend(row.codes.iter().map(|code| *code as u32));
        all.extend(row.scales.iter().chain(row.sums).map(|number| number.to_bits()));
    }
    all
}

/// Products equal the definition bit for bit, for every format and number of rows.
#[test]
fn products_of_every_format_equal_the_definition() {
    let mut numbers = Numbers::new(1);
    let mut sets = kernels(2, 64);
    for format in Format::ALL {
        for (outputs, columns) in [(16, format.block()), (80, 3 * format.block()), (112, 1536)] {
            let matrix = numbers.matrix(format, outputs, columns);
            for rows in [1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 25, 97] {
                let input = activations(&numbers.activations(rows * columns), columns);
                let before = numbers.activations(rows * matrix.padded_rows());
                let results: Vec<_> = sets
                    .iter_mut()
                    .map(|kernels| {
                        let (mut result, mut sum) = (vec![0.0; before.len()], before.clone());
                        kernels.linear(&matrix, &input, &mut result);
                        kernels.linear_add(&matrix, &input, &mut sum);
                        (bits(&result), bits(&sum))
                    })
                    .collect();
                for (kernels, result) in sets.iter().zip(&results) {
                    assert!(
                        result == results.last().unwrap(),
                        "{format:?} {outputs}×{columns}, {rows} rows: {kernels:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn products_are_those_of_the_rounded_numbers() {
    let mut numbers = Numbers::new(2);
    let mut kernels = Kernels::new(1, Isa::Portable, 64).unwrap();
    for format in Format::ALL {
        let matrix = numbers.matrix(format, 48, 512);
        let real = numbers.activations(3 * 512);
        let input = activations(&real, 512);
        let mut result = vec![0.0; 3 * matrix.padded_rows()];
        kernels.linear(&matrix, &input, &mut result);
        let mut weights = vec![0.0; 512];
        for row in 0..3 {
            let codes = input.all().row(row);
            for output in 0..48 {
                matrix.row(output, &mut weights);
                let terms = (0..512).map(|at| {
                    f64::from(weights[at]) * f64::from(codes.codes[at]) * f64::from(codes.scales[at / BLOCK])
                });
                let size: f64 = terms.clone().map(f64::abs).sum();
                let exact: f64 = terms.sum();
                let found = f64::from(result[row * matrix.padded_rows() + output]);
                assert!(
                    (found - exact).abs() <= size * 1e-5,
                    "{format:?} row {row} output {output}: {found} not {exact}"
                );
            }
        }
        for (at, number) in real.iter().enumerate() {
            let row = input.all().row(at / 512);
            let rounded = f32::from(row.codes[at % 512]) * row.scales[at % 512 / BLOCK];
            assert!((rounded - number).abs() <= row.scales[at % 512 / BLOCK] * 0.500_01);
        }
    }
}

#[test]
fn rows_do_not_know_their_neighbours_nor_the_threads() {
    let mut numbers = Numbers::new(3);
    let matrix = numbers.matrix(Format::Q4_1, 96, 576);
    let real = numbers.activations(37 * 576);
    let mut together = vec![0.0; 37 * 96];
    Kernels::new(3, Isa::detect(), 64).unwrap().linear(&matrix, &activations(&real, 576), &mut together);
    let mut one = Kernels::new(1, Isa::detect(), 64).unwrap();
    for row in 0..37 {
        let mut alone = vec![0.0; 96];
        one.linear(&matrix, &activations(&real[row * 576..][..576], 576), &mut alone);
        assert_eq!(bits(&alone), bits(&together[row * 96..][..96]), "row {row}");
    }
}

/// Norm, gate, embedding and choice equal the definition, which is near to a computation in f64.
#[test]
fn other_operations_equal_the_definition_and_are_near_f64() {
    let mut numbers = Numbers::new(4);
    let (width, inner, rows) = (576, 96, 13);
    let matrix = numbers.matrix(Format::Q4_1, 2 * inner, width);
    let table = numbers.matrix(Format::Q8_0, 70, width);
    let real = numbers.activations(rows * width);
    let gain: Vec<f32> = numbers.activations(width);
    let logits: Vec<f32> = numbers.activations(rows * 70).iter().map(|logit| logit * 3.0).collect();
    let ids: Vec<u32> = (0..rows).map(|_| numbers.below(70) as u32).collect();
    let results: Vec<_> = kernels(2, 64)
        .iter_mut()
        .map(|kernels| {
            let (mut normed, mut gated) = (Activations::new(rows, width), Activations::new(rows, inner));
            kernels.norm(&real, &gain, 1e-5, &mut normed);
            kernels.gate_up_silu(&matrix, &normed, &mut gated);
            let mut embedded = vec![0.0; rows * width];
            kernels.embed(&table, &ids, &mut embedded);
            let choices = kernels.choose(&logits, 70, 70);
            let chosen: Vec<_> = choices.iter().map(|choice| (choice.id, choice.logprob.to_bits())).collect();
            (numbers_of(&normed), numbers_of(&gated), bits(&embedded), chosen)
        })
        .collect();
    assert!(results.iter().all(|result| result == results.last().unwrap()), "instruction sets differ");

    let mut kernels = Kernels::new(1, Isa::Portable, 64).unwrap();
    let mut normed = Activations::new(rows, width);
    kernels.norm(&real, &gain, 1e-5, &mut normed);
    for row in 0..rows {
        let numbers = &real[row * width..][..width];
        let mean = numbers.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>() / width as f64;
        let codes = normed.all().row(row);
        for at in 0..width {
            let exact = f64::from(numbers[at]) / (mean + 1e-5).sqrt() * f64::from(gain[at]);
            let found = f64::from(codes.codes[at]) * f64::from(codes.scales[at / BLOCK]);
            assert!((found - exact).abs() <= f64::from(codes.scales[at / BLOCK]) * 0.501, "row {row}, number {at}");
        }
        let logits = &logits[row * 70..][..70];
        let choice = kernels.choose(logits, 70, 70)[0];
        let largest = logits.iter().copied().fold(f32::MIN, f32::max);
        let sum: f64 = logits.iter().map(|logit| f64::from(*logit - largest).exp()).sum();
        assert_eq!(logits[choice.id as usize], largest);
        assert!((f64::from(choice.logprob) + sum.ln()).abs() < 1e-5);
    }
}

#[test]
fn the_exponential_and_silu_are_near_to_those_in_f64() {
    for step in -870..880 {
        let x = step as f32 / 10.0 + 0.037;
        let exact = f64::from(x).exp();
        if (-87.0..88.0).contains(&x) {
            assert!((f64::from(elementwise::exp(x)) / exact - 1.0).abs() < 2.5e-7, "e^{x}");
        }
        let silu = f64::from(x) / (1.0 + (-f64::from(x)).exp());
        assert!((f64::from(elementwise::silu_times(x, 1.0)) - silu).abs() <= silu.abs() * 1e-6 + 1e-30, "silu({x})");
    }
    assert!(elementwise::exp(f32::NAN).is_nan());
    assert!((elementwise::exp(0.0) - 1.0).abs() < f32::EPSILON);
}

#[test]
fn what_is_no_number_is_not_rounded_away() {
    let mut real = vec![1.0; 64];
    real[40] = f32::NAN;
    let rounded = activations(&real, 64);
    let row = rounded.all().row(0);
    assert!(row.scales[0].is_finite() && row.scales[1].is_nan());
    let mut kernels = Kernels::new(1, Isa::detect(), 64).unwrap();
    assert!(!kernels.choose(&[0.0, f32::NAN, 1.0], 3, 3)[0].logprob.is_finite());
    assert!(!kernels.choose(&[f32::NAN; 40], 40, 40)[0].logprob.is_finite());
}

/// A sequence in the pool, with all its rows.
struct Sequence {
    blocks: Vec<u32>,
    qkv: Vec<f32>,
    length: usize,
}

struct Shape {
    heads: usize,
    kv_heads: usize,
    dim: usize,
    rotations: Rotations,
    window: Option<usize>,
    /// Gains of query and key heads.
    gains: Option<(Vec<f32>, Vec<f32>)>,
}

const EPSILON: f32 = 1e-5;

impl Shape {
    fn new(heads: usize, kv_heads: usize, dim: usize) -> Self {
        let half = dim / 2;
        let angle = |at: usize| (at / half) as f64 * 10_000f64.powf(-((at % half) as f64) / half as f64);
        let table = |of: fn(f64) -> f64| (0..600 * half).map(|at| of(angle(at)) as f32).collect::<Vec<_>>();
        let rotations = Rotations::new(&table(f64::cos), &table(f64::sin), half);
        Self { heads, kv_heads, dim, rotations, window: None, gains: None }
    }

    fn turn(&self) -> HeadTurn<'_> {
        let norm = self.gains.as_ref().map(|(query, key)| HeadNorm { query, key, epsilon: EPSILON });
        HeadTurn { rotations: &self.rotations, norm }
    }

    fn width(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.dim
    }

    fn pool(&self, blocks: usize) -> KvPool {
        let mut pool = KvPool::new(KvShape { layers: 2, blocks, kv_heads: self.kv_heads, head_dim: self.dim });
        for block in 0..blocks {
            pool.poison(block);
        }
        pool
    }

    /// Computes the chunks (sequence, first token, tokens) together; returns their attention, row
    /// by row.
    fn step(
        &self,
        kernels: &mut Kernels,
        pool: &mut KvPool,
        sequences: &[Sequence],
        chunks: &[(usize, usize, usize)],
    ) -> Vec<Vec<u32>> {
        let (mut spans, mut qkv) = (Vec::new(), Vec::new());
        let mut start = 0;
        for (sequence, first, len) in chunks {
            let Sequence { blocks, qkv: all, .. } = &sequences[*sequence];
            spans.push(Span { start, len: *len, context: first + len, blocks });
            qkv.extend_from_slice(&all[first * self.width()..(first + len) * self.width()]);
            start += len;
        }
        let mut queries = vec![0; start * self.heads * self.dim / 2];
        let mut results = Activations::new(start, self.heads * self.dim);
        let spans = Spans::new(&spans, self.heads, self.kv_heads);
        kernels.rope_write_kv(pool, 1, &qkv, self.turn(), &spans, &mut queries);
        kernels.attention(pool, (1, self.window), &queries, &spans, &mut results);
        let row = |row: usize| {
            let row = results.all().row(row);
            row.codes.iter().map(|code| *code as u32).chain(row.scales.iter().map(|scale| scale.to_bits())).collect()
        };
        (0..start).map(row).collect()
    }

    /// Attention of one token in f64, from the numbers as the pool rounds them. Beside each sum
    /// stands its sum of magnitudes.
    fn naive(&self, sequence: &Sequence, token: usize) -> Vec<(f64, f64)> {
        let rounded = |at: usize, head: usize, turn: Option<f32>| -> Vec<f64> {
            let numbers = &sequence.qkv[at * self.width() + head * self.dim..][..self.dim];
            let Some(scale) = turn else {
                return numbers
                    .iter()
                    .map(|number| f64::from(elementwise::from_bf16(elementwise::to_bf16(*number))))
                    .collect();
            };
            let mut pairs = vec![0; self.dim / 2];
            let (cosines, sines) = self.rotations.at(at);
            let mut normed = numbers.to_vec();
            if let Some((query, key)) = &self.gains {
                let mean = numbers.iter().map(|number| number * number).sum::<f32>() / self.dim as f32;
                for (number, gain) in normed.iter_mut().zip(if head < self.heads { query } else { key }) {
                    *number *= gain / (mean + EPSILON).sqrt();
                }
            }
            elementwise::rotate(&normed, cosines, sines, scale, &mut pairs);
            pairs
                .iter()
                .flat_map(|pair| [*pair as u16, (pair >> 16) as u16])
                .map(|bits| f64::from(elementwise::from_bf16(bits)))
                .collect()
        };
        let mut result = Vec::new();
        for head in 0..self.heads {
            let kv = head / (self.heads / self.kv_heads);
            let query = rounded(token, head, Some(1.0 / (self.dim as f32).sqrt()));
            let first = self.window.map_or(0, |window| (token + 1).saturating_sub(window));
            let scores: Vec<f64> = (first..=token)
                .map(|at| rounded(at, self.heads + kv, Some(1.0)).iter().zip(&query).map(|(k, q)| k * q).sum())
                .collect();
            let largest = scores.iter().copied().fold(f64::MIN, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            let mut sums = vec![(0.0, 0.0); self.dim];
            for (at, weight) in weights.iter().enumerate() {
                for (sum, value) in sums.iter_mut().zip(rounded(first + at, self.heads + self.kv_heads + kv, None)) {
                    sum.0 += weight / total * value;
                    sum.1 += weight / total * value.abs();
                }
            }
            result.extend(sums);
        }
        result
    }
}

/// Sequences of these lengths, in blocks that are scattered over the pool.
fn sequences(numbers: &mut Numbers, shape: &Shape, lengths: &[usize]) -> (Vec<Sequence>, usize) {
    let total: usize = lengths.iter().map(|length| length.div_ceil(BLOCK_TOKENS)).sum();
    let mut free: Vec<u32> = (0..total as u32).collect();
    for at in (1..total).rev() {
        free.swap(at, numbers.below(at + 1));
    }
    let mut make = |length: &usize| Sequence {
        blocks: free.split_off(free.len() - length.div_ceil(BLOCK_TOKENS)),
        qkv: numbers.activations(length * shape.width()),
        length: *length,
    };
    (lengths.iter().map(&mut make).collect(), total)
}

/// Attention equals the definition, alone or together with others, in chunks of any length, with
/// any number of threads.
#[test]
fn attention_equals_the_definition_however_it_is_cut() {
    let mut numbers = Numbers::new(5);
    for (heads, kv_heads, dim) in [(3, 3, 64), (6, 2, 64), (4, 1, 96), (2, 1, 128), (14, 1, 32)] {
        let shape = Shape::new(heads, kv_heads, dim);
        let lengths = [1, 2, 31, 32, 33, 64, 255, 256, 257, 300];
        shape.assert_cut(&mut numbers, &lengths, &[(1, &[7, 1000]), (2, &[32]), (3, &[50])]);
    }
}

#[test]
fn attention_is_that_of_naive_sums() {
    let mut numbers = Numbers::new(6);
    for (heads, kv_heads, dim) in [(3, 3, 64), (3, 1, 64), (4, 1, 96), (8, 2, 128)] {
        Shape::new(heads, kv_heads, dim).assert_naive(&mut numbers, &[1, 31, 33, 256, 259, 520]);
    }
}

#[test]
fn a_copied_block_reads_as_the_one_it_was_copied_from() {
    let shape = Shape::new(2, 1, 64);
    let mut numbers = Numbers::new(7);
    let (mut all, _) = sequences(&mut numbers, &shape, &[70]);
    let mut kernels = Kernels::new(1, Isa::detect(), 64).unwrap();
    let mut pool = shape.pool(8);
    let expected = shape.step(&mut kernels, &mut pool, &all, &[(0, 0, 70)]);
    let last = all[0].blocks[2];
    let free = (0..8).find(|block| !all[0].blocks.contains(block)).unwrap();
    pool.copy_block(last as usize, free as usize);
    pool.poison(last as usize);
    all[0].blocks[2] = free;
    assert_eq!(shape.step(&mut kernels, &mut pool, &all, &[(0, 69, 1)])[0], expected[69]);
}

mod heads;

/// Operations of a decoder step. Where a compiler leaves a part of one without the instructions, as
/// it does with a closure that it does not inline, each multiply-add there is a call, as in the
/// definition.
#[test]
fn vector_instructions_are_cheaper_than_the_definition() {
    let Some(mut vector) = Kernels::new(1, Isa::Avx2, 64) else { return };
    let mut portable = Kernels::new(1, Isa::Portable, 64).unwrap();
    let mut numbers = Numbers::new(31);
    let mut held = |name: &str, work: &dyn Fn(&mut Kernels)| {
        precis_fuzz::takes_at_most(60, name, &mut || work(&mut vector), &mut || work(&mut portable));
    };

    let shape = Shape::new(9, 3, 64);
    let (sequences, blocks) = sequences(&mut numbers, &shape, &[256]);
    let pool = std::cell::RefCell::new(shape.pool(blocks));
    shape.step(&mut Kernels::new(1, Isa::Avx2, 64).unwrap(), &mut pool.borrow_mut(), &sequences, &[(0, 0, 255)]);
    held("attention", &|kernels| {
        shape.step(kernels, &mut pool.borrow_mut(), &sequences, &[(0, 255, 1)]);
    });

    let (rows, gain) = (numbers.activations(8 * 512), numbers.activations(512));
    held("norm", &|kernels| kernels.norm(&rows, &gain, EPSILON, &mut Activations::new(8, 512)));

    let logits = numbers.activations(8 * 4096);
    held("choice of an id", &|kernels| drop(kernels.choose(&logits, 4096, 4096)));

    let (matrix, input) = (numbers.matrix(Format::Q4_1, 512, 256), activations(&numbers.activations(8 * 256), 256));
    held("product", &|kernels| kernels.linear(&matrix, &input, &mut vec![0.0; 8 * 512]));
    held("gate", &|kernels| kernels.gate_up_silu(&matrix, &input, &mut Activations::new(8, 256)));
}
