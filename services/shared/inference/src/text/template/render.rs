//! A template rendered within bounds.
//!
//! The template comes from a model's file, and it is a program: it could loop for ever, fill the
//! memory or nest so deeply that the stack overflows, which would end the process. So every
//! rendering has fuel, which minijinja burns for each instruction, each item and each 64 bytes that
//! it makes; sizes are bounded; and it runs on a thread of its own, whose stack is large enough for
//! the deepest nesting that source and fuel allow. What burns no fuel is bounded by time: the
//! thread is left alone then, and the model is refused.

use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use minijinja::{Error, ErrorKind, context};

use super::{environment, generation};
use crate::error::EngineError;

/// Bytes of a template. The longest that are published have about 20,000.
pub(super) const MAX_SOURCE_BYTES: usize = 64 << 10;
/// Fuel of one rendering: instructions, and one for each 64 bytes that are made. Published
/// templates need a few hundred.
pub(super) const MAX_FUEL: u64 = 50_000;
/// Bytes that a template writes around two messages. Published ones write up to about 2,000.
pub(super) const MAX_OUTPUT_BYTES: usize = 64 << 10;
/// Nesting of loops, conditions and macros while a template runs.
const MAX_RECURSION: usize = 200;
/// Stack of the rendering thread. It is taken from the system page by page, as it is used.
const STACK_BYTES: usize = 128 << 20;
/// Letters of what a template says when it fails.
const MAX_REASON_CHARS: usize = 400;

/// Time for one rendering, which takes a millisecond: the bound of what burns no fuel, such as
/// the text of a list that holds another twice, which holds another twice.
const RENDER_TIMEOUT: Duration = Duration::from_secs(5);

/// A template that can be rendered.
#[derive(Clone)]
pub(super) struct Renderer {
    source: String,
    begin: String,
    end: String,
}

impl Renderer {
    /// Takes a template's source and the texts of the tokens that begin and end a sequence.
    pub(super) fn new(source: &str, (begin, end): (&str, &str)) -> Result<Self, EngineError> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(bad(&format!("it has {} bytes, and at most {MAX_SOURCE_BYTES} are read", source.len())));
        }
        let source = generation::without_tags(source);
        Ok(Self { source, begin: begin.to_owned(), end: end.to_owned() })
    }

    /// What the template writes for these messages.
    pub(super) fn render(&self, system: Option<&str>, user: &str) -> Result<String, EngineError> {
        self.render_within(RENDER_TIMEOUT, system, user)
    }

    fn render_within(&self, timeout: Duration, system: Option<&str>, user: &str) -> Result<String, EngineError> {
        let (sender, receiver) = mpsc::channel();
        let (renderer, system, user) = (self.clone(), system.map(str::to_owned), user.to_owned());
        let builder = thread::Builder::new().name("chat-template".into()).stack_size(STACK_BYTES);
        builder
            // Nobody waits for the result of one that took too long.
            .spawn(move || drop(sender.send(renderer.render_here(system.as_deref(), &user))))
            .map_err(|error| bad(&format!("no thread to render it: {error}")))?;
        receiver.recv_timeout(timeout).unwrap_or_else(|error| {
            Err(bad(&match error {
                RecvTimeoutError::Timeout => format!("it was not rendered within {} s", timeout.as_secs()),
                RecvTimeoutError::Disconnected => "the renderer panicked".to_owned(),
            }))
        })
    }

    fn render_here(&self, system: Option<&str>, user: &str) -> Result<String, EngineError> {
        let mut environment = environment::new().map_err(|error| failed(&error))?;
        environment.set_fuel(Some(MAX_FUEL));
        environment.set_recursion_limit(MAX_RECURSION);
        let system = system.map(|content| context! { role => "system", content });
        let messages: Vec<_> = system.into_iter().chain([context! { role => "user", content => user }]).collect();
        let template = environment.template_from_named_str("chat", &self.source).map_err(|error| failed(&error))?;
        let mut output = Bounded(Vec::new());
        let rendered = template.render_captured_to(
            context! {
                messages, bos_token => self.begin.as_str(), eos_token => self.end.as_str(),
                add_generation_prompt => true,
                // The values that transformers passes where the caller names none.
                tools => (), documents => (),
                // Models that can do without reasoning do without: no one reads it, and an answer
                // has no room for it.
                enable_thinking => false,
            },
            &mut output,
        );
        rendered.map_err(|error| failed(&error))?;
        String::from_utf8(output.0).map_err(|_| bad("it writes no text"))
    }
}

/// What a template writes, up to its bound: a small value can be a text without end.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT_BYTES {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failed(error: &Error) -> EngineError {
    if error.kind() == ErrorKind::WriteFailure {
        return bad(&format!("it writes more than {MAX_OUTPUT_BYTES} bytes"));
    }
    if error.kind() == ErrorKind::OutOfFuel {
        return bad(&format!("it loops or makes too much: it did not end within {MAX_FUEL} units of work"));
    }
    bad(&format!("{error:#}"))
}

fn bad(reason: &str) -> EngineError {
    let mut letters = reason.chars();
    let mut reason: String = letters.by_ref().take(MAX_REASON_CHARS).collect();
    if letters.next().is_some() {
        reason.push('…');
    }
    EngineError::BadTemplate { reason }
}

#[cfg(test)]
mod tests;
