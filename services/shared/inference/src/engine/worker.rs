//! The engine's thread.
//!
//! One operating-system thread owns model, pool and all sequences; nothing is shared and nothing is
//! locked. While there is nothing to compute, it sleeps on its inbox; otherwise it reads the inbox
//! between steps. It ends when it is told to, when the last handle is gone, or when the device is
//! broken. Requests that still wait then get an error.

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;

use super::core::Core;
use super::sequence::Job;
use crate::error::EngineError;
use crate::step::StepModel;

/// A message to the thread.
#[derive(Debug)]
pub(crate) enum Message {
    /// Compute this.
    Job(Box<Job>),
    /// Give up the adapter of this slot: no request uses it.
    DropAdapter(u32),
    /// Stop after the step at hand.
    Stop,
}

/// Runs until the engine stops.
pub(crate) fn run<M: StepModel>(mut core: Core<M>, mut inbox: UnboundedReceiver<Message>) {
    let reason = serve(&mut core, &mut inbox);
    // No new message can come from here on; the messages that came before are answered too.
    inbox.close();
    while let Ok(message) = inbox.try_recv() {
        if let Message::Job(job) = message {
            core.accept(*job);
        }
    }
    core.abandon(&reason);
}

fn serve<M: StepModel>(core: &mut Core<M>, inbox: &mut UnboundedReceiver<Message>) -> EngineError {
    let stopped = |reason: &str| EngineError::Stopped { reason: reason.to_owned() };
    loop {
        let message = if core.is_idle() {
            match inbox.blocking_recv() {
                Some(message) => Some(message),
                None => return stopped("nobody uses it any more"),
            }
        } else {
            match inbox.try_recv() {
                Ok(message) => Some(message),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return stopped("nobody uses it any more"),
            }
        };
        match message {
            Some(Message::Job(job)) => core.accept(*job),
            Some(Message::DropAdapter(slot)) => core.drop_adapter(slot),
            Some(Message::Stop) => return stopped("it was shut down"),
            None => {
                if let Err(error) = core.run_step() {
                    tracing::error!(code = error.code(), %error, "the engine stops");
                    return error;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
