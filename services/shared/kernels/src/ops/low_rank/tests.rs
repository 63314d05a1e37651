//! Adapters on every instruction set, alone and beside others, and against sums in f64.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::isa::Isa;
use crate::low_rank::LowRankShape;
use crate::pack::{Format, Matrix};
use crate::spec::elementwise;
use crate::testing::{Numbers, bits, kernels};

const WIDTH: usize = 96;
const OUTPUTS: usize = 128;

fn activations(numbers: &[f32], columns: usize) -> Activations {
    let rows = numbers.len() / columns;
    let mut result = Activations::new(rows, columns);
    let writer = result.writer(rows, columns);
    for (row, numbers) in numbers.chunks_exact(columns).enumerate() {
        // SAFETY: one thread.
        elementwise::quantise(numbers, &mut unsafe { writer.blocks(row, 0, columns / BLOCK) });
    }
    result
}

/// Products of an adapter for some outputs each: first, outputs, rank.
fn parts(numbers: &mut Numbers, shapes: &[(usize, usize, usize)]) -> Vec<LowRank> {
    let mut part = |&(first, outputs, rank): &(usize, usize, usize)| {
        let a: Vec<f32> = (0..rank * WIDTH).map(|_| numbers.signed()).collect();
        let b: Vec<f32> = (0..rank * outputs).map(|_| numbers.signed()).collect();
        LowRank::pack(LowRankShape { first, inputs: WIDTH, outputs, rank }, 0.5, &a, &b).unwrap()
    };
    shapes.iter().map(&mut part).collect()
}

/// Three adapters: one of several parts, one of a large rank, one of the least.
fn adapters() -> Vec<Vec<LowRank>> {
    let mut numbers = Numbers::new(21);
    vec![
        parts(&mut numbers, &[(0, 64, 8), (64, 32, 3), (96, 32, 16)]),
        parts(&mut numbers, &[(0, OUTPUTS, 33)]),
        parts(&mut numbers, &[(112, 16, 1)]),
    ]
}

/// Results of all three operations, with an adapter (or none) for each row.
fn results(kernels: &mut Kernels, matrix: &Matrix, rows: &[f32], of_rows: &[Option<&[LowRank]>]) -> Vec<Vec<u32>> {
    let groups: Vec<AdaptedRows<'_>> = of_rows
        .iter()
        .enumerate()
        .filter_map(|(row, parts)| parts.map(|parts| AdaptedRows { rows: row..row + 1, parts }))
        .collect();
    grouped(kernels, matrix, rows, &groups)
}

