//! `precis-api-worker`: see the library.

use std::process::ExitCode;

use precis_api_worker::{ApiWorkerSettings, run};
use precis_pipeline::runtime;

/// mimalloc, since texts of megabytes come and go: the C library keeps much of what they used.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtime::service_main(
        "api-worker",
        |settings| Ok(settings.section::<ApiWorkerSettings>("api_worker")?),
        async |runtime, settings, shutdown| run(&runtime, settings, shutdown).await,
    )
}
