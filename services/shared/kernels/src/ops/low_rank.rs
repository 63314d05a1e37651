//! Adapters: low-rank products that are added to some rows of a product with weights.

use std::ops::Range;

use super::Kernels;
use crate::activations::{Activations, Rows};
use crate::isa::with_dots;
use crate::low_rank::LowRank;
use crate::memory::SharedSlice;
use crate::pack::{BLOCK, TILE};
use crate::spec::{Dots, Work};

/// Rows whose low-rank products are computed together: as many sums fit into registers.
const ROWS_TOGETHER: usize = 4;

/// Neighbouring rows that one adapter changes.
#[derive(Debug, Clone)]
pub struct AdaptedRows<'a> {
    /// The rows.
    pub rows: Range<usize>,
    /// The adapter's products for this matrix.
    pub parts: &'a [LowRank],
}

/// The adapters of a step for one matrix: what is added to a product with it.
#[derive(Debug)]
pub struct Adapters<'a> {
    groups: &'a [AdaptedRows<'a>],
    /// The numbers in between, `[adapted rows][stride]`; those of a row's parts stand side by side.
    between: &'a mut [f32],
    stride: usize,
}

impl<'a> Adapters<'a> {
    /// Adapters of groups whose rows ascend. `between` is work space, for
    /// [`Adapters::work_values`] numbers.
    pub fn new(groups: &'a [AdaptedRows<'a>], between: &'a mut [f32]) -> Self {
        let mut end = 0;
        for group in groups {
            assert!(group.rows.start >= end && group.rows.end >= group.rows.start, "rows of two adapters");
            end = group.rows.end;
        }
        let stride = stride(groups);
        assert!(between.len() >= Self::work_values(groups), "no room for the numbers in between");
        Self { groups, between, stride }
    }

    /// No adapters: the product with the weights alone.
    pub fn none() -> Self {
        Self { groups: &[], between: &mut [], stride: 0 }
    }

    /// Numbers of work space for these groups.
    pub fn work_values(groups: &[AdaptedRows<'_>]) -> usize {
        let rows: usize = groups.iter().map(|group| group.rows.len()).sum();
        rows * stride(groups)
    }
}

fn ranks(parts: &[LowRank]) -> usize {
    parts.iter().map(|part| part.shape().rank).sum()
}

fn stride(groups: &[AdaptedRows<'_>]) -> usize {
    groups.iter().map(|group| ranks(group.parts)).max().unwrap_or(0)
}

/// The numbers in between of every adapted row, computed.
pub(super) struct Between<'a> {
    groups: &'a [AdaptedRows<'a>],
    numbers: &'a [f32],
    stride: usize,
}

impl Between<'_> {
    /// Adds what adapters change of rows `first` and following and the tile's outputs from `output`
    /// on; `sums[i]` belongs to row `first + i`.
    pub(super) fn add<D: Dots>(&self, dots: D, first: usize, output: usize, sums: &mut [[f32; TILE]]) {
        if !self.groups.is_empty() {
            dots.with(Added { dots, between: self, first, output, sums });
        }
    }
}

/// What adapters change of some rows and one tile's outputs, to be added to the sums.
struct Added<'a, D> {
    dots: D,
    between: &'a Between<'a>,
    first: usize,
    output: usize,
    sums: &'a mut [[f32; TILE]],
}

impl<D: Dots> Work for Added<'_, D> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { dots, between, first, output, sums } = self;
        let Between { groups, numbers, stride } = *between;
        let end = first + sums.len();
        let mut index = groups.partition_point(|group| group.rows.end <= first);
        // Rows of the groups before stand before in the work space.
        let mut before: usize = groups[..index].iter().map(|group| group.rows.len()).sum();
        while let Some(group) = groups.get(index).filter(|group| group.rows.start < end) {
            let rows = group.rows.start.max(first)..group.rows.end.min(end);
            let mut offset = 0;
            for part in group.parts {
                let rank = part.shape().rank;
                if let Some(factor) = part.tile_of_b(output) {
                    let place = |row: usize| (before + row - group.rows.start) * stride + offset;
                    let mut row = rows.start;
                    while row < rows.end {
                        let of = |at: usize| &numbers[place(row + at)..][..rank];
                        let sums = &mut sums[row - first..];
                        row += match rows.end - row {
                            4.. => {
                                dots.add_low_rank([of(0), of(1), of(2), of(3)], factor, sums);
                                4
                            }
                            2.. => {
                                dots.add_low_rank([of(0), of(1)], factor, sums);
                                2
                            }
                            _ => {
                                dots.add_low_rank([of(0)], factor, sums);
                                1
                            }
                        };
                    }
                }
                offset += rank;
            }
            before += group.rows.len();
            index += 1;
        }
    }
}