fn grouped(kernels: &mut Kernels, matrix: &Matrix, rows: &[f32], groups: &[AdaptedRows<'_>]) -> Vec<Vec<u32>> {
    let input = activations(rows, WIDTH);
    let count = rows.len() / WIDTH;
    let mut space = vec![f32::NAN; Adapters::work_values(groups)];
    let (mut product, mut sum) = (vec![0.0; count * OUTPUTS], vec![1.5; count * OUTPUTS]);
    kernels.linear_adapted(matrix, &input, Adapters::new(groups, &mut space), &mut product);
    kernels.linear_add_adapted(matrix, &input, Adapters::new(groups, &mut space), &mut sum);
    let mut gated = Activations::new(count, OUTPUTS / 2);
    kernels.gate_up_silu_adapted(matrix, &input, Adapters::new(groups, &mut space), &mut gated);
    (0..count)
        .map(|row| {
            let gated = gated.all().row(row);
            let mut all = bits(&product[row * OUTPUTS..][..OUTPUTS]);
            all.extend(bits(&sum[row * OUTPUTS..][..OUTPUTS]));
            all.extend(gated.codes.iter().map(|code| *code as u32));
            all.extend(bits(gated.scales));
            all
        })
        .collect()
}

/// Adapters of rows, as they may stand in a batch: next to each other, apart, or none.
fn companies(adapters: &[Vec<LowRank>], count: usize) -> Vec<Option<&[LowRank]>> {
    (0..count).map(|row| adapters.get((row * row + row / 3) % 4).map(Vec::as_slice)).collect()
}

#[test]
fn every_instruction_set_adds_adapters_to_the_same_bits() {
    let mut numbers = Numbers::new(5);
    let adapters = adapters();
    for format in [Format::Q8_0, Format::Q4_1] {
        let matrix = numbers.matrix(format, OUTPUTS, WIDTH);
        for count in [1, 2, 3, 5, 12, 13, 40] {
            let rows = numbers.activations(count * WIDTH);
            let of_rows = companies(&adapters, count);
            let mut definition = Kernels::new(1, Isa::Portable, 64).unwrap();
            let expected = results(&mut definition, &matrix, &rows, &of_rows);
            for threads in [1, 2, 5] {
                for mut kernels in kernels(threads, 64) {
                    assert!(results(&mut kernels, &matrix, &rows, &of_rows) == expected, "{count} rows: {kernels:?}");
                }
            }
        }
    }
}

#[test]
fn a_row_is_the_same_alone_and_beside_other_adapters() {
    let mut numbers = Numbers::new(6);
    let adapters = adapters();
    let matrix = numbers.matrix(Format::Q4_0, OUTPUTS, WIDTH);
    let rows = numbers.activations(29 * WIDTH);
    let of_rows = companies(&adapters, 29);
    let mut kernels = Kernels::new(3, Isa::detect(), 64).unwrap();
    let together = results(&mut kernels, &matrix, &rows, &of_rows);
    for row in 0..29 {
        let alone = results(&mut kernels, &matrix, &rows[row * WIDTH..][..WIDTH], &of_rows[row..=row]);
        assert!(alone[0] == together[row], "row {row}");
    }
    // A group of neighbouring rows is as good as a group for each of them.
    let all = [AdaptedRows { rows: 2..27, parts: &adapters[1] }];
    let one_by_one: Vec<_> = (2..27).map(|row| AdaptedRows { rows: row..row + 1, parts: &adapters[1] }).collect();
    assert!(
        grouped(&mut kernels, &matrix, &rows, &all) == grouped(&mut kernels, &matrix, &rows, &one_by_one),
        "one group"
    );
}

#[test]
fn rows_without_an_adapter_are_as_if_there_were_none() {
    let mut numbers = Numbers::new(7);
    let adapters = adapters();
    let matrix = numbers.matrix(Format::Q8_0, OUTPUTS, WIDTH);
    let rows = numbers.activations(9 * WIDTH);
    let of_rows = companies(&adapters, 9);
    let mut kernels = Kernels::new(2, Isa::detect(), 64).unwrap();
    let mixed = results(&mut kernels, &matrix, &rows, &of_rows);
    let plain = results(&mut kernels, &matrix, &rows, &[None; 9]);
    for row in 0..9 {
        assert_eq!(mixed[row] == plain[row], of_rows[row].is_none(), "row {row}");
    }
}

#[test]
fn adapters_add_the_product_of_their_factors() {
    let mut numbers = Numbers::new(8);
    let adapters = adapters();
    let matrix = numbers.matrix(Format::Q8_0, OUTPUTS, WIDTH);
    let rows = numbers.activations(4 * WIDTH);
    let input = activations(&rows, WIDTH);
    let mut kernels = Kernels::new(1, Isa::detect(), 64).unwrap();
    let mut product = |groups: &[AdaptedRows<'_>]| {
        let mut space = vec![0.0; Adapters::work_values(groups)];
        let mut result = vec![0.0; 4 * OUTPUTS];
        kernels.linear_adapted(&matrix, &input, Adapters::new(groups, &mut space), &mut result);
        result
    };
    let plain = product(&[]);
    for adapter in &adapters {
        let adapted = product(&[AdaptedRows { rows: 0..4, parts: adapter }]);
        for row in 0..4 {
            let codes = input.all().row(row);
            let number = |at: usize| f64::from(codes.codes[at]) * f64::from(codes.scales[at / BLOCK]);
            let mut exact = vec![0.0; OUTPUTS];
            for part in adapter {
                let LowRankShape { first, outputs, rank, .. } = part.shape();
                let (a, b) = (part.a(), part.b());
                for output in 0..outputs {
                    for at in 0..rank {
                        let dot: f64 = (0..WIDTH).map(|input| f64::from(a[at * WIDTH + input]) * number(input)).sum();
                        exact[first + output] += 0.5 * dot * f64::from(b[output * rank + at]);
                    }
                }
            }
            for output in 0..OUTPUTS {
                let found = f64::from(adapted[row * OUTPUTS + output] - plain[row * OUTPUTS + output]);
                assert!((found - exact[output]).abs() < 1e-3, "row {row}, output {output}: {found} {}", exact[output]);
            }
        }
    }
}

#[test]
#[should_panic(expected = "rows of two adapters")]
fn rows_of_two_adapters_are_refused() {
    let adapters = adapters();
    let groups = [AdaptedRows { rows: 0..3, parts: &adapters[0] }, AdaptedRows { rows: 2..4, parts: &adapters[1] }];
    Adapters::new(&groups, &mut [0.0; 4 * 33]);
}

#[test]
#[should_panic(expected = "differ in width")]
fn an_adapter_of_another_width_is_refused() {
    let mut numbers = Numbers::new(9);
    let matrix = numbers.matrix(Format::Q8_0, OUTPUTS, 2 * WIDTH);
    let input = activations(&numbers.activations(2 * WIDTH), 2 * WIDTH);
    let adapters = adapters();
    let groups = [AdaptedRows { rows: 0..1, parts: &adapters[0] }];
    let mut space = vec![0.0; Adapters::work_values(&groups)];
    let mut result = vec![0.0; OUTPUTS];
    Kernels::new(1, Isa::detect(), 64).unwrap().linear_adapted(
        &matrix,
        &input,
        Adapters::new(&groups, &mut space),
        &mut result,
    );
}

/// As `vector_instructions_are_cheaper_than_the_definition` has it for operations without adapters.
#[test]
fn adapters_by_vectors_are_cheaper_than_the_definition() {
    let Some(mut vector) = Kernels::new(1, Isa::Avx2, 64) else { return };
    let mut portable = Kernels::new(1, Isa::Portable, 64).unwrap();
    let mut numbers = Numbers::new(41);
    let matrix = numbers.matrix(Format::Q4_1, OUTPUTS, WIDTH);
    let (parts, rows) = (parts(&mut numbers, &[(0, OUTPUTS, 64)]), numbers.activations(8 * WIDTH));
    let input = activations(&rows, WIDTH);
    let groups = [AdaptedRows { rows: 0..8, parts: &parts }];
    let work = |kernels: &mut Kernels| {
        let mut space = vec![0.0; Adapters::work_values(&groups)];
        kernels.linear_adapted(&matrix, &input, Adapters::new(&groups, &mut space), &mut [0.0; 8 * OUTPUTS]);
    };
    precis_fuzz::takes_at_most(60, "adapters", &mut || work(&mut vector), &mut || work(&mut portable));
}
