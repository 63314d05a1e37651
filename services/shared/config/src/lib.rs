//! Settings: one TOML file, the environment over it, one typed struct for each section.
//!
//! ```text
//! [log.kafka]                                   file
//! brokers = "kafka-0:9092"
//!
//! PRECIS_LOG__KAFKA__BROKERS=kafka-1:9092       environment: wins; two underscores step into a table
//! ```
//!
//! Guarantees:
//! * **Nothing is ignored.** A section or key that nobody knows is an error, in the file and in the
//!   environment.
//! * **All problems at once.** Unknown keys, wrong types and the findings of [`Validate`] come in
//!   one list. Each entry names the key, the problem, the remedy and, for a value from the
//!   environment, the variable.
//! * **Secrets are never shown**: [`Secret`] prints and serialises as `[redacted]`.
//! * **The reference comes from the code**: [`reference::markdown`] makes it from the types'
//!   documentation and defaults.
//!
//! A variable is a setting when it starts with [`ENV_PREFIX`] and has two underscores after that.
//! Others, such as `PRECIS_TEST_KAFKA`, are ignored. The key's type decides how the value is read:
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
pub use secret::{Secret, warn_if_open};
pub use settings::{Reader, SECTIONS, Section, Settings};
pub use violations::{Validate, Violation, Violations};
