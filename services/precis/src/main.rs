//! `precis`: see the library.

use std::process::ExitCode;

use clap::Parser as _;
use precis::{cli::Cli, exit::Exit, run};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors.
            let exit = if error.use_stderr() { Exit::Environment } else { Exit::Done };
            return if error.print().is_ok() { exit.into() } else { Exit::Environment.into() };
        }
    };
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(cli)).into(),
        Err(_) => Exit::Environment.into(),
    }
}
