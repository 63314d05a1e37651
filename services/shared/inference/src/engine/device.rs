//! Which device an engine computes on.
//!
//! A device counts as usable when it has computed something. A driver that is older than the
//! toolkit opens the device and then refuses its kernels; this must show at start, not as an error
//! of every document.
//!
//! Unverified: no GPU has run this. The tests cover machines without a GPU and builds without
//! support for one.

use candle_core::{DType, Device, Tensor};

use crate::config::DeviceKind;
use crate::error::EngineError;
use crate::step::BackendError;

/// Opens the device that the settings name.
///
/// `auto` always finds a device. It warns, in one line, when the build could use a CUDA device and
/// none is usable. A build without CUDA promised nothing, so it does not warn. `cuda` is a promise:
/// [`EngineError::NoDevice`] when it cannot be kept.
pub(super) fn open(kind: DeviceKind) -> Result<Device, EngineError> {
    match kind {
        DeviceKind::Cpu => Ok(Device::Cpu),
        DeviceKind::Cuda => cuda().map_err(|reason| EngineError::NoDevice { device: "cuda".into(), reason }),
        DeviceKind::Auto if !cfg!(feature = "cuda") => Ok(Device::Cpu),
        DeviceKind::Auto => Ok(cuda().unwrap_or_else(|reason| {
            tracing::warn!(%reason, "no CUDA device is usable: computing on the processor");
            Device::Cpu
        })),
    }
}

/// The name for logs: `cpu` or `cuda`.
pub(super) fn name(device: &Device) -> &'static str {
    if device.is_cpu() { "cpu" } else { "cuda" }
}

/// Bytes that are free on a device; `None` on the processor, and where the driver does not say.
pub(super) fn free_bytes(device: &Device) -> Option<u64> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(cuda) => cuda.cuda_stream().context().mem_get_info().ok().map(|(free, _)| free as u64),
        _ => None,
    }
}

/// The first CUDA device, or one line that says why there is none.
fn cuda() -> Result<Device, String> {
    if !cfg!(feature = "cuda") {
        return Err(
            "this build has no CUDA support; build with `--features cuda`, or set `device` to `auto` or `cpu`".into()
        );
    }
    Device::new_cuda(0).and_then(proved).map_err(first_line)
}

/// The device, after it has added two numbers.
fn proved(device: Device) -> candle_core::Result<Device> {
    let one = Tensor::ones(1, DType::BF16, &device)?;
    let sum = (&one + &one)?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
    if sum == [2.0] { Ok(device) } else { candle_core::bail!("the device computes wrongly: 1 + 1 gave {sum:?}") }
}

/// Candle adds a whole backtrace to its message where `RUST_BACKTRACE` is set; [`BackendError`]
/// leaves it out.
fn first_line(error: candle_core::Error) -> String {
    BackendError::from(error).0
}

#[cfg(test)]
mod tests;
