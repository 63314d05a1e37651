//! How documents of one identity end, explored through every order of store calls, crashes,
//! redeliveries and lost replies. Router and workers settle with the real [`Settler`], and every
//! call of the store is a step of its own.
//!
//! A delivery is a future that is polled with the replies it had so far, until it makes the next
//! call. So a state can be copied: it is the store, the replies, and what is committed. The
//! guarantees of flow are assumed here and explored there: of a record's deliveries one commits,
//! and none that was overtaken by a redelivery. Nothing else is assumed: deliveries of one record,
//! and records of one identity, run side by side in any order.
#![allow(clippy::unwrap_used)]
#![allow(clippy::print_stderr, reason = "how much was explored is worth reading")]

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use precis_explore::{Model, explore};
use precis_flow::Output;
use precis_objects::{Adopted, ObjectError, ObjectInfo, ObjectStore, Put, create_or_adopt, keys};
use precis_pipeline::settle::{Claim, Draft, REPEAT_HEADER};
use precis_pipeline::{Identity, PipelineError, Settler};
use precis_schemas::{Document, Origin, Outcome, codec};

/// A record of the publisher; all are of one identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Submitted {
    /// Which request: another one under the same identity is a conflict.
    request: u8,
    /// Whether the router settles it by itself, from its cache or as failed.
    by_router: bool,
}

const WORK: Submitted = Submitted { request: 0, by_router: false };
const CACHED: Submitted = Submitted { by_router: true, ..WORK };
const OTHER_REQUEST: Submitted = Submitted { request: 1, ..WORK };

/// The rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BrokenRule {
    Nothing,
    /// A put overwrites.
    PlainPut,
    /// The loser of the create publishes its own bytes.
    AdoptNothing,
}

#[derive(Clone)]
struct Settling {
    documents: Vec<Submitted>,
    /// Whether the router looks a fresh document up before it routes it.
    router_looks_up: bool,
    /// Whether the worker looks before it works.
    worker_looks_up: bool,
    faults: Faults,
    broken: BrokenRule,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Faults {
    crashes: u8,
    /// A redelivery begins while the first delivery goes on.
    overtakes: u8,
    /// A put lands and its reply does not.
    lost_replies: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Router,
    Worker,
}

/// A call of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Call {
    Get(String),
    Put(String, Vec<u8>),
}

/// Its reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Reply {
    Got(Option<Vec<u8>>),
    Created,
    Exists,
}

/// How a delivery ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Effect {
    Routed,
    Published { bytes: Vec<u8>, repeat: bool },
    DeadLetter(&'static str),
}

#[derive(Clone, Debug, Hash)]
struct Delivery {
    stage: Stage,
    document: usize,
    /// Makes the bytes of each delivery different, as the clock does.
    attempt: i64,
    replies: Vec<Reply>,
    overtaken: bool,
}

/// Where a document is in the committed view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Progress {
    Submitted,
    InWork,
    Ended,
}

