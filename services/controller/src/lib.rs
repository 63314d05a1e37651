//! The quality of outcomes: what the topic `summaries` says of each tier, model, prompt, type and
//! language.
//!
//! - [`view`]: a fold over outcomes, of bounded size, that can be merged.
//! - [`report`]: two windows of a view compared, group by group: figures with their intervals, what
//!   changed in the inputs, alarms, and their cause.
//! - [`calendar`]: days and hours, as outcomes name them.
//!
//! These are pure: no input or output, and no clock. An outcome belongs to the hour that it says it
//! was settled in, so the same records give the same figures whenever they are read.
//!
//! - [`service`]: what follows the topic, shows the figures as metrics and tells of a fall.

pub mod calendar;
pub mod report;
pub mod service;
mod settings;
pub mod view;

pub use service::run;
pub use settings::{ControllerSettings, WebhookSettings};

#[cfg(test)]
mod testing;
