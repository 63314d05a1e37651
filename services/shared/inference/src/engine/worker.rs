//! The engine's thread.
//!
//! One operating-system thread owns model, pool and all sequences; nothing is shared and nothing is
//! locked. It sleeps on its inbox while there is nothing to compute and looks into it between steps
//! otherwise. It ends when it is told to, when the last handle is gone, or when the device is
//! broken; whoever still waits then gets an error, never silence.

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;

use super::core::Core;
use super::sequence::Job;
use crate::error::EngineError;
use crate::step::StepModel;

/// What reaches the thread.
#[derive(Debug)]
pub(crate) enum Message {
    /// Compute this.
    Job(Job),
    /// Stop after the step at hand.
    Stop,
}

/// Runs until there is nobody left to serve.
pub(crate) fn run<M: StepModel>(mut core: Core<M>, mut inbox: UnboundedReceiver<Message>) {
    let reason = serve(&mut core, &mut inbox);
    // No new message can come from here on, and those that came are answered too.
    inbox.close();
    while let Ok(message) = inbox.try_recv() {
        if let Message::Job(job) = message {
            core.accept(job);
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
            Some(Message::Job(job)) => core.accept(job),
            Some(Message::Stop) => return stopped("it was shut down"),
            None => {
                if let Err(error) = core.turn() {
                    tracing::error!(code = error.code(), %error, "the engine stops");
                    return error;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