#[derive(Clone, Debug, Hash)]
struct State {
    store: BTreeMap<String, Vec<u8>>,
    progress: Vec<Progress>,
    attempts: Vec<i64>,
    deliveries: Vec<Delivery>,
    /// The committed view: of which document, which bytes, and whether as a repeat.
    published: Vec<(usize, Vec<u8>, bool)>,
    dead_letters: Vec<(usize, &'static str)>,
    left: Faults,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Deliver { stage: Stage, document: usize },
    Call { delivery: usize },
    CallWithoutReply { delivery: usize },
    Commit { delivery: usize },
    Crash { delivery: usize },
    Overtake { delivery: usize },
}

/// A store that gives the replies it holds, and keeps the call after the last of them.
struct Script {
    replies: Mutex<VecDeque<Reply>>,
    next: Mutex<Option<Call>>,
}

impl Script {
    async fn reply(&self, call: Call) -> Reply {
        let reply = self.replies.lock().unwrap().pop_front();
        match reply {
            Some(reply) => reply,
            None => {
                *self.next.lock().unwrap() = Some(call);
                std::future::pending().await
            }
        }
    }
}

#[async_trait]
impl ObjectStore for Script {
    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Put, ObjectError> {
        let reply = self.reply(Call::Put(key.to_owned(), bytes)).await;
        Ok(if reply == Reply::Created { Put::Created } else { Put::Exists })
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ObjectError> {
        match self.reply(Call::Get(key.to_owned())).await {
            Reply::Got(bytes) => Ok(bytes),
            other => panic!("a get was answered by {other:?}"),
        }
    }

    async fn get_range(&self, _: &str, _: Range<u64>) -> Result<Option<Vec<u8>>, ObjectError> {
        unreachable!("settling reads whole objects")
    }

    async fn list(&self, _: &str, _: usize) -> Result<Vec<ObjectInfo>, ObjectError> {
        unreachable!("settling lists nothing")
    }

    async fn delete(&self, _: &str) -> Result<(), ObjectError> {
        unreachable!("settling deletes nothing")
    }

    fn describe(&self) -> String {
        "a script".to_owned()
    }
}

fn identity() -> Identity {
    Identity { tenant: "acme".into(), document_id: "a".into(), revision: 0 }
}

fn result_key() -> String {
    keys::result("acme", "a", 0)
}

impl Settling {
    fn claim(&self, document: usize) -> Claim {
        Claim {
            identity: identity(),
            origin: Origin { topic: "documents.acme".into(), partition: 0, offset: document as i64 },
            request_digest: self.documents[document].request.to_string(),
            replay: false,
        }
    }

    fn outcome(&self, delivery: &Delivery, said: &str) -> Outcome {
        let claim = self.claim(delivery.document);
        Draft::unrouted(&claim, &Document::default(), "", delivery.attempt).failed("code", said)
    }

    /// What the router does with a fresh document.
    async fn route(&self, store: Arc<dyn ObjectStore>, delivery: &Delivery) -> Result<Effect, PipelineError> {
        let (settler, claim) = (Settler::new(store), self.claim(delivery.document));
        if self.router_looks_up
            && let Some(output) = settler.settled(&claim).await?
        {
            return Ok(published(output));
        }
        if !self.documents[delivery.document].by_router {
            return Ok(Effect::Routed);
        }
        self.settle(&settler, &claim, self.outcome(delivery, "by the router")).await
    }

    /// What a worker does with a routed document.
    async fn work(&self, store: Arc<dyn ObjectStore>, delivery: &Delivery) -> Result<Effect, PipelineError> {
        let (settler, claim) = (Settler::new(Arc::clone(&store)), self.claim(delivery.document));
        if self.worker_looks_up
            && let Some(output) = settler.settled(&claim).await?
        {
            return Ok(published(output));
        }
        let generated = format!("{} {}", delivery.document, delivery.attempt).into_bytes();
        let answer = keys::answer("acme", &claim.request_digest, "model");
        let Adopted { bytes, .. } = create_or_adopt(&*store, &answer, generated).await?;
        self.settle(&settler, &claim, self.outcome(delivery, &String::from_utf8(bytes).unwrap())).await
    }

    async fn settle(&self, settler: &Settler, claim: &Claim, outcome: Outcome) -> Result<Effect, PipelineError> {
        let settled = settler.settle(claim, &outcome).await;
        if self.broken == BrokenRule::AdoptNothing {
            return Ok(Effect::Published { bytes: codec::encode(&outcome)?, repeat: false });
        }
        settled.map(published)
    }

    /// How far a delivery gets with the replies it had: to its end, or to its next call.
    fn resume(&self, delivery: &Delivery) -> Result<Effect, Call> {
        let script = Arc::new(Script {
            replies: Mutex::new(delivery.replies.iter().cloned().collect()),
            next: Mutex::default(),
        });
        let store: Arc<dyn ObjectStore> = script.clone();
        let mut program = Box::pin(async move {
            match delivery.stage {
                Stage::Router => self.route(store, delivery).await,
                Stage::Worker => self.work(store, delivery).await,
            }
        });
        match program.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Err(script.next.lock().unwrap().take().unwrap()),
            Poll::Ready(Ok(effect)) => Ok(effect),
            Poll::Ready(Err(PipelineError::Rejected { code, .. })) => Ok(Effect::DeadLetter(code)),
            Poll::Ready(Err(error)) => panic!("{error}"),
        }
    }

