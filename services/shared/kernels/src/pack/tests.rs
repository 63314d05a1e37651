#![allow(clippy::unwrap_used)]
use super::*;
use crate::testing::Numbers;

#[test]
fn parts_of_different_formats_stand_one_below_the_other() {
    let mut numbers = Numbers::new(9);
    let formats = [Format::Q4K, Format::Q6K, Format::Q8_0];
    let bytes: Vec<Vec<u8>> = formats.iter().map(|format| numbers.weights(*format, 32, 512)).collect();
    let sources: Vec<_> = formats
        .iter()
        .zip(&bytes)
        .map(|(format, bytes)| Source { format: *format, rows: 32, columns: 512, bytes })
        .collect();
    let together = Matrix::pack(&sources).unwrap();
    let (mut found, mut expected) = (vec![0.0; 512], vec![0.0; 512]);
    for (index, source) in sources.iter().enumerate() {
        let alone = Matrix::pack(&[*source]).unwrap();
        for row in 0..32 {
            together.row(index * 32 + row, &mut found);
            alone.row(row, &mut expected);
            assert_eq!(found, expected, "row {row} of part {index}");
        }
    }
    assert_eq!(together.rows(), 96);
}

#[test]
fn weights_that_do_not_fit_are_refused_with_their_numbers() {
    let source = |columns, bytes| Source { format: Format::Q4_1, rows: 2, columns, bytes };
    assert_eq!(Matrix::pack(&[source(48, &[])]).unwrap_err(), PackError::Width(48));
    assert_eq!(Matrix::pack(&[source(64, &[0; 79])]).unwrap_err(), PackError::Size { needed: 80, found: 79 });
    let narrow = [0; 40];
    let wide = [0; 80];
    assert_eq!(Matrix::pack(&[source(32, &narrow), source(64, &wide)]).unwrap_err(), PackError::Unequal(64, 32));
}

#[test]
fn a_kind_is_found_by_its_number() {
    for kind in Format::ALL.map(Format::kind) {
        assert_eq!(TileKind::of(kind as u8), kind);
    }
}