impl Kernels {
    /// Computes the numbers in between of all adapted rows: each part's `scale × A × row`.
    pub(super) fn between<'a>(&mut self, adapters: &'a mut Adapters<'_>, rows: &Activations) -> Between<'a> {
        let Adapters { groups, between, stride } = adapters;
        let (groups, stride) = (*groups, *stride);
        let columns = rows.columns();
        let mut units = Vec::new();
        let mut before = 0;
        let adapted: usize = groups.iter().map(|group| group.rows.len()).sum();
        // Fewer rows at a time where there would be nothing to do for some threads.
        let together = adapted.div_ceil(2 * self.team.threads()).clamp(1, ROWS_TOGETHER);
        for group in groups {
            assert!(group.rows.end <= rows.rows(), "an adapter of {:?} and {} rows", group.rows, rows.rows());
            for part in group.parts {
                assert_eq!(part.shape().inputs, columns, "rows and adapter differ in width");
            }
            for start in group.rows.clone().step_by(together) {
                let count = together.min(group.rows.end - start);
                units.push((group.parts, start, count, before + start - group.rows.start));
            }
            before += group.rows.len();
        }
        let numbers = SharedSlice::new(between);
        let all = rows.all();
        with_dots!(self.isa_proof, dots => self.team.share(&mut self.workers, units.len(), |worker, unit| {
            let (parts, start, count, place) = units[unit];
            // SAFETY: a unit has its own rows of the work space.
            let between = unsafe { numbers.slice(place * stride, count * stride) };
            worker.row.resize(ROWS_TOGETHER * columns, 0.0);
            dots.with(Unit { dots, parts, rows: &all, start, count, columns, stride, inputs: &mut worker.row, between });
        }));
        Between { groups, numbers: between, stride }
    }
}

/// Some neighbouring rows of one adapter, whose numbers in between are computed.
struct Unit<'a, D> {
    dots: D,
    parts: &'a [LowRank],
    rows: &'a Rows<'a>,
    start: usize,
    count: usize,
    columns: usize,
    stride: usize,
    /// Work space for [`ROWS_TOGETHER`] rows.
    inputs: &'a mut [f32],
    between: &'a mut [f32],
}

impl<D: Dots> Work for Unit<'_, D> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { dots, parts, rows, start, count, columns, stride, inputs, between } = self;
        for row in 0..count {
            let (of_row, inputs) = (rows.row(start + row), &mut inputs[row * columns..][..columns]);
            let codes = of_row.codes.as_chunks().0.iter().zip(of_row.scales);
            for (inputs, (codes, scale)) in inputs.as_chunks_mut::<BLOCK>().0.iter_mut().zip(codes) {
                dots.numbers(codes, *scale, inputs);
            }
        }
        let of = |row: usize| &inputs[row * columns..][..columns];
        let mut offset = 0;
        for part in parts {
            let scale = part.scale();
            for rank in 0..part.shape().rank {
                let factor = part.row_of_a(rank);
                let at = offset + rank;
                match count {
                    4 => {
                        for (row, dot) in
                            dots.low_rank_dots([of(0), of(1), of(2), of(3)], factor).into_iter().enumerate()
                        {
                            between[row * stride + at] = scale * dot;
                        }
                    }
                    2 => {
                        for (row, dot) in dots.low_rank_dots([of(0), of(1)], factor).into_iter().enumerate() {
                            between[row * stride + at] = scale * dot;
                        }
                    }
                    _ => {
                        for row in 0..count {
                            between[row * stride + at] = scale * dots.low_rank_dots([of(row)], factor)[0];
                        }
                    }
                }
            }
            offset += part.shape().rank;
        }
    }
}

#[cfg(test)]
mod tests;
