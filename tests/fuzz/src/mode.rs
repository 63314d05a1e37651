//! What is asked of a decoder's test, by environment variables.

use std::env;
use std::path::PathBuf;

/// One of the ways to run a target.
pub(crate) enum Mode {
    /// Another decoder is meant.
    Skipped,
    /// Only told that it is there, below this folder.
    Listed(PathBuf),
    /// One input, in this file.
    One(PathBuf),
    /// By libFuzzer.
    #[cfg(feature = "libfuzzer")]
    Guided,
    /// By broken copies without feedback.
    Unguided,
}

impl Mode {
    /// What is asked of the decoder called `name`.
    pub(crate) fn of(name: &str) -> Self {
        let file = |variable: &str| env::var_os(variable).map(PathBuf::from);
        let only = env::var("PRECIS_FUZZ").ok();
        if only.as_deref().is_some_and(|only| only != name) {
            return Self::Skipped;
        }
        if let Some(folder) = file("PRECIS_FUZZ_LIST") {
            return Self::Listed(folder);
        }
        if let Some(input) = file("PRECIS_FUZZ_INPUT") {
            return Self::One(input);
        }
        // The name is asked for: whoever runs all tests of such a build must not end with the first
        // decoder.
        #[cfg(feature = "libfuzzer")]
        if only.is_some() {
            return Self::Guided;
        }
        Self::Unguided
    }
}
