//! `precis-api-worker`: see the library.

use std::process::ExitCode;

use precis_api_worker::{ApiWorkerSettings, run};
use precis_pipeline::house;

fn main() -> ExitCode {
    house::service_main(
        "api-worker",
        |settings| Ok(settings.section::<ApiWorkerSettings>("api_worker")?),
        async |house, settings, shutdown| run(&house, settings, shutdown).await,
    )
}
