#![allow(clippy::unwrap_used)]

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Tensor};
use precis_base::digest::sha256_hex;
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

/// 64 rows of 256 numbers, few of which are large; all are exact in f32, so that another program
/// can make the same.
fn weights() -> Vec<f32> {
    let seed = b"blocks".iter().fold(0x811C_9DC5_u32, |seed, byte| (seed ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    let part = |code: u32| ((code >> 24) as f32 - 128.0) / 512.0;
    let number = |at: u32| {
        part(at.wrapping_mul(2_654_435_761).wrapping_add(seed))
            * part(at.wrapping_mul(747_796_405).wrapping_add(12_345))
    };
    (0..64 * 256).map(number).collect()
}

fn error(found: &[f32], expected: &[f32]) -> f64 {
    let squares = found.iter().zip(expected).map(|(found, expected)| f64::from(found - expected).powi(2));
    (squares.sum::<f64>() / expected.len() as f64).sqrt()
}

/// The digests and errors are those of llama.cpp's `ggml_quantize_chunk` (ggml 0.5.0, no
/// importances) on the same numbers.
#[test]
fn blocks_are_those_of_llama_cpp_or_err_no_more() {
    let weights = weights();
    for (format, digest) in [
        (GgmlDType::Q8_0, "468ae8489d6a25163a263297e4a82d82f19e752480043cfe68b6f3357d966096"),
        (GgmlDType::Q5_0, "7dde69c886b9d8eb76096470b83aeb19aa137eed04d8382458d838726db06c76"),
        (GgmlDType::Q5_1, "690fe0d0c6bcbf20b13c64cf0b30ac780dd805d5b0628602c2cdae55329ff3e6"),
    ] {
        assert_eq!(sha256_hex(&encode(&weights, 256, format).unwrap()), digest, "{format:?}");
    }
    for (format, theirs) in [(GgmlDType::Q4K, 1.5599e-3), (GgmlDType::Q5K, 7.848e-4), (GgmlDType::Q6K, 3.908e-4)] {
        let ours = error(&decoded(&encode(&weights, 256, format).unwrap(), 64, 256, format), &weights);
        assert!(ours < 1.05 * theirs, "{format:?}: {ours:e}, llama.cpp {theirs:e}");
    }
}

/// Candle's plain quantiser errs more in the format that most weights get.
#[test]
fn searched_scales_err_less_than_plain_ones() {
    let weights = weights();
    let rows = Tensor::from_slice(&weights, (64, 256), &Device::Cpu).unwrap();
    let plain = QTensor::quantize(&rows, GgmlDType::Q4K).unwrap().dequantize(&Device::Cpu).unwrap();
    let plain = error(&plain.flatten_all().unwrap().to_vec1().unwrap(), &weights);
    let bytes = encode(&weights, 256, GgmlDType::Q4K).unwrap();
    let searched = error(&decoded(&bytes, 64, 256, GgmlDType::Q4K), &weights);
    assert!(searched < 0.97 * plain, "{searched:e} searched, {plain:e} plain");
}
