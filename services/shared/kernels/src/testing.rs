//! Random numbers for tests, the same in every run.
#![allow(clippy::unwrap_used)]

use half::f16;

use crate::isa::Isa;
use crate::ops::Kernels;
use crate::pack::{Format, Matrix, Source};

/// A small generator (xorshift64*, Vigna 2016).
#[derive(Debug, Clone)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Between −1 and 1.
    pub(crate) fn signed(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Activations as they are in models: mostly small, some large, some 0.
    pub(crate) fn activations(&mut self, count: usize) -> Vec<f32> {
        let mut one = || match self.below(50) {
            0 => 0.0,
            1 => self.signed() * 40.0,
            _ => self.signed(),
        };
        (0..count).map(|_| one()).collect()
    }

    /// Blocks of a format with random codes and plausible scales.
    pub(crate) fn weights(&mut self, format: Format, rows: usize, columns: usize) -> Vec<u8> {
        let blocks = rows * columns / format.block();
        let mut bytes = Vec::with_capacity(blocks * format.block_bytes());
        for _ in 0..blocks {
            let mut block: Vec<u8> = (0..format.block_bytes()).map(|_| self.next() as u8).collect();
            match format {
                Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => self.half(&mut block, &[0]),
                Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => self.half(&mut block, &[0, 2]),
                Format::Q6K => self.half(&mut block, &[208]),
                Format::F16 => self.half(&mut block, &(0..64).step_by(2).collect::<Vec<_>>()),
                Format::F32 => {
                    for number in block.chunks_exact_mut(4) {
                        number.copy_from_slice(&(self.signed() * 0.1).to_le_bytes());
                    }
                }
            }
            bytes.extend(block);
        }
        bytes
    }

    fn half(&mut self, block: &mut [u8], places: &[usize]) {
        for place in places {
            block[*place..place + 2].copy_from_slice(&f16::from_f32(self.signed() * 0.02).to_le_bytes());
        }
    }

    pub(crate) fn matrix(&mut self, format: Format, rows: usize, columns: usize) -> Matrix {
        let bytes = self.weights(format, rows, columns);
        Matrix::pack(&[Source { format, rows, columns, bytes: &bytes }]).unwrap()
    }
}

/// Kernels of every instruction set of this processor, with `threads` threads.
pub(crate) fn kernels(threads: usize, head_dim: usize) -> Vec<Kernels> {
    Isa::ALL.into_iter().filter_map(|isa| Kernels::new(threads, isa, head_dim)).collect()
}

pub(crate) fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}
