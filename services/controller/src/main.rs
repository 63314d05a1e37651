//! The binary `precis-controller`; everything is in the library.

use std::process::ExitCode;

use precis_controller::{ControllerSettings, run};
use precis_pipeline::runtime;

fn main() -> ExitCode {
    runtime::service_main(
        "controller",
        |settings| Ok(settings.section::<ControllerSettings>("controller")?),
        async |runtime, settings, shutdown| run(&runtime, settings, shutdown).await,
    )
}
