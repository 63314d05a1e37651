#![allow(clippy::unwrap_used)]

use super::RowOrder;

/// A head of four rows: the first half turns with the second there, neighbours with each other
/// here.
#[test]
fn halves_of_a_head_are_interleaved() {
    let order = RowOrder::Halves { head_dim: 4 };
    let rows: Vec<f32> = (0..16).map(|at| at as f32).collect();
    let arranged = order.arranged(rows.clone(), 2);
    let expected = [0, 2, 1, 3, 4, 6, 5, 7].map(|row| [2 * row, 2 * row + 1]).concat();
    assert_eq!(arranged, expected.iter().map(|at| *at as f32).collect::<Vec<_>>());
    assert_eq!((order.unit(), RowOrder::AsStored.unit()), (4, 1));
    assert_eq!(RowOrder::AsStored.arranged(rows.clone(), 2), rows);
}
