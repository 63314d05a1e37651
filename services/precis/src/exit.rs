//! The exit code of a command.

use std::process::ExitCode;

/// The exit codes, as the help documents them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: every document has a summary, or the command did what was asked.
    Done,
    /// 1: wrong usage, or something in the environment is missing or down.
    Environment,
    /// 2: some inputs or documents have no summary, or some checks failed.
    SomeFailed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Environment => 1,
            Exit::SomeFailed => 2,
        })
    }
}
