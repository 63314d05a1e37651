//! Weights as the kernels read them: GGUF blocks of any format, unpacked into tiles of unsigned 4
//! or 8 bits.
//!
//! A tile is 16 rows of the weight matrix (16 outputs) over all inputs, in blocks of 32 inputs. A
//! weight is `scale × (code − zero) + min`, with scale and min for each output and block, so that
//! every format of llama.cpp is one of the [`TileKind`]s below. 4-bit formats, 5-bit formats with a
//! minimum, 8 bits and Q6_K are kept exactly. F16 and F32 are rounded to 8 bits in blocks of 32, as
//! Q8_0 does it.
//!
//! ```text
//! codes   [tile][block] 4 bits: 4 × 64 bytes; byte 4 × output + j of group g holds inputs 4g + j (low) and 16 + 4g + j (high)
//!                       8 bits: 8 × 64 bytes; byte 4 × output + j of group g holds input 4g + j
//! scales  [tile][block] 16 scales (two times 16 where each 16 inputs have their own), then 16 minima where there are any
//! ```

mod formats;

use half::f16;
use thiserror::Error;

use crate::memory::Buffer;
pub use formats::Format;

/// Outputs of a tile: the 32-bit lanes of the widest register.
pub(crate) const TILE: usize = 16;
/// Inputs that share a scale.
pub(crate) const BLOCK: usize = 32;

/// Why weights cannot be packed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PackError {
    /// The kernels multiply blocks of 32 inputs.
    #[error("a matrix with {0} inputs cannot be computed: it is no multiple of 32")]
    Width(usize),
    /// The file is shorter than its own description.
    #[error("{found} bytes of weights instead of {needed}")]
    Size {
        /// Bytes that the shape needs.
        needed: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// Matrices of unequal width cannot be one.
    #[error("a matrix with {0} inputs cannot stand below one with {1}")]
    Unequal(usize, usize),
}

/// The form of a tile's codes and scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TileKind {
    /// 4 bits, scale and min in half precision: Q4_0, Q4_1.
    U4Half,
    /// 4 bits, scale and min in single precision: Q4_K, whose scales are products.
    U4Float,
    /// 8 bits around 128, scale in half precision: Q5_0, Q8_0.
    U8Half,
    /// 8 bits around 128, scale in single precision: F16, F32.
    U8Float,
    /// 8 bits, scale and min in single precision: Q5_1, Q5_K.
    U8Min,
    /// 8 bits around 128, a scale for each 16 inputs: Q6_K.
    U8Sixteen,
}

impl TileKind {
    /// The kind with this number: `TileKind::of(kind as u8)` is `kind`. Kernels are compiled for
    /// each kind by its number.
    pub(crate) const fn of(number: u8) -> Self {
        match number {
            0 => Self::U4Half,
            1 => Self::U4Float,
            2 => Self::U8Half,
            3 => Self::U8Float,
            4 => Self::U8Min,
            _ => Self::U8Sixteen,
        }
    }

    /// Bytes of codes in a tile's block.
    pub(crate) const fn code_bytes(self) -> usize {
        match self {
            Self::U4Half | Self::U4Float => 256,
            _ => 512,
        }
    }

    /// Whether codes have 4 bits.
    pub(crate) const fn is_u4(self) -> bool {
        matches!(self, Self::U4Half | Self::U4Float)
    }

    /// The code of weight 0, where there is no minimum.
    pub(crate) const fn zero(self) -> i32 {
        match self {
            Self::U8Half | Self::U8Float | Self::U8Sixteen => 128,
            _ => 0,
        }
    }

    /// Whether each output has a minimum in each block.
    pub(crate) const fn has_min(self) -> bool {
        matches!(self, Self::U4Half | Self::U4Float | Self::U8Min)
    }

    /// Scales of an output in a block.
    pub(crate) const fn groups(self) -> usize {
        if matches!(self, Self::U8Sixteen) { 2 } else { 1 }
    }

    /// Whether scales and minima are in half precision.
    pub(crate) const fn is_half(self) -> bool {
        matches!(self, Self::U4Half | Self::U8Half)
    }

    /// Numbers beside the codes of a tile's block.
    pub(crate) const fn scale_count(self) -> usize {
        TILE * (self.groups() + self.has_min() as usize)
    }
}

