//! The schemas, the Rust types and the codec held against each other, against Avro's rules and
//! against another implementation.
#![allow(clippy::unwrap_used, missing_docs)]

mod compatibility;
mod files;
mod golden;
mod hostile;
mod roundtrip;
mod samples;
