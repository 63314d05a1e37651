//! Outages of an hour and records that go on failing, on a clock that jumps to the next thing that
//! is due: how long they take is computed, not waited for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use precis_flow::member::{Assignment, Committer, JoinRequest, Load, MemberEvent, Membership, Transaction};
use precis_flow::{
    Delivery, ExclusiveWriter, FlowError, Log, Output, PartitionId, PartitionLag, Position, ReadStart, Reader, Record,
    Scope, StageConfig, StageError, Subscription, TopicChange, TopicSpec, TopicStatus,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::support::{FromFn, Running, assert_each_once, copy, text};

const HOUR: Duration = Duration::from_hours(1);
const RECORDS: usize = 200;

/// A stage with the defaults that services have, and dead letters.
fn stage() -> StageConfig {
    StageConfig::new("test", "group", Subscription::topics(["in"])).with_dead_letters("dead-letters", None)
}

fn start(log: &Arc<Timeless>, config: StageConfig, processor: Arc<dyn precis_flow::Processor>) -> Running {
    Running::start(&(Arc::new(Handle(Arc::clone(log))) as Arc<dyn Log>), config, processor)
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_a_dependency_rejects_and_re_enqueues_nothing() {
    let log = Timeless::with(RECORDS, Duration::ZERO);
    let (config, back) = (stage(), Instant::now() + HOUR);
    let (asked, succeeded) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let processor = {
        let (asked, succeeded) = (Arc::clone(&asked), Arc::clone(&succeeded));
        Arc::new(FromFn(move |delivery: Delivery| {
            let result = if Instant::now() < back {
                asked.fetch_add(1, Ordering::SeqCst);
                Err(StageError::dependency("store_unavailable", "connection refused"))
            } else {
                succeeded.lock().unwrap().push(Instant::now());
                Ok(vec![copy(&delivery.record, "out")])
            };
            async move { result }
        }))
    };
    let running = start(&log, config.clone(), processor);
    log.until("out", RECORDS).await;
    running.stop().await.unwrap();
    assert_each_once(&log.read("out"), RECORDS);
    assert!(log.read("dead-letters").is_empty(), "no record is to blame");
    assert_eq!(log.read("in").len(), RECORDS, "no copy at the tail");
    let last = *succeeded.lock().unwrap().last().unwrap();
    assert!(last <= back + config.max_backoff + Duration::from_secs(1), "everything at once after it");
    // The few that were in process ask twice a minute or a little oftener; the others wait in the
    // log.
    let tries_each = 2 * (HOUR.as_secs() / config.max_backoff.as_secs()) as usize + 20;
    let asked = asked.load(Ordering::SeqCst);
    assert!(asked > 60 && asked <= config.max_in_flight * tries_each, "{asked} tries in an hour");
}

/// An hour without the log rejects nothing and holds no more than its bound.
#[tokio::test(start_paused = true)]
async fn hour_without_the_log_rejects_nothing_within_its_bound() {
    let config = stage();
    let total = 3 * config.max_held;
    let log = Timeless::with(total, HOUR);
    let (seen, back) = (Arc::new(AtomicUsize::new(0)), Instant::now() + HOUR);
    let processor = {
        let seen = Arc::clone(&seen);
        Arc::new(FromFn(move |delivery: Delivery| {
            seen.fetch_add(usize::from(Instant::now() < back), Ordering::SeqCst);
            let output = copy(&delivery.record, "out");
            async move { Ok(vec![output]) }
        }))
    };
    let running = start(&log, config.clone(), processor);
    log.until("out", total).await;
    running.stop().await.unwrap();
    assert_each_once(&log.read("out"), total);
    assert!(log.read("dead-letters").is_empty(), "no record is to blame");
    assert_eq!(log.read("in").len(), total, "no copy at the tail");
    assert_eq!(seen.load(Ordering::SeqCst), config.max_held, "what is held in memory is bounded");
    let last = log.commits().last().unwrap().0;
    assert!(last <= back + Duration::from_secs(10), "everything at once after it, not {:?} later", last - back);
}

#[tokio::test(start_paused = true)]
async fn a_bad_record_holds_its_partition_no_longer_than_its_bound() {
    let (log, config) = (Timeless::with(10, Duration::ZERO), stage());
    // What the record asks for is longer than anybody may be held up.
    let bad = StageError::Retry {
        scope: Scope::Record,
        code: "flaky",
        message: "later, it says".to_owned(),
        after: Some(HOUR),
    };
    let tries: Arc<Mutex<BTreeMap<u32, Vec<Instant>>>> = Arc::default();
    let processor = {
        let tries = Arc::clone(&tries);
        Arc::new(FromFn(move |delivery: Delivery| {
            let result = if text(&delivery.record) == "0" {
                tries.lock().unwrap().entry(delivery.attempts).or_default().push(Instant::now());
                Err(bad.clone())
            } else {
                Ok(vec![copy(&delivery.record, "out")])
            };
            async move { result }
        }))
    };
    let began = Instant::now();
    let running = start(&log, config.clone(), processor);
    log.until("dead-letters", 1).await;
    running.stop().await.unwrap();
    assert_eq!((log.read("dead-letters").len(), log.read("out").len()), (1, 9));

    let tries = tries.lock().unwrap();
    assert_eq!(tries.len(), config.max_attempts as usize, "deliveries");
    let bound = config.max_backoff * config.record_retries;
    for (delivery, tried) in tries.iter() {
        assert_eq!(tried.len(), 1 + config.record_retries as usize, "tries in delivery {delivery}");
        let held = *tried.last().unwrap() - tried[0];
        assert!(held <= bound, "delivery {delivery} held its partition for {held:?}, the bound is {bound:?}");
    }
    // The nine behind it are committed with its copy for the tail.
    let waited = log.commits().iter().find(|(_, outputs)| *outputs >= 9).unwrap().0 - began;
    assert!(waited <= bound + 2 * config.commit_interval, "those behind it waited for {waited:?}");
}

/// A commit whose outcome is unknown is decided by joining again, whether it took effect or not.
#[tokio::test(start_paused = true)]
async fn unknown_commit_is_decided_by_joining_again() {
    for took_effect in [true, false] {
        let log = Timeless::with(RECORDS, Duration::ZERO);
        log.state.lock().unwrap().unknown = vec![took_effect];
        let processor = FromFn(|delivery: Delivery| async move { Ok(vec![copy(&delivery.record, "out")]) });
        let running = start(&log, stage(), Arc::new(processor));
        log.until("out", RECORDS).await;
        log.append(&Output::to("in").key(RECORDS.to_string()).value(RECORDS.to_string()));
        log.until("out", RECORDS + 1).await;
        running.stop().await.unwrap();
        assert_each_once(&log.read("out"), RECORDS + 1);
        assert!(log.state.lock().unwrap().unknown.is_empty(), "it came to pass");
    }
}

/// A log in memory that takes no time, and whose transactions after the first fail until a moment:
/// a real one works by the real clock, and the simulated one would run away from it.
struct Timeless {
    state: Mutex<State>,
    changed: Notify,
    away_until: Instant,
}

#[derive(Default)]
struct State {
    /// What lies in each topic; the one called `in` is read.
    topics: BTreeMap<String, Vec<Record>>,
    /// What is committed in `in`.
    next: i64,
    /// The next transactions with outputs end without an answer: whether each takes effect.
    unknown: Vec<bool>,
    /// When each transaction was committed, and how many outputs it had.
    commits: Vec<(Instant, usize)>,
}

impl Timeless {
    /// With these records in `in`, on one partition.
    fn with(records: usize, away: Duration) -> Arc<Self> {
        let log = Self { state: Mutex::default(), changed: Notify::new(), away_until: Instant::now() + away };
        for n in 0..records {
            log.append(&Output::to("in").key(n.to_string()).value(n.to_string()));
        }
        Arc::new(log)
    }

    fn append(&self, output: &Output) {
        let mut state = self.state.lock().unwrap();
        let records = state.topics.entry(output.topic.clone()).or_default();
        records.push(Record {
            topic: output.topic.as_str().into(),
            partition: 0,
            offset: records.len() as i64,
            timestamp_ms: 0,
            key: output.key.clone(),
            value: output.value.clone(),
            headers: output.headers.clone(),
        });
        self.changed.notify_waiters();
    }

    fn read(&self, topic: &str) -> Vec<Record> {
        self.state.lock().unwrap().topics.get(topic).cloned().unwrap_or_default()
    }

    fn commits(&self) -> Vec<(Instant, usize)> {
        self.state.lock().unwrap().commits.clone()
    }

    async fn until(&self, topic: &str, count: usize) {
        loop {
            let changed = self.changed.notified();
            if self.read(topic).len() >= count {
                return;
            }
            changed.await;
        }
    }
}

/// The handle that a stage has.
struct Handle(Arc<Timeless>);

#[async_trait]
impl Committer for Handle {
    async fn commit(&self, transaction: Transaction) -> Result<Vec<PartitionId>, FlowError> {
        // It goes once the stage has said that it works there: without that, nothing starts.
        if Instant::now() < self.0.away_until && !self.0.state.lock().unwrap().commits.is_empty() {
            return Err(FlowError::Unavailable { doing: "committing", detail: "the test took it away".to_owned() });
        }
        let outputs: Vec<_> =
            transaction.parts.iter().flat_map(|part| &part.outputs).flat_map(|all| all.iter()).collect();
        let unknown = (!outputs.is_empty()).then(|| self.0.state.lock().unwrap().unknown.pop()).flatten();
        if unknown != Some(false) {
            for output in &outputs {
                self.0.append(output);
            }
            let mut state = self.0.state.lock().unwrap();
            state.next = transaction.parts.iter().map(|part| part.next_offset).max().unwrap_or(state.next);
            state.commits.push((Instant::now(), outputs.len()));
        }
        match unknown {
            None => Ok(Vec::new()),
            Some(_) => Err(FlowError::CommitUnknown { detail: "the test says nothing".to_owned() }),
        }
    }

    async fn close(&self, _deadline: Duration) {}
}

#[async_trait]
impl Log for Handle {
    async fn join(&self, request: JoinRequest) -> Result<Membership, FlowError> {
        let (events, received) = tokio::sync::mpsc::unbounded_channel();
        let partition = PartitionId { topic: "in".into(), partition: 0 };
        let first = self.0.state.lock().unwrap().next;
        let _ = events.send(MemberEvent::Assigned(vec![Assignment {
            partition,
            epoch: 1,
            start: first,
            end: first,
            committed: None,
        }]));
        let (log, intake) = (Arc::clone(&self.0), request.intake);
        tokio::spawn(async move {
            for next in first as usize.. {
                intake.opened("in").await;
                log.until("in", next + 1).await;
                let record = log.read("in").swap_remove(next);
                intake.take(&record.topic, Load::of(&record));
                if events.send(MemberEvent::Record { record, epoch: 1 }).is_err() {
                    return;
                }
            }
        });
        Ok(Membership { events: received, committer: Arc::new(Self(Arc::clone(&self.0))) })
    }
    async fn group_lag(&self, _group: &str) -> Result<Vec<PartitionLag>, FlowError> {
        Ok(Vec::new())
    }
    fn describe(&self) -> String {
        "a log of the tests".to_owned()
    }
    // A stage asks for nothing else.
    async fn ensure_topics(&self, _specs: &[TopicSpec]) -> Result<Vec<TopicChange>, FlowError> {
        unreachable!("a stage asks for nothing else")
    }
    async fn topics(&self) -> Result<Vec<TopicStatus>, FlowError> {
        unreachable!("a stage asks for nothing else")
    }
    async fn publish(&self, _outputs: Vec<Output>) -> Result<Vec<Position>, FlowError> {
        unreachable!("a stage asks for nothing else")
    }
    async fn reader(&self, _topic: &str, _start: ReadStart) -> Result<Box<dyn Reader>, FlowError> {
        unreachable!("a stage asks for nothing else")
    }
    async fn exclusive(&self, _name: &str) -> Result<Box<dyn ExclusiveWriter>, FlowError> {
        unreachable!("a stage asks for nothing else")
    }
}
