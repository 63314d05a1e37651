//! Metrics, health, logs and trace context of a service, and the signal to stop.
//!
//! * [`metrics`]: every metric is a constant whose type knows the number of labels. Services name
//!   constants, never strings; the reference table is generated from the same catalogue.
//! * [`health`]: components tick and say when they are ready. Liveness is about this process alone.
//!   A broker, a store or a provider that cannot be reached never fails it, since a restart would
//!   not bring them back.
//! * [`serve`]: `/metrics`, `/livez`, `/readyz` and `/info` over HTTP.
//! * [`init_logging`]: human-readable or JSON lines on standard error.
//! * [`Troubles`]: the warnings with a code, for a command that shows why it waits.
//! * [`trace`]: W3C trace context, carried in Kafka headers.
//! * [`Shutdown`]: SIGTERM and SIGINT as a cancellation token.
//!
//! Everything here may be called more than once in a process, since one process may run several
//! services.

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
