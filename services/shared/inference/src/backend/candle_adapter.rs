//! An adapter's factors as Candle tensors.
//!
//! Unverified: no GPU has run this. It is compiled and linked for CUDA and tested on `Device::Cpu`.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use precis_kernels::LowRank;

use crate::step::{Adapter, BackendError, Place, Site};

/// The factors of one adapter on a device.
pub(crate) struct DeviceAdapter {
    layers: Vec<[Vec<DevicePart>; Site::COUNT]>,
    /// The factors in the processor's memory. They count for the memory bound until the device's
    /// are dropped.
    _source: Arc<Adapter>,
}

/// One product of low rank.
struct DevicePart {
    /// `[inputs, rank]`
    a: Tensor,
    /// `[rank, outputs]`, scaled.
    b: Tensor,
    /// First output of the larger product.
    first: usize,
}

impl DevicePart {
    fn new(part: &LowRank, dtype: DType, device: &Device) -> candle_core::Result<Self> {
        let shape = part.shape();
        let a = Tensor::from_vec(part.a(), (shape.rank, shape.inputs), &Device::Cpu)?.t()?.contiguous()?;
        let b = Tensor::from_vec(part.b(), (shape.outputs, shape.rank), &Device::Cpu)?.t()?.contiguous()?;
        let b = (b * f64::from(part.scale()))?;
        let load = |tensor: Tensor| tensor.to_dtype(dtype)?.to_device(device);
        Ok(Self { a: load(a)?, b: load(b)?, first: shape.first })
    }
}

impl DeviceAdapter {
    /// Brings the factors to the device.
    pub(crate) fn new(source: &Arc<Adapter>, dtype: DType, device: &Device) -> Result<Self, BackendError> {
        let parts = |layer: usize, site: Site| -> candle_core::Result<Vec<DevicePart>> {
            source.parts(Place { layer, site }).iter().map(|part| DevicePart::new(part, dtype, device)).collect()
        };
        let layer = |layer| -> candle_core::Result<_> {
            Ok([
                parts(layer, Site::Qkv)?,
                parts(layer, Site::Output)?,
                parts(layer, Site::GateUp)?,
                parts(layer, Site::Down)?,
            ])
        };
        let layers = (0..source.layers()).map(layer).collect::<candle_core::Result<_>>()?;
        Ok(Self { layers, _source: Arc::clone(source) })
    }

    fn parts(&self, place: Place) -> &[DevicePart] {
        &self.layers[place.layer][place.site as usize]
    }

    /// Whether it changes products with this matrix.
    pub(crate) fn changes(&self, place: Place) -> bool {
        !self.parts(place).is_empty()
    }

    /// A product with the matrix of `place`, plus what this adapter changes of it.
    pub(crate) fn add(&self, product: &Tensor, rows: &Tensor, place: Place) -> candle_core::Result<Tensor> {
        let width = product.dim(1)?;
        let mut product = product.clone();
        for part in self.parts(place) {
            let change = rows.matmul(&part.a)?.matmul(&part.b)?;
            let end = part.first + change.dim(1)?;
            // Only the columns that the part changes are written again.
            let own = (product.narrow(1, part.first, change.dim(1)?)? + change)?;
            let (before, after) = (product.narrow(1, 0, part.first)?, product.narrow(1, end, width - end)?);
            let pieces: Vec<&Tensor> = [&before, &own, &after]
                .into_iter()
                .filter(|piece| piece.dim(1).is_ok_and(|columns| columns > 0))
                .collect();
            product = Tensor::cat(&pieces, 1)?;
        }
        Ok(product)
    }
}
