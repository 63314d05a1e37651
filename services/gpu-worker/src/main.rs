//! The binary `precis-gpu-worker`; everything is in the library.

use std::process::ExitCode;

use precis_gpu_worker::{GpuWorkerSettings, ModelSettings, run};
use precis_pipeline::runtime;

/// mimalloc, since texts of megabytes come and go: the C library keeps much of what they used.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtime::service_main(
        "gpu-worker",
        |settings| {
            Ok((settings.section::<GpuWorkerSettings>("gpu_worker")?, settings.section::<ModelSettings>("model")?))
        },
        async |runtime, (worker, model), shutdown| run(&runtime, worker, &model, shutdown).await,
    )
}
