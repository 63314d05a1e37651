#![allow(clippy::unwrap_used)]

use std::backtrace::Backtrace;

use candle_core::{Device, Error};

use super::{first_line, open, proved};
use crate::config::DeviceKind;
use crate::error::ErrorClass;

#[test]
fn the_processor_can_always_be_had_and_computes() {
    assert!(proved(open(DeviceKind::Cpu).unwrap()).unwrap().is_cpu());
}

#[test]
fn auto_always_finds_a_device_that_computes() {
    let device = open(DeviceKind::Auto).unwrap();
    assert!(device.is_cpu() || cfg!(feature = "cuda"));
    proved(device).unwrap();
}

#[test]
#[cfg(not(feature = "cuda"))]
fn cuda_in_a_build_without_it_is_refused_with_the_way_out() {
    let error = open(DeviceKind::Cuda).unwrap_err();
    assert_eq!((error.code(), error.class()), ("no_device", ErrorClass::Fatal));
    assert_eq!(
        error.to_string(),
        "the device `cuda` cannot be used: this build has no CUDA support; build with `--features cuda`, or set `device` to \
         `auto` or `cpu`"
    );
}

/// Where no GPU is usable, `cuda` is refused in one line, and `auto` goes on.
#[test]
fn without_a_device_cuda_is_refused_in_one_line() {
    match open(DeviceKind::Cuda) {
        // What a GPU computes is the matter of the tests that need one.
        Ok(device) => assert!(device.is_cuda()),
        Err(error) => {
            assert_eq!((error.code(), error.class()), ("no_device", ErrorClass::Fatal));
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
            assert!(open(DeviceKind::Auto).unwrap().is_cpu());
        }
    }
}

/// Unverified: no GPU has run this.
#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn a_device_computes_and_says_what_is_free_on_a_gpu() {
    let device = open(DeviceKind::Cuda).unwrap();
    assert!(device.is_cuda() && open(DeviceKind::Auto).unwrap().is_cuda());
    assert!(super::free_bytes(&device).is_some_and(|free| free > 0));
}

#[test]
fn a_reason_is_one_line_even_with_a_backtrace() {
    let inner = Box::new(Error::Msg("no CUDA-capable device is detected".into()));
    let error = Error::WithBacktrace { inner, backtrace: Box::new(Backtrace::force_capture()) };
    assert!(error.to_string().lines().count() > 1, "the backtrace is there to be left out");
    assert_eq!(first_line(error), "no CUDA-capable device is detected");
    assert_eq!(super::name(&Device::Cpu), "cpu");
}