/// Calls a function that is compiled for each kind, with the kind of a tile.
#[cfg(target_arch = "x86_64")]
macro_rules! for_kind_of {
    ($tile:expr, $function:ident($($argument:expr),*)) => {
        match $tile.kind {
            TileKind::U4Half => $function::<{ TileKind::U4Half as u8 }>($($argument),*),
            TileKind::U4Float => $function::<{ TileKind::U4Float as u8 }>($($argument),*),
            TileKind::U8Half => $function::<{ TileKind::U8Half as u8 }>($($argument),*),
            TileKind::U8Float => $function::<{ TileKind::U8Float as u8 }>($($argument),*),
            TileKind::U8Min => $function::<{ TileKind::U8Min as u8 }>($($argument),*),
            TileKind::U8Sixteen => $function::<{ TileKind::U8Sixteen as u8 }>($($argument),*),
        }
    };
}
#[cfg(target_arch = "x86_64")]
pub(crate) use for_kind_of;

/// One weight block of 32 inputs, unpacked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Block {
    pub(crate) codes: [u8; BLOCK],
    /// Scales of the first and of the last 16 inputs; equal except for [`TileKind::U8Sixteen`].
    pub(crate) scales: [f32; 2],
    pub(crate) min: f32,
}

/// Rows of a matrix as they are in the file.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Storage format of the rows.
    pub format: Format,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// The blocks, row by row.
    pub bytes: &'a [u8],
}

/// Tiles of one kind.
#[derive(Debug)]
struct Segment {
    kind: TileKind,
    first_tile: usize,
    codes: Buffer<u8>,
    half: Buffer<u16>,
    float: Buffer<f32>,
}

/// A weight matrix, packed.
#[derive(Debug)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    segments: Vec<Segment>,
}

/// One tile of a matrix: the memory that a kernel reads for 16 outputs.
#[derive(Debug, Clone, Copy)]
pub struct Tile<'a> {
    pub(crate) kind: TileKind,
    /// Blocks of 32 inputs.
    pub(crate) blocks: usize,
    pub(crate) codes: &'a [u8],
    /// Scales and minima where they are in half precision, else empty.
    pub(crate) half: &'a [u16],
    /// Scales and minima where they are in single precision, else empty.
    pub(crate) float: &'a [f32],
}

impl Matrix {
    /// Packs matrices of equal width, one below the other. Each matrix begins a tile of its own.
    /// Only the last may have rows that are no multiple of 16; it is filled up with zeros.
    pub fn pack(parts: &[Source<'_>]) -> Result<Self, PackError> {
        let columns = parts.first().map_or(0, |part| part.columns);
        let mut segments = Vec::with_capacity(parts.len());
        let (mut rows, mut tiles) = (0, 0);
        for part in parts {
            if part.columns != columns {
                return Err(PackError::Unequal(part.columns, columns));
            }
            debug_assert!(rows % TILE == 0, "a part that does not fill its tiles is not the last");
            segments.push(Segment::pack(part, tiles)?);
            tiles += part.rows.div_ceil(TILE);
            rows += part.rows;
        }
        Ok(Self { rows, columns, segments })
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Outputs, rounded up to a whole pair of tiles: the width of a row of results.
    pub fn padded_rows(&self) -> usize {
        self.rows.next_multiple_of(2 * TILE)
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.segments.iter().map(|part| part.codes.len() + 2 * part.half.len() + 4 * part.float.len()).sum()
    }

    /// Tiles that hold outputs.
    pub(crate) fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE)
    }

    /// The tile of outputs `16 × index` and following.
    #[inline]
    pub(crate) fn tile(&self, index: usize) -> Tile<'_> {
        let behind = self.segments.partition_point(|segment| segment.first_tile <= index);
        self.segments[behind - 1].tile(index, self.columns / BLOCK)
    }

    /// Unpacks the weights of one output.
    pub fn row(&self, row: usize, values: &mut [f32]) {
        let tile = self.tile(row / TILE);
        for (block, values) in values.chunks_exact_mut(BLOCK).take(self.columns / BLOCK).enumerate() {
            tile.unpack(block, row % TILE, values);
        }
    }
}

