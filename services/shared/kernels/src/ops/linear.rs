//! Products with weights.

use std::ops::Range;

use super::Kernels;
use super::low_rank::Adapters;
use crate::activations::{Activations, Writer};
use crate::isa::with_dots;
use crate::memory::SharedSlice;
use crate::pack::{BLOCK, Matrix, TILE};
use crate::spec::{Dots, ROWS, Work, elementwise};

/// Rows that are multiplied with a tile before the next tile is read: their codes stay in the
/// second-level cache.
const ROW_CHUNK: usize = 96;
/// Parts of a product for each thread. Enough to even out a thread that is delayed, few enough that
/// a part reads memory in long runs.
const PARTS_PER_THREAD: usize = 6;

impl Kernels {
    /// `result = rows × matrix`; a row of the result is [`Matrix::padded_rows`] wide.
    pub fn linear(&mut self, matrix: &Matrix, rows: &Activations, result: &mut [f32]) {
        self.linear_adapted(matrix, rows, Adapters::none(), result);
    }

    /// `result = rows × (matrix + its adapter)`, each row with its own adapter.
    pub fn linear_adapted(&mut self, matrix: &Matrix, rows: &Activations, adapters: Adapters<'_>, result: &mut [f32]) {
        self.product(matrix, rows, adapters, result, |_, result, sums| result.copy_from_slice(sums));
    }

    /// `result = rows × (matrix + its adapter) + bias`: each sum is finished first, then the bias
    /// is added.
    pub fn linear_bias(
        &mut self,
        matrix: &Matrix,
        bias: &[f32],
        rows: &Activations,
        adapters: Adapters<'_>,
        result: &mut [f32],
    ) {
        assert!(bias.len() == matrix.rows() && bias.len().is_multiple_of(TILE), "{} biases", bias.len());
        self.product(matrix, rows, adapters, result, |tile, result, sums| {
            for ((result, sum), bias) in result.iter_mut().zip(sums).zip(&bias[tile * TILE..]) {
                *result = sum + bias;
            }
        });
    }

    /// `result += rows × matrix`.
    pub fn linear_add(&mut self, matrix: &Matrix, rows: &Activations, result: &mut [f32]) {
        self.linear_add_adapted(matrix, rows, Adapters::none(), result);
    }

    /// `result += rows × (matrix + its adapter)`, each row with its own adapter.
    pub fn linear_add_adapted(
        &mut self,
        matrix: &Matrix,
        rows: &Activations,
        adapters: Adapters<'_>,
        result: &mut [f32],
    ) {
        self.product(matrix, rows, adapters, result, |_, result, sums| {
            for (result, sum) in result.iter_mut().zip(sums) {
                *result += sum;
            }
        });
    }

    fn product(
        &mut self,
        matrix: &Matrix,
        rows: &Activations,
        mut adapters: Adapters<'_>,
        result: &mut [f32],
        store: impl Fn(usize, &mut [f32], &[f32; TILE]) + Sync,
    ) {
        let width = matrix.padded_rows();
        assert_eq!(matrix.columns(), rows.columns(), "rows and matrix differ in width");
        assert!(result.len() >= rows.rows() * width, "no room for {} rows of {width}", rows.rows());
        let between = self.between(&mut adapters, rows);
        let rows = rows.all();
        let result = SharedSlice::new(result);
        let parts = WorkParts::new(matrix.tiles(), self.team.threads());
        with_dots!(self.isa_proof, dots => self.team.share(&mut self.workers, parts.count, |worker, part| {
            let sums = &mut worker.tiles[0];
            for chunk in chunks(rows.count) {
                for index in parts.range(part) {
                    let tile = matrix.tile(index);
                    for first in chunk.clone().step_by(ROWS) {
                        let some = rows.part(first, ROWS.min(chunk.end - first));
                        dots.tile(&tile, &some, sums);
                        between.add(dots, first, index * TILE, &mut sums[..some.count]);
                        for (row, sums) in sums.iter().enumerate().take(some.count) {
                            // SAFETY: a part has its own tiles, which are its own columns of each
                            // row.
                            store(index, unsafe { result.slice((first + row) * width + index * TILE, TILE) }, sums);
                        }
                    }
                }
            }
        }));
    }

    /// `silu(gate) × up`, rounded; `matrix` holds the gate's outputs above the up's, a multiple of
    /// 32 each.
    pub fn gate_up_silu(&mut self, matrix: &Matrix, rows: &Activations, result: &mut Activations) {
        self.gate_up_silu_adapted(matrix, rows, Adapters::none(), result);
    }

    /// The same, where gate and up of each row are those of the matrix plus its adapter.
    pub fn gate_up_silu_adapted(
        &mut self,
        matrix: &Matrix,
        rows: &Activations,
        mut adapters: Adapters<'_>,
        result: &mut Activations,
    ) {
        let inner = matrix.rows() / 2;
        assert!(inner.is_multiple_of(BLOCK) && matrix.columns() == rows.columns(), "a gate of {inner} outputs");
        let between = self.between(&mut adapters, rows);
        let writer = result.writer(rows.rows(), inner);
        let rows = rows.all();
        let parts = WorkParts::new(inner / BLOCK, self.team.threads());
        with_dots!(self.isa_proof, dots => self.team.share(&mut self.workers, parts.count, |worker, part| {
            for chunk in chunks(rows.count) {
                for block in parts.range(part) {
                    let up = inner / TILE;
                    let tiles = [2 * block, 2 * block + 1, up + 2 * block, up + 2 * block + 1].map(|tile| (tile, matrix.tile(tile)));
                    for first in chunk.clone().step_by(ROWS) {
                        let some = rows.part(first, ROWS.min(chunk.end - first));
                        for ((index, tile), sums) in tiles.iter().zip(&mut worker.tiles) {
                            dots.tile(tile, &some, sums);
                            between.add(dots, first, index * TILE, &mut sums[..some.count]);
                        }
                        dots.with(Activated { tiles: &worker.tiles, first, count: some.count, block, writer: &writer });
                    }
                }
            }
        }));
    }
}

/// A block of some rows of `silu(gate) × up`.
struct Activated<'a> {
    /// The two tiles of the gate, then those of the up.
    tiles: &'a [[[f32; TILE]; ROWS]; 4],
    first: usize,
    count: usize,
    block: usize,
    writer: &'a Writer<'a>,
}

impl Work for Activated<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { tiles: [gate, more_gate, up, more_up], first, count, block, writer } = self;
        for row in 0..count {
            let mut numbers = [0.0; BLOCK];
            for lane in 0..TILE {
                numbers[lane] = elementwise::silu_times(gate[row][lane], up[row][lane]);
                numbers[TILE + lane] = elementwise::silu_times(more_gate[row][lane], more_up[row][lane]);
            }
            // SAFETY: a part has its own blocks of each row.
            let mut result = unsafe { writer.blocks(first + row, block, 1) };
            elementwise::quantise(&numbers, &mut result);
        }
    }
}

fn chunks(rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(ROW_CHUNK).map(move |start| start..rows.min(start + ROW_CHUNK))
}

/// Units of work, cut into a few contiguous parts, so that memory is read in long runs.
struct WorkParts {
    units: usize,
    count: usize,
}

impl WorkParts {
    fn new(units: usize, threads: usize) -> Self {
        let count = if threads == 1 { 1 } else { units.min(threads * PARTS_PER_THREAD) };
        Self { units, count }
    }

    fn range(&self, part: usize) -> Range<usize> {
        part * self.units / self.count..(part + 1) * self.units / self.count
    }
}
