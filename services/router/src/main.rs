//! `precis-router`: see the library.

use std::process::ExitCode;

use precis_pipeline::house;
use precis_router::{RouterSettings, run};

fn main() -> ExitCode {
    house::service_main(
        "router",
        |settings| Ok(settings.section::<RouterSettings>("router")?),
        async |house, settings, shutdown| run(&house, settings, shutdown).await,
    )
}