    /// The store's side of a call. After a lost reply a store reads back, and says `Created` when
    /// the object holds the caller's bytes.
    fn serve(&self, store: &mut BTreeMap<String, Vec<u8>>, call: Call, reply_lost: bool) -> Reply {
        match call {
            Call::Get(key) => Reply::Got(store.get(&key).cloned()),
            Call::Put(key, bytes) => {
                let created = !store.contains_key(&key) || self.broken == BrokenRule::PlainPut;
                if created {
                    store.insert(key.clone(), bytes.clone());
                }
                if created || (reply_lost && store[&key] == bytes) { Reply::Created } else { Reply::Exists }
            }
        }
    }
}

fn published(output: Output) -> Effect {
    Effect::Published { repeat: output.headers.get(REPEAT_HEADER).is_some(), bytes: output.value.unwrap() }
}

impl Model for Settling {
    type State = State;
    type Action = Action;

    fn initial(&self) -> State {
        State {
            store: BTreeMap::new(),
            progress: vec![Progress::Submitted; self.documents.len()],
            attempts: vec![0; self.documents.len()],
            deliveries: Vec::new(),
            published: Vec::new(),
            dead_letters: Vec::new(),
            left: self.faults,
        }
    }

    fn key(&self, state: &State, into: &mut DefaultHasher) {
        let mut state = state.clone();
        state.deliveries.sort_by_key(|delivery| (delivery.document, delivery.attempt));
        state.hash(into);
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        for (document, progress) in state.progress.iter().enumerate() {
            let stage = match progress {
                Progress::Submitted => Stage::Router,
                Progress::InWork => Stage::Worker,
                Progress::Ended => continue,
            };
            if !state.deliveries.iter().any(|delivery| delivery.document == document && !delivery.overtaken) {
                actions.push(Action::Deliver { stage, document });
            }
        }
        for (number, delivery) in state.deliveries.iter().enumerate() {
            match self.resume(delivery) {
                Err(Call::Get(_)) => actions.push(Action::Call { delivery: number }),
                Err(Call::Put(..)) => {
                    actions.push(Action::Call { delivery: number });
                    let lossy = state.left.lost_replies > 0;
                    actions.extend(lossy.then_some(Action::CallWithoutReply { delivery: number }));
                }
                Ok(_) if delivery.overtaken => {}
                Ok(_) => actions.push(Action::Commit { delivery: number }),
            }
            actions.extend((state.left.crashes > 0).then_some(Action::Crash { delivery: number }));
            let overtake = state.left.overtakes > 0 && !delivery.overtaken;
            actions.extend(overtake.then_some(Action::Overtake { delivery: number }));
        }
        actions
    }

    fn next(&self, state: &State, action: &Action) -> Result<State, String> {
        let mut next = state.clone();
        match *action {
            Action::Deliver { stage, document } => {
                next.attempts[document] += 1;
                let attempt = next.attempts[document];
                next.deliveries.push(Delivery { stage, document, attempt, replies: Vec::new(), overtaken: false });
            }
            Action::Call { delivery } | Action::CallWithoutReply { delivery } => {
                let reply_lost = matches!(action, Action::CallWithoutReply { .. });
                next.left.lost_replies -= u8::from(reply_lost);
                if let Err(call) = self.resume(&state.deliveries[delivery]) {
                    let reply = self.serve(&mut next.store, call, reply_lost);
                    next.deliveries[delivery].replies.push(reply);
                }
            }
            Action::Commit { delivery } => {
                let delivery = next.deliveries.remove(delivery);
                let document = delivery.document;
                next.progress[document] = Progress::Ended;
                match self.resume(&delivery) {
                    Ok(Effect::Routed) => next.progress[document] = Progress::InWork,
                    Ok(Effect::Published { bytes, repeat }) => next.published.push((document, bytes, repeat)),
                    Ok(Effect::DeadLetter(code)) => next.dead_letters.push((document, code)),
                    Err(_) => return Err("committed what is not finished".to_owned()),
                }
            }
            Action::Crash { delivery } => {
                next.left.crashes -= 1;
                next.deliveries.remove(delivery);
            }
            Action::Overtake { delivery } => {
                next.left.overtakes -= 1;
                next.deliveries[delivery].overtaken = true;
            }
        }
        Ok(next)
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let stored = state.store.get(&result_key());
        let winner: Option<Outcome> = stored.map(|bytes| codec::decode(bytes).unwrap());
        for (document, bytes, _) in &state.published {
            if Some(bytes) != stored {
                return Err(format!("what was published of document {document} is not what is stored"));
            }
            if winner.as_ref().is_some_and(|won| won.request_digest != self.claim(*document).request_digest) {
                return Err(format!("document {document} was published with the outcome of another request"));
            }
        }
        for (document, code) in &state.dead_letters {
            let lost = winner.as_ref().is_some_and(|won| won.request_digest != self.claim(*document).request_digest);
            if *code != "id_conflict" || !lost {
                return Err(format!("document {document} ended as {code}"));
            }
        }
        let first = state.published.iter().filter(|(_, _, repeat)| !repeat).count();
        if first > 1 || (first != 1 && self.is_done(state)) {
            return Err(format!("{first} outcomes are no repeats, of {} published", state.published.len()));
        }
        Ok(())
    }

