//! Attention in all its variants: with a window, with normed heads, without rotation.

use super::*;

impl Shape {
    fn variants(heads: usize, kv_heads: usize, dim: usize, numbers: &mut Numbers) -> Vec<Self> {
        let plain = || Self::new(heads, kv_heads, dim);
        let gains = (numbers.activations(dim), numbers.activations(dim));
        let windows = [1, 2, 15, 32, 100, 255, 256, 257, 299].map(|window| Self { window: Some(window), ..plain() });
        let others = [
            Self { gains: Some(gains.clone()), ..plain() },
            Self { rotations: Rotations::none(dim / 2), ..plain() },
            Self { gains: Some(gains), window: Some(70), rotations: Rotations::none(dim / 2), ..plain() },
        ];
        windows.into_iter().chain(others).collect()
    }

    /// Sequences of these lengths, in chunks of these sizes for so many threads, give what each
    /// token gives alone, in plain Rust.
    pub(super) fn assert_cut(&self, numbers: &mut Numbers, lengths: &[usize], cuts: &[(usize, &[usize])]) {
        let (all, blocks) = sequences(numbers, self, lengths);
        let alone: Vec<Vec<Vec<u32>>> = {
            let mut kernels = Kernels::new(1, Isa::Portable, self.dim).unwrap();
            let mut pool = self.pool(blocks);
            let mut token =
                |sequence: usize, at: usize| self.step(&mut kernels, &mut pool, &all, &[(sequence, at, 1)]).remove(0);
            (0..all.len()).map(|sequence| (0..all[sequence].length).map(|at| token(sequence, at)).collect()).collect()
        };
        for (threads, sizes) in cuts {
            for kernels in &mut kernels(*threads, self.dim) {
                for chunk_len in sizes.iter().copied() {
                    let mut pool = self.pool(blocks);
                    let mut done = vec![0; all.len()];
                    while done.iter().zip(&all).any(|(done, sequence)| *done < sequence.length) {
                        let chunks: Vec<_> = (0..all.len())
                            .map(|sequence| {
                                (sequence, done[sequence], chunk_len.min(all[sequence].length - done[sequence]))
                            })
                            .filter(|(_, _, len)| *len > 0)
                            .collect();
                        let mut rows = self.step(kernels, &mut pool, &all, &chunks).into_iter();
                        for (sequence, first, len) in chunks {
                            for at in first..first + len {
                                assert!(
                                    rows.next().unwrap() == alone[sequence][at],
                                    "{}/{}×{}, window {:?}, {kernels:?}, chunks of {chunk_len}: token {at} of {sequence}",
                                    self.heads,
                                    self.kv_heads,
                                    self.dim,
                                    self.window
                                );
                            }
                            done[sequence] += len;
                        }
                    }
                }
            }
        }
    }

    /// The last token of each of these sequences has the attention of sums in f64.
    pub(super) fn assert_naive(&self, numbers: &mut Numbers, lengths: &[usize]) {
        let (all, blocks) = sequences(numbers, self, lengths);
        let mut kernels = Kernels::new(2, Isa::detect(), self.dim).unwrap();
        let mut pool = self.pool(blocks);
        let spans: Vec<_> = all.iter().enumerate().map(|(index, sequence)| (index, 0, sequence.length)).collect();
        let rows = self.step(&mut kernels, &mut pool, &all, &spans);
        let mut start = 0;
        for sequence in &all {
            let token = sequence.length - 1;
            let (codes, scales) = rows[start + token].split_at(self.heads * self.dim);
            for (at, (exact, size)) in self.naive(sequence, token).into_iter().enumerate() {
                let scale = f64::from(f32::from_bits(scales[at / BLOCK]));
                let found = f64::from(codes[at] as i32) * scale;
                // Half a step of the rounding to 8 bits, and the rounding of weights to bf16, 2⁻⁹
                // each way.
                assert!(
                    (found - exact).abs() < 0.51 * scale + 0.004 * size,
                    "{}/{}×{}, window {:?}, token {token}: {found} not {exact}",
                    self.heads,
                    self.kv_heads,
                    self.dim,
                    self.window
                );
            }
            start += sequence.length;
        }
    }
}

#[test]
fn every_variant_equals_the_definition_however_it_is_cut() {
    let mut numbers = Numbers::new(11);
    for (heads, kv_heads, dim) in [(6, 2, 64), (2, 1, 96)] {
        for shape in Shape::variants(heads, kv_heads, dim, &mut numbers) {
            shape.assert_cut(&mut numbers, &[1, 33, 257, 300], &[(1, &[1000]), (3, &[50])]);
        }
    }
    // Few rows and many chunks: several threads compute the chunks of one tile.
    let windowed = Shape { window: Some(300), ..Shape::new(2, 2, 32) };
    windowed.assert_cut(&mut numbers, &[600], &[(3, &[1, 37])]);
}

#[test]
fn every_variant_is_that_of_naive_sums() {
    let mut numbers = Numbers::new(12);
    for shape in Shape::variants(4, 2, 64, &mut numbers) {
        shape.assert_naive(&mut numbers, &[1, 31, 33, 256, 259, 520]);
    }
}

/// What stood before a window does not reach the token, not even as a sign.
#[test]
fn keys_before_the_window_change_nothing() {
    let mut numbers = Numbers::new(13);
    let shape = Shape { window: Some(40), ..Shape::new(4, 2, 64) };
    let (mut all, blocks) = sequences(&mut numbers, &shape, &[300]);
    let last = |all: &[Sequence]| {
        let mut kernels = Kernels::new(1, Isa::detect(), 64).unwrap();
        shape.step(&mut kernels, &mut shape.pool(blocks), all, &[(0, 0, 300)]).remove(299)
    };
    let before = last(&all);
    let width = shape.width();
    all[0].qkv[259 * width..260 * width].fill(7.0);
    assert_eq!(last(&all), before);
    all[0].qkv[260 * width..261 * width].fill(7.0);
    assert_ne!(last(&all), before);
}

/// Products with a bias are the products without it, and the bias added.
#[test]
fn a_bias_is_added_to_the_finished_sum() {
    let mut numbers = Numbers::new(14);
    let matrix = numbers.matrix(Format::Q4K, 96, 512);
    let bias = numbers.activations(96);
    let input = activations(&numbers.activations(13 * 512), 512);
    for kernels in &mut kernels(2, 64) {
        let (mut plain, mut biased) = (vec![0.0; 13 * 96], vec![0.0; 13 * 96]);
        kernels.linear(&matrix, &input, &mut plain);
        kernels.linear_bias(&matrix, &bias, &input, Adapters::none(), &mut biased);
        let expected: Vec<f32> = plain.iter().enumerate().map(|(at, sum)| sum + bias[at % 96]).collect();
        assert_eq!(bits(&biased), bits(&expected), "{kernels:?}");
    }
}
