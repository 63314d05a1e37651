//! `precis-gpu-worker`: see the library.

use std::process::ExitCode;

use precis_gpu_worker::{GpuWorkerSettings, ModelSettings, run};
use precis_pipeline::house;

fn main() -> ExitCode {
    house::service_main(
        "gpu-worker",
        |settings| {
            Ok((settings.section::<GpuWorkerSettings>("gpu_worker")?, settings.section::<ModelSettings>("model")?))
        },
        async |house, (worker, model), shutdown| run(&house, worker, &model, shutdown).await,
    )
}
