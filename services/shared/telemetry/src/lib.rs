//! What a service says about itself: metrics, health, logs, trace context; and when it is told to
//! stop.
//!
//! * [`metrics`]: every metric is a variant of an enum with its labels, its help and, for
//!   histograms, its buckets. Services name variants, never strings; the reference table is
//!   generated from the same enums.
//! * [`health`]: components tick and say when they are ready. Liveness is about this process alone:
//!   a broker, a store or a provider that cannot be reached never fails it, for a restart would not
//!   bring it back.
//! * [`serve`]: `/metrics`, `/livez`, `/readyz` and `/info` over HTTP.
//! * [`init_logging`]: human-readable or JSON lines on standard error.
//! * [`Troubles`]: the warnings with a code, for a command that has to say what it waits for.
//! * [`trace`]: W3C trace context, carried in Kafka headers.
//! * [`Shutdown`]: SIGTERM and SIGINT as a cancellation token.
//!
//! Everything here may be called more than once in a process: one process may run several services,
//! and tests do.

mod config;
mod error;
pub mod health;
mod logging;
pub mod metrics;
mod recorder;
mod server;
mod shutdown;
pub mod trace;
mod troubles;

pub use config::{LogFormat, TelemetryConfig};
pub use error::TelemetryError;
pub use health::{Component, Health};
pub use logging::{init_logging, init_logging_and_collect};
pub use recorder::{Recorder, install_recorder};
pub use server::{Info, Server, serve};
pub use shutdown::Shutdown;
pub use trace::TraceContext;
pub use troubles::{Trouble, Troubles};
