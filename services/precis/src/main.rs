//! `precis`: see the library.

use std::process::ExitCode;

use clap::Parser as _;
use precis::cli::Cli;
use precis::exit::Exit;
use precis::{run, tell_usage};

/// mimalloc, since texts of megabytes come and go: the C library keeps much of what they used.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return tell_usage(&answer).into(),
    };
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(cli)).into(),
        Err(_) => Exit::Environment.into(),
    }
}
