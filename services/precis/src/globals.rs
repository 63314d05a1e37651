//! The options that every command knows.

use std::path::PathBuf;

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
pub struct Globals {
    /// Settings file (TOML); environment variables such as `PRECIS_LOG__KIND` override it
    #[arg(long, global = true, value_name = "FILE", help_heading = "For every command")]
    pub config: Option<PathBuf>,

    /// Folder of the embedded log and the stored results [default: ~/.local/state/precis]
    #[arg(long, global = true, value_name = "DIR", help_heading = "For every command")]
    pub state: Option<PathBuf>,

    /// Answers as JSON, for programs
    #[arg(long, global = true, help_heading = "For every command")]
    pub json: bool,

    /// Tell more on stderr; twice tells all
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "For every command")]
    pub verbose: u8,
}
