#![allow(clippy::unwrap_used)]

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use proptest::prelude::*;

use super::encode;

/// The numbers that a reader gets back.
fn decoded(bytes: &[u8], rows: usize, columns: usize, format: GgmlDType) -> Vec<f32> {
    let storage = QStorage::from_data(bytes.into(), &Device::Cpu, format).unwrap();
    let tensor = QTensor::new(storage, (rows, columns)).unwrap();
    tensor.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

const FORMATS: [(GgmlDType, f32); 7] = [
    (GgmlDType::F32, 0.0),
    (GgmlDType::F16, 0.001),
    (GgmlDType::Q8_0, 0.005),
    (GgmlDType::Q5_0, 0.07),
    (GgmlDType::Q6K, 0.05),
    (GgmlDType::Q5K, 0.1),
    (GgmlDType::Q4K, 0.2),
];

fn number() -> impl Strategy<Value = f32> {
    prop_oneof![3 => -1.0_f32..1.0, 1 => Just(0.0), 1 => -1e-4_f32..1e-4, 1 => Just(0.5)]
}

proptest! {
    /// Whatever the block, no number comes back further from itself than a part of the block's
    /// largest. Scales are 16-bit floats, which lose digits where a block's largest number is below
    /// 0.01, in llama.cpp as here.
    #[test]
    fn numbers_come_back_nearly_as_they_were(values in prop::collection::vec(number(), 512), scale in -6_i32..12) {
        let values: Vec<f32> = values.into_iter().map(|value| value * 2_f32.powi(scale)).collect();
        let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        for (format, part) in FORMATS {
            let found = decoded(&encode(&values, 256, format).unwrap(), 2, 256, format);
            for (found, value) in found.iter().zip(&values) {
                prop_assert!((found - value).abs() <= part * largest, "{format:?}: {found} for {value} of {largest}");
            }
        }
    }
}

#[test]
fn pieces_do_not_change_a_block() {
    let columns = 256;
    let values: Vec<f32> = (0..1024 * columns).map(|at| ((at * 7919) % 1009) as f32 / 1009.0 - 0.5).collect();
    for (format, _) in FORMATS {
        let whole = encode(&values, columns, format).unwrap();
        let rows: Vec<Vec<u8>> = values.chunks(columns).map(|row| encode(row, columns, format).unwrap()).collect();
        assert!(whole == rows.concat(), "{format:?}");
    }
}

#[test]
fn numbers_that_no_block_can_hold_are_refused() {
    for value in [f32::NAN, f32::INFINITY, -7e4] {
        let mut values = vec![0.25; 256];
        values[200] = value;
        let error = encode(&values, 256, GgmlDType::Q8_0).unwrap_err().to_string();
        assert!(error.contains(&format!("the number {value}")), "{error}");
    }
    assert!(encode(&[7e4], 1, GgmlDType::F32).is_ok());
    assert!(encode(&[f32::NAN], 1, GgmlDType::F32).is_err());
}
