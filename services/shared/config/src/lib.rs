//! Configuration: one TOML file, the environment over it, one typed struct for each section.
//!
//! ```text
//! [log.kafka]                                   file
//! brokers = "kafka-0:9092"
//!
//! PRECIS_LOG__KAFKA__BROKERS=kafka-1:9092       environment: wins; two underscores step into a table
//! ```
//!
//! What this crate guarantees:
//! * **Nothing is ignored.** A section or key that nobody knows is an error, in the file and in the
//!   environment.
//! * **All problems at once.** Unknown keys, wrong types and everything that [`Validate`] finds
//!   come in one list, each with its key, what is wrong, what to do and, where it came from the
//!   environment, the variable.
//! * **Secrets are never shown**: [`Secret`] prints and serialises as `[redacted]`.
//! * **The reference is the code**: [`reference::markdown`] makes it from the types' documentation
//!   and defaults.
//!
//! A variable is configuration when it starts with [`ENV_PREFIX`] and has two underscores after it;
//! others, such as `PRECIS_TEST_KAFKA`, are left alone. Its value is read as the key's type asks:
//! text as it is, lists as `a,b` or `["a", "b"]`, everything else as in TOML, tables as
//! `{ a = 1 }`.

mod environment;
mod error;
pub mod reference;
mod schema;
mod secret;
mod settings;
mod violations;

pub use environment::ENV_PREFIX;
pub use error::ConfigError;
pub use secret::Secret;
pub use settings::{Reader, SECTIONS, Section, Settings};
pub use violations::{Validate, Violation, Violations};