    fn is_fault(&self, action: &Action) -> bool {
        matches!(action, Action::CallWithoutReply { .. } | Action::Crash { .. } | Action::Overtake { .. })
    }

    fn is_done(&self, state: &State) -> bool {
        state.progress.iter().all(|progress| *progress == Progress::Ended)
    }
}

/// The router as it is: it looks nothing up, the worker does.
fn settling(documents: &[Submitted]) -> Settling {
    Settling {
        documents: documents.to_vec(),
        router_looks_up: false,
        worker_looks_up: true,
        faults: Faults { crashes: 1, overtakes: 1, lost_replies: 1 },
        broken: BrokenRule::Nothing,
    }
}

fn holds(name: &str, settling: &Settling) {
    let began = std::time::Instant::now();
    match explore(settling, 1_000_000) {
        Ok(explored) => eprintln!("{name}: {explored} in {:.1} s", began.elapsed().as_secs_f64()),
        Err(violation) => panic!("{name}: {violation}"),
    }
}

fn found(name: &str, settling: &Settling, broken: BrokenRule, what: &str) {
    let violation = explore(&Settling { broken, ..settling.clone() }, 1_000_000).expect_err("nothing was found");
    eprintln!("{name}: {violation}");
    assert!(violation.what.contains(what), "{violation}");
}

#[test]
fn a_fresh_document_ends_once_however_often_it_is_delivered() {
    let faults = Faults { crashes: 2, overtakes: 1, lost_replies: 1 };
    holds("fresh", &Settling { faults, ..settling(&[WORK]) });
    holds("cached", &Settling { faults, ..settling(&[CACHED]) });
}

#[test]
fn of_a_document_and_its_repeat_one_is_the_first() {
    holds("repeat", &settling(&[WORK, WORK]));
    holds("repeat by the router", &settling(&[WORK, CACHED]));
    holds("repeat of a cached one", &settling(&[CACHED, CACHED]));
}

#[test]
fn of_two_requests_under_one_identity_one_is_refused() {
    holds("conflict", &settling(&[WORK, OTHER_REQUEST]));
    holds("conflict with a cached one", &settling(&[CACHED, OTHER_REQUEST]));
}

/// The look-ups save work. What makes the outcome one is the create.
#[test]
fn no_look_up_is_needed_for_soundness() {
    for (router_looks_up, worker_looks_up) in [(true, true), (true, false), (false, false)] {
        let documents = [WORK, CACHED];
        let faults = Faults { crashes: 1, overtakes: 1, lost_replies: 0 };
        holds("look-ups", &Settling { router_looks_up, worker_looks_up, faults, ..settling(&documents) });
    }
}

#[test]
fn a_plain_put_is_found_out() {
    found("plain put", &settling(&[WORK, WORK]), BrokenRule::PlainPut, "is not what is stored");
}

#[test]
fn adopting_nothing_is_found_out() {
    found("adopt nothing", &settling(&[WORK, WORK]), BrokenRule::AdoptNothing, "is not what is stored");
}
