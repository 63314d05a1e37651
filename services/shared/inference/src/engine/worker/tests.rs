#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::oneshot::{self, Receiver};

use super::{Message, run};
use crate::decode::stop::AnswerLimits;
use crate::engine::core::Core;
use crate::engine::fake::{self, FakeModel};
use crate::engine::metrics::Counters;
use crate::engine::scheduler::StepLimits;
use crate::engine::sequence::{Generated, Job};
use crate::error::EngineError;
use crate::request::End;

type Answer = Receiver<Result<Generated, EngineError>>;

fn start(broken: bool) -> (UnboundedSender<Message>, JoinHandle<()>) {
    let (inbox, messages) = mpsc::unbounded_channel();
    let thread = thread::spawn(move || {
        let mut model = FakeModel::new(8);
        model.broken = broken;
        let limits = StepLimits { step_tokens: 8, max_sequences: 4 };
        run(Core::new(model, limits, fake::rules(), 8, Arc::new(Counters::default())), messages);
    });
    (inbox, thread)
}

fn job(prompt: &[u32]) -> (Message, Answer) {
    let (reply, answer) = oneshot::channel();
    (
        Message::Job(Box::new(Job {
            prompt: prompt.to_vec(),
            common_tokens: 0,
            limits: AnswerLimits { max_new_tokens: 5, end: End::Natural },
            steering: None,
            priority: 0,
            reply,
            adapter: None,
            place: None,
        })),
        answer,
    )
}

#[test]
fn jobs_are_answered_and_the_thread_ends_with_its_last_handle() {
    let (inbox, thread) = start(false);
    let (message, answer) = job(&[1, 2, 3]);
    inbox.send(message).unwrap();
    assert_eq!(answer.blocking_recv().unwrap().unwrap().logprobs.len(), fake::answer(&[1, 2, 3], 5).len());
    drop(inbox);
    thread.join().unwrap();
}

#[test]
fn stopping_answers_those_who_wait() {
    let (inbox, thread) = start(false);
    inbox.send(Message::Stop).unwrap();
    let (message, answer) = job(&[1]);
    // Either the thread has gone, or it takes the job with it.
    let sent = inbox.send(message).is_ok();
    thread.join().unwrap();
    let told = answer.blocking_recv().is_ok_and(|result| result.is_err_and(|error| error.code() == "engine_stopped"));
    assert!(!sent || told);
}

#[test]
fn a_broken_device_ends_the_thread_and_everybody_is_told() {
    let (inbox, thread) = start(true);
    let answers: Vec<Answer> = (0..6)
        .map(|id| {
            let (message, answer) = job(&[id + 1]);
            let _ = inbox.send(message);
            answer
        })
        .collect();
    thread.join().unwrap();
    for answer in answers {
        assert!(
            answer.blocking_recv().map_or(true, |result| result.is_err_and(|error| error.code() == "engine_stopped"))
        );
    }
    assert!(inbox.is_closed());
}
