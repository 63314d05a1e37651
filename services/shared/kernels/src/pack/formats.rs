//! The block formats of GGUF files.
//!
//! The layouts are those of `ggml-common.h` and `ggml-quants.c` of llama.cpp (`dequantize_row_*`),
//! the only specification of the format.

use half::f16;

use super::{BLOCK, Block, TileKind};

/// How a GGUF file stores a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Format {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4K,
    Q5K,
    Q6K,
    F16,
    F32,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 10] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::F16,
        Self::F32,
    ];

    /// Weights of a block in the file.
    pub fn block(self) -> usize {
        match self {
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
            _ => BLOCK,
        }
    }

    /// Bytes of a block in the file.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
            Self::F16 => 64,
            Self::F32 => 128,
        }
    }

    /// The kind of tile that the format is packed into.
    pub fn kind(self) -> TileKind {
        match self {
            Self::Q4_0 | Self::Q4_1 => TileKind::U4Half,
            Self::Q4K => TileKind::U4Float,
            Self::Q5_0 | Self::Q8_0 => TileKind::U8Half,
            Self::Q5_1 | Self::Q5K => TileKind::U8Min,
            Self::Q6K => TileKind::U8Sixteen,
            Self::F16 | Self::F32 => TileKind::U8Float,
        }
    }

    /// Calls `take` with each block of 32 weights of a row and the block's number.
    pub(super) fn unpack(self, row: &[u8], take: &mut dyn FnMut(usize, Block)) {
        let per_block = self.block() / BLOCK;
        for (index, bytes) in row.chunks_exact(self.block_bytes()).enumerate() {
            match self {
                Self::Q4K | Self::Q5K => {
                    for part in 0..per_block {
                        take(index * per_block + part, k_block(self, bytes, part));
                    }
                }
                Self::Q6K => {
                    for part in 0..per_block {
                        take(index * per_block + part, q6_k_block(bytes, part));
                    }
                }
                _ => take(index, small_block(self, bytes)),
            }
        }
    }
}

fn half(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// The low nibbles of 16 bytes, then the high ones.
fn nibbles(bytes: &[u8]) -> [u8; BLOCK] {
    std::array::from_fn(|input| if input < 16 { bytes[input] & 15 } else { bytes[input - 16] >> 4 })
}

/// Nibbles with a fifth bit from a bit field of 32.
fn five_bits(field: &[u8], bytes: &[u8]) -> [u8; BLOCK] {
    let mut codes = nibbles(bytes);
    for (input, code) in codes.iter_mut().enumerate() {
        *code |= (field[input / 8] >> (input % 8) & 1) << 4;
    }
    codes
}

fn small_block(format: Format, bytes: &[u8]) -> Block {
    let block = |codes, scale, min| Block { codes, scales: [scale; 2], min };
    match format {
        Format::Q4_0 => block(nibbles(&bytes[2..]), half(bytes), -8.0 * half(bytes)),
        Format::Q4_1 => block(nibbles(&bytes[4..]), half(bytes), half(&bytes[2..])),
        Format::Q5_0 => block(five_bits(&bytes[2..], &bytes[6..]).map(|code| code + (128 - 16)), half(bytes), 0.0),
        Format::Q5_1 => block(five_bits(&bytes[4..], &bytes[8..]), half(bytes), half(&bytes[2..])),
        Format::Q8_0 => block(std::array::from_fn(|input| bytes[2 + input] ^ 0x80), half(bytes), 0.0),
        Format::F16 => rounded(std::array::from_fn(|input| half(&bytes[2 * input..]))),
        Format::F32 => rounded(std::array::from_fn(|input| {
            f32::from_le_bytes([bytes[4 * input], bytes[4 * input + 1], bytes[4 * input + 2], bytes[4 * input + 3]])
        })),
        Format::Q4K | Format::Q5K | Format::Q6K => unreachable!("these have blocks of 256"),
    }
}

/// Rounds weights to 8 bits. A weight that is no number makes the scale of the whole block no
/// number, so that it is noticed.
fn rounded(weights: [f32; BLOCK]) -> Block {
    // Compared as bits: they order numbers below infinity, and infinity below values that are no
    // numbers.
    let largest = f32::from_bits(weights.iter().map(|weight| weight.abs().to_bits()).max().unwrap_or(0));
    let scale = largest / 127.0;
    let code = |weight: f32| if scale > 0.0 { (weight / scale).round_ties_even() } else { 0.0 };
    Block { codes: weights.map(|weight| (code(weight) as i32 + 128) as u8), scales: [scale; 2], min: 0.0 }
}

/// Scale and min of one of the eight parts of a block, 6 bits each in 12 bytes.
fn k_scales(bytes: &[u8], part: usize) -> (f32, f32) {
    let (scale, min) = if part < 4 {
        (bytes[part] & 63, bytes[part + 4] & 63)
    } else {
        let high = |byte: u8| byte >> 6 << 4;
        (bytes[part + 4] & 15 | high(bytes[part - 4]), bytes[part + 4] >> 4 | high(bytes[part]))
    };
    (f32::from(scale), f32::from(min))
}

fn k_block(format: Format, bytes: &[u8], part: usize) -> Block {
    let (scale, min) = k_scales(&bytes[4..16], part);
    let (field, codes) =
        if format == Format::Q5K { (Some(&bytes[16..48]), &bytes[48..]) } else { (None, &bytes[16..]) };
    let codes = &codes[part / 2 * BLOCK..];
    Block {
        codes: std::array::from_fn(|input| {
            let low = if part.is_multiple_of(2) { codes[input] & 15 } else { codes[input] >> 4 };
            low | field.map_or(0, |field| (field[input] >> part & 1) << 4)
        }),
        scales: [half(bytes) * scale; 2],
        min: -(half(&bytes[2..]) * min),
    }
}

fn q6_k_block(bytes: &[u8], part: usize) -> Block {
    let (low, high, scales) = (&bytes[..128], &bytes[128..192], &bytes[192..208]);
    let (upper_half, quarter) = (part / 4, part % 4);
    let scale = |sixteen: usize| half(&bytes[208..]) * f32::from(scales[part * 2 + sixteen] as i8);
    Block {
        codes: std::array::from_fn(|input| {
            let byte = low[upper_half * 64 + quarter % 2 * 32 + input];
            let nibble = if quarter < 2 { byte & 15 } else { byte >> 4 };
            let bits = high[upper_half * 32 + input] >> (2 * quarter) & 3;
            (nibble | bits << 4) + (128 - 32)
        }),
        scales: [scale(0), scale(1)],
        min: 0.0,
    }
}
