//! Weight matrices and tables on a Candle device: quantised as the file has them, or dense.
//!
//! There are two ways to multiply rows with a quantised matrix, and [`Product`] chooses by the
//! number of rows:
//!
//! - **Kernel**: Candle's kernels take the blocks as they are. On CUDA up to 8 rows are multiplied
//!   vector by vector (`fast_mmvq`), more of them in tiles on the integer tensor cores
//!   (`fast_mmq`). Both round the rows to 8 bits first, with one scale for 32 values. On the
//!   processor, where this is tested, the scale is for 32 or 256 values, by the matrix's type.
//! - **Dequantised**: the matrix becomes dense for this one product, which then costs what a dense
//!   product costs and rounds no row.
//!
//! Kernels of our own have their door in [`Product`] too.
//!
//! Beside the same weights dequantised, both in f32 on the processor, the default model (`Q4_1`)
//! diverges by 0.003 nats a token through the kernels' rounding, and finds another token the
//! likeliest in 2 of 100 places. In bf16, as on a device, it is 0.005, and 0.002 with dense
//! weights.
//!
//! Matrices that are multiplied with the same rows are one matrix where their types agree, and
//! neighbouring parts where they do not: `Q4_K_M` files hold some value and down matrices in
//! `Q6_K`.
//!
//! Unverified: no GPU has run this. What is said of CUDA here was read in Candle's source.

use std::borrow::Cow;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{DType, Device, Tensor};

use crate::config::WeightsKind;
use crate::step::BackendError;

/// Rows from which on a product dequantises its matrix first.
///
/// Per weight, dequantising costs 8.6 bytes of memory traffic (the blocks read, f16 written and
/// read, bf16 written and read), 14 ps at 600 GB/s; a dense row costs 0.033 ps at 60 TFLOPS (an
/// A10G, measured by others), a row in integer tiles 0.044 to 0.067 ps at 45 to 30 TOPS (assumed).
/// So the two ways cross between 430 and 1,300 rows. Both costs grow with the size of the matrix
/// alike, so the number of rows decides alone.
pub(crate) const DEQUANTISE_ROWS: usize = 512;

/// Values that Candle allocates beyond the end of a quantised matrix on CUDA.
pub(crate) const PADDING_VALUES: usize = 512;

/// Where weights lie, and in which form.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    pub(crate) device: Device,
    /// Type of dense weights and of all rows.
    pub(crate) dtype: DType,
    pub(crate) weights: WeightsKind,
    /// Rows from which on a product dequantises its matrix first.
    pub(crate) dequantise_rows: usize,
}

/// Whether a device keeps a matrix of this type as it is: Candle's CUDA kernels know the type.
/// Others become dense.
pub(crate) fn keeps(dtype: GgmlDType) -> bool {
    match dtype {
        GgmlDType::Q4_0
        | GgmlDType::Q4_1
        | GgmlDType::Q5_0
        | GgmlDType::Q5_1
        | GgmlDType::Q8_0
        | GgmlDType::Q2K
        | GgmlDType::Q3K
        | GgmlDType::Q4K
        | GgmlDType::Q5K
        | GgmlDType::Q6K => true,
        GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 | GgmlDType::Q8_1 | GgmlDType::Q8K => false,
    }
}

impl Placement {
    /// The type in which a matrix stays quantised, if it does.
    fn kept(&self, source: &QTensor) -> Option<GgmlDType> {
        (self.weights == WeightsKind::Quantised && keeps(source.dtype())).then(|| source.dtype())
    }

    fn dense(&self, source: &QTensor) -> candle_core::Result<Tensor> {
        source.dequantize(&Device::Cpu)?.to_dtype(self.dtype)
    }

    /// A dense vector.
    pub(crate) fn vector(&self, source: &QTensor) -> Result<Tensor, BackendError> {
        Ok(self.dense(source)?.to_device(&self.device)?)
    }
}

/// A weight matrix from `in` to `out` values.
pub(crate) struct Matrix {
    /// Each gives some of the `out` values, in this order.
    parts: Vec<Part>,
}

enum Part {
    /// `[in, out]`: for two rows and more the product reads the matrix in this order, so it need
    /// not repack it.
    Dense(Tensor),
    Quantised(Quantised),
}

impl Matrix {
    /// Matrices of equal width, one below the other.
    pub(crate) fn new(sources: &[QTensor], placement: &Placement) -> Result<Self, BackendError> {
        let part = |alike: &[QTensor]| -> Result<Part, BackendError> {
            if placement.kept(&alike[0]).is_some() {
                return Ok(Part::Quantised(Quantised::new(alike, placement)?));
            }
            let dense: Vec<Tensor> = alike.iter().map(|source| placement.dense(source)).collect::<Result<_, _>>()?;
            Ok(Part::Dense(Tensor::cat(&dense, 0)?.t()?.contiguous()?.to_device(&placement.device)?))
        };
        let alike = sources.chunk_by(|left, right| placement.kept(left) == placement.kept(right));
        Ok(Self { parts: alike.map(part).collect::<Result<_, _>>()? })
    }

