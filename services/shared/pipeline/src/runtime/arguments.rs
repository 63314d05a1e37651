//! The command line of a service.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser};

const AFTER_HELP: &str = "\
SIGTERM and SIGINT let the service finish what it has in process; then it exits with 0.

Exit codes:
  0  the service was told to stop, or did what was asked
  1  wrong usage, wrong settings, or something in the environment is missing or down";

/// What a service is told.
#[derive(Debug, PartialEq, Eq, Parser)]
#[command(version, about = "A service of Précis.", after_help = AFTER_HELP, args_override_self = true)]
pub(super) struct Arguments {
    /// Settings file (TOML); environment variables such as `PRECIS_LOG__KIND` override it
    #[arg(long, value_name = "FILE", env = "PRECIS_CONFIG")]
    pub(super) config: Option<PathBuf>,

    /// Check the settings, tell everything that is wrong with them, and exit
    #[arg(long, overrides_with = "print_config")]
    pub(super) check_config: bool,

    /// Print the settings in force, secrets left out, and exit
    #[arg(long, overrides_with = "check_config")]
    pub(super) print_config: bool,
}

impl Arguments {
    /// Reads the arguments of the service `precis-<service>`.
    ///
    /// # Errors
    /// Wrong usage; also help and version, which are answers and no arguments.
    pub(super) fn read(service: &str, arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let program = format!("precis-{service}");
        let command = Self::command().bin_name(&program).display_name(&program);
        Self::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }
}

/// Prints help and version on stdout, exit code 0; wrong usage on stderr, exit code 1.
pub(super) fn tell(answer: &clap::Error) -> ExitCode {
    // A reader that goes away changes nothing.
    let _ = answer.print();
    if answer.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests;