impl Segment {
    fn pack(source: &Source<'_>, first_tile: usize) -> Result<Self, PackError> {
        let Source { format, rows, columns, bytes } = *source;
        if columns == 0 || !columns.is_multiple_of(format.block()) || !columns.is_multiple_of(BLOCK) {
            return Err(PackError::Width(columns));
        }
        let row_bytes = (columns / format.block()).saturating_mul(format.block_bytes());
        let needed = rows.saturating_mul(row_bytes);
        if bytes.len() != needed {
            return Err(PackError::Size { needed, found: bytes.len() });
        }
        let kind = format.kind();
        let blocks = columns / BLOCK;
        let places = rows.div_ceil(TILE) * blocks;
        let scales = places * kind.scale_count();
        let mut segment = Self {
            kind,
            first_tile,
            codes: Buffer::zeroed(places * kind.code_bytes()),
            half: Buffer::zeroed(if kind.is_half() { scales } else { 0 }),
            float: Buffer::zeroed(if kind.is_half() { 0 } else { scales }),
        };
        for (row, bytes) in bytes.chunks_exact(row_bytes).enumerate() {
            format.unpack(bytes, &mut |block, weights| segment.put(row / TILE * blocks + block, row % TILE, &weights));
        }
        Ok(segment)
    }

    fn put(&mut self, place: usize, output: usize, block: &Block) {
        let kind = self.kind;
        let codes = &mut self.codes[place * kind.code_bytes()..][..kind.code_bytes()];
        for (input, code) in block.codes.iter().enumerate() {
            if kind.is_u4() {
                let byte = &mut codes[input % 16 / 4 * 64 + output * 4 + input % 4];
                *byte |= if input < 16 { *code } else { *code << 4 };
            } else {
                codes[input / 4 * 64 + output * 4 + input % 4] = *code;
            }
        }
        let mut numbers = [block.scales[0], block.min, 0.0];
        if kind.groups() == 2 {
            numbers = [block.scales[0], block.scales[1], block.min];
        }
        for (index, number) in numbers.iter().take(kind.scale_count() / TILE).enumerate() {
            let at = place * kind.scale_count() + index * TILE + output;
            if kind.is_half() {
                self.half[at] = f16::from_f32(*number).to_bits();
            } else {
                self.float[at] = *number;
            }
        }
    }

    #[inline]
    fn tile(&self, index: usize, blocks: usize) -> Tile<'_> {
        let first = (index - self.first_tile) * blocks;
        let (bytes, scales) = (self.kind.code_bytes(), self.kind.scale_count());
        let (half, float): (&[u16], &[f32]) = if self.kind.is_half() {
            (&self.half[first * scales..][..blocks * scales], &[])
        } else {
            (&[], &self.float[first * scales..][..blocks * scales])
        };
        Tile { kind: self.kind, blocks, codes: &self.codes[first * bytes..][..blocks * bytes], half, float }
    }
}

impl Tile<'_> {
    /// The code of an input of an output.
    #[inline(always)]
    pub(crate) fn code(&self, block: usize, output: usize, input: usize) -> u8 {
        let codes = &self.codes[block * self.kind.code_bytes()..];
        if self.kind.is_u4() {
            let byte = codes[input % 16 / 4 * 64 + output * 4 + input % 4];
            if input < 16 { byte & 15 } else { byte >> 4 }
        } else {
            codes[input / 4 * 64 + output * 4 + input % 4]
        }
    }

    /// Number `index` (scales, then minima) of an output in a block.
    #[inline(always)]
    pub(crate) fn number(&self, block: usize, index: usize, output: usize) -> f32 {
        let at = block * self.kind.scale_count() + index * TILE + output;
        if self.kind.is_half() { f16::from_bits(self.half[at]).to_f32() } else { self.float[at] }
    }

    fn unpack(&self, block: usize, output: usize, values: &mut [f32]) {
        let kind = self.kind;
        let min = if kind.has_min() { self.number(block, kind.groups(), output) } else { 0.0 };
        let inputs = BLOCK / kind.groups();
        for (group, values) in values.chunks_exact_mut(inputs).enumerate() {
            let scale = self.number(block, group, output);
            for (input, value) in values.iter_mut().enumerate() {
                let code = i32::from(self.code(block, output, group * inputs + input)) - kind.zero();
                *value = scale * code as f32 + min;
            }
        }
    }
}

#[cfg(test)]
mod tests;