    /// `rows` times the matrix, `[rows, out]`.
    pub(crate) fn times(&self, rows: &Tensor) -> Result<Tensor, BackendError> {
        let product = |part: &Part| match part {
            Part::Dense(matrix) => Ok(rows.matmul(matrix)?),
            Part::Quantised(matrix) => matrix.times(rows),
        };
        match self.parts.as_slice() {
            [whole] => product(whole),
            parts => {
                let products: Vec<Tensor> = parts.iter().map(product).collect::<Result<_, BackendError>>()?;
                Ok(Tensor::cat(&products, 1)?)
            }
        }
    }
}

/// A table with one row for each id of the vocabulary.
pub(crate) enum Table {
    /// `[vocabulary, width]`.
    Dense(Tensor),
    /// Rows are dequantised as they are looked up.
    Quantised(Quantised),
}

impl Table {
    pub(crate) fn new(source: &QTensor, placement: &Placement) -> Result<Self, BackendError> {
        Ok(match placement.kept(source) {
            Some(_) => Self::Quantised(Quantised::new(std::slice::from_ref(source), placement)?),
            None => Self::Dense(placement.vector(source)?),
        })
    }

    /// The rows of these ids.
    pub(crate) fn rows(&self, ids: &Tensor, dtype: DType) -> Result<Tensor, BackendError> {
        Ok(match self {
            Self::Dense(table) => table.index_select(ids, 0)?,
            Self::Quantised(table) => table.tensor.embedding(ids)?.to_dtype(dtype)?,
        })
    }

    /// Each row's product with every row of the table, in f32.
    pub(crate) fn logits(&self, rows: &Tensor) -> Result<Tensor, BackendError> {
        Ok(match self {
            // The table is the left factor: the product then reads its rows in the order in which
            // they lie.
            Self::Dense(table) => table.matmul(&rows.t()?)?.t()?.contiguous()?.to_dtype(DType::F32)?,
            // A step wants few logits and the table is the largest matrix, so it is never
            // dequantised as a whole.
            Self::Quantised(table) => table.compute(&rows.to_dtype(DType::F32)?, Product::Kernel)?,
        })
    }
}

/// A way to multiply rows with a quantised matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Product {
    Kernel,
    Dequantised,
}

/// A matrix that stays quantised.
pub(crate) struct Quantised {
    /// `[out, in]`, with a row of zeros at the end where `out` is odd.
    tensor: QTensor,
    out: usize,
    dequantise_rows: usize,
}

impl Quantised {
    /// Matrices of one type and width, one below the other.
    fn new(alike: &[QTensor], placement: &Placement) -> Result<Self, BackendError> {
        let mut bytes = Vec::new();
        let (mut out, mut width) = (0, 0);
        for source in alike {
            let (rows, columns) = source.shape().dims2()?;
            (out, width) = (out + rows, columns);
            bytes.extend_from_slice(&source.data()?);
        }
        // The kernel for 2 to 8 rows computes two values at once, and reads a row beyond the end of
        // a matrix with an odd number of them.
        let even = out.next_multiple_of(2);
        bytes.resize(bytes.len() / out.max(1) * even, 0);
        let storage = QStorage::from_data(Cow::Owned(bytes), &placement.device, alike[0].dtype())?;
        let tensor = QTensor::new(storage, (even, width))?;
        Ok(Self { tensor, out, dequantise_rows: placement.dequantise_rows })
    }

    fn times(&self, rows: &Tensor) -> Result<Tensor, BackendError> {
        let many = rows.dim(0)? >= self.dequantise_rows;
        self.compute(rows, if many { Product::Dequantised } else { Product::Kernel })
    }

    fn compute(&self, rows: &Tensor, product: Product) -> Result<Tensor, BackendError> {
        let computed = match product {
            Product::Kernel => rows.contiguous()?.apply_op1_no_bwd(&self.tensor)?,
            Product::Dequantised => rows.matmul(&self.dense(rows.dtype())?.t()?)?,
        };
        if self.out == computed.dim(1)? {
            return Ok(computed);
        }
        Ok(computed.narrow(1, 0, self.out)?.contiguous()?)
    }

    fn dense(&self, dtype: DType) -> Result<Tensor, BackendError> {
        let device = self.tensor.device();
        Ok(match dtype {
            DType::F32 => self.tensor.dequantize(&device)?,
            // Half the memory of f32, and no less exact than what becomes of it.
            _ => self.tensor.dequantize_f16(&device)?.to_dtype(dtype)?,
        })
    }
}

#[cfg(test)]
mod tests;
