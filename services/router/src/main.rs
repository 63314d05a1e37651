//! `precis-router`: see the library.

use std::process::ExitCode;

use precis_pipeline::runtime;
use precis_router::{RouterSettings, run};

/// A document's parts are allocated by the thread that reads the log, by one that processes, and
/// freed by a third.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    runtime::service_main(
        "router",
        |settings| Ok(settings.section::<RouterSettings>("router")?),
        async |runtime, settings, shutdown| run(&runtime, settings, shutdown).await,
    )
}
