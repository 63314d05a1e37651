//! Warnings of this process that carry a code, for a command that shows why it waits.
//!
//! Warnings are collected at every log level: a person at a terminal wants no log, and must still
//! learn that the disk is full. Texts are those of the log, so they hold neither document text nor
//! secrets.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

use precis_base::lock::locked;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Warnings that are kept until somebody takes them. The oldest go first.
const MAX_KEPT: usize = 64;

/// A warning or an error that the process logged with a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Its stable code.
    pub code: String,
    /// What happened, for people.
    pub message: String,
}

/// Warnings with a code that nobody has taken yet. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Troubles(Arc<Mutex<VecDeque<Trouble>>>);

impl Troubles {
    /// Takes the warnings since the last call, oldest first.
    pub fn take(&self) -> Vec<Trouble> {
        locked(&self.0).drain(..).collect()
    }

    fn keep(&self, trouble: Trouble) {
        let mut kept = locked(&self.0);
        if kept.len() == MAX_KEPT {
            kept.pop_front();
        }
        kept.push_back(trouble);
    }
}

impl<S: Subscriber> Layer<S> for Troubles {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut fields = EventFields::default();
        event.record(&mut fields);
        let EventFields { code, error, message } = fields;
        if !code.is_empty() {
            self.keep(Trouble { code, message: if error.is_empty() { message } else { error } });
        }
    }
}

/// The fields of an event that make a [`Trouble`].
#[derive(Default)]
struct EventFields {
    code: String,
    error: String,
    message: String,
}

impl Visit for EventFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = match field.name() {
            "code" => &mut self.code,
            "error" => &mut self.error,
            "message" => &mut self.message,
            _ => return,
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "{value:?}");
    }
}

#[cfg(test)]
mod tests;
