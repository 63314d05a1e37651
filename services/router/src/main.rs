//! The binary `precis-router`; everything is in the library.

use std::process::ExitCode;

use precis_pipeline::runtime;
use precis_router::{RouterSettings, run};

/// mimalloc, since a document is freed by another thread than allocated it: one thread reads the
/// log, another processes, a third frees.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtime::service_main(
        "router",
        |settings| Ok(settings.section::<RouterSettings>("router")?),
        async |runtime, settings, shutdown| run(&runtime, settings, shutdown).await,
    )
}
