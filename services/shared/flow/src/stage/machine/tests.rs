#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::Fault;
use crate::error::FlowError;
use crate::member::{Assignment, OwnerMark};
use crate::stage::live::Live;
use crate::stage::processor::{Cause, Delivery};
use crate::values::{Headers, Record};

const INTERVAL: Duration = Duration::from_millis(200);

fn machine(reject_breaker: Option<RejectBreaker>) -> Machine<Live> {
    let settings = Settings {
        max_in_flight: 8,
        transaction_limit: TransactionLimit { records: 100, bytes: 1_000_000 },
        commit_interval: INTERVAL,
        backoff: Backoff { first: INTERVAL, max: INTERVAL },
        drain_budget: Duration::from_secs(30),
        reject_breaker,
        is_of_one_sender: |_| true,
    };
    Machine::new(settings, Rules::default())
}

/// A machine, its clock, and the commands that nobody has looked at.
struct Bench {
    machine: Machine<Live>,
    now: Instant,
    full: bool,
    commands: Vec<Command<Live>>,
}

impl Bench {
    fn new() -> Self {
        Self { machine: machine(None), now: Instant::now(), full: false, commands: Vec::new() }
    }

    fn on(&mut self, event: Event<Live>) {
        self.machine.on(event, self.now, &mut self.commands);
    }

    fn turn(&mut self) -> ControlFlow<()> {
        let full = self.full;
        self.machine.turn(self.now, &|_| full, &mut self.commands)
    }

    /// Assigns a partition that the last owner left in the middle of its work.
    fn assign(&mut self, partition: i32, epoch: Epoch) {
        let committed = Some(OwnerMark::Owned);
        self.on(Event::Assigned(vec![Assignment { partition: id(partition), epoch, start: 0, end: 9, committed }]));
    }

    fn read(&mut self, partition: i32, offset: i64, epoch: Epoch) {
        self.read_of("t", partition, offset, epoch);
    }

    fn read_of(&mut self, topic: &str, partition: i32, offset: i64, epoch: Epoch) {
        let record = Record {
            topic: topic.into(),
            partition,
            offset,
            timestamp_ms: 0,
            key: None,
            value: None,
            headers: Headers::new(),
        };
        let record = Arc::new(Delivery::new(record, CancellationToken::new()));
        self.on(Event::Record { record, epoch });
    }

    /// The records that the machine started since somebody looked.
    fn started(&mut self) -> Vec<(KeyQueue, Arc<Delivery>)> {
        let started = self.commands.drain(..).filter_map(|command| match command {
            Command::Start { queue, record, .. } => Some((queue, record)),
            _ => None,
        });
        started.collect()
    }

    fn publish(&mut self, (queue, record): (KeyQueue, Arc<Delivery>)) {
        let ending = Ending::Done { outputs: Arc::default(), outcome: Outcome::Published };
        self.on(Event::Processed { queue, record, ending });
    }

    /// Lets the commit interval pass, and tells whether a transaction begins.
    fn commits_in_time(&mut self) -> bool {
        self.now += INTERVAL;
        let before = self.machine.is_committing();
        let _ = self.turn();
        !before && self.machine.is_committing()
    }
}

fn id(partition: i32) -> PartitionId {
    PartitionId { topic: "t".into(), partition }
}

fn away() -> Event<Live> {
    Event::Aborted { error: FlowError::Unavailable { doing: "a commit", detail: "away".to_owned() }, jitter: 0.0 }
}

/// A transaction is aborted, and all its partitions go before it is tried again: records of the
/// next assignment start all the same.
#[test]
fn nothing_left_of_an_aborted_transaction_delays_no_record() {
    let mut bench = Bench::new();
    bench.assign(0, 1);
    bench.read(0, 0, 1);
    let _ = bench.turn();
    assert!(bench.machine.is_committing(), "the log is to hold that the partition has an owner");
    bench.on(Event::Lost(vec![id(0)]));
    bench.on(away());
    bench.assign(1, 2);
    assert!(!bench.commits_in_time() && !bench.commits_in_time(), "nothing is there to commit");
    bench.read(1, 0, 2);
    assert!(bench.commits_in_time());
    bench.on(Event::Committed { left_out: Vec::new() });
    let _ = bench.turn();
    assert_eq!(bench.started().len(), 1);
}

/// While a topic holds all that it may, finished records of it are committed without waiting for
/// more.
#[test]
fn finished_records_of_a_full_topic_are_committed_at_once() {
    for full in [false, true] {
        let mut bench = Bench::new();
        bench.assign(0, 1);
        bench.read(0, 0, 1);
        let _ = bench.turn();
        bench.on(Event::Committed { left_out: Vec::new() });
        let _ = bench.turn();
        let started = bench.started();
        bench.full = full;
        for one in started {
            bench.publish(one);
        }
        let _ = bench.turn();
        assert_eq!(bench.machine.is_committing(), full);
        assert!(full || bench.commits_in_time());
    }
}

/// The log does not answer to the last commit: the stage ends some time after its drain's deadline.
#[test]
fn a_last_commit_that_does_not_end_is_left_to_the_log() {
    let mut bench = Bench::new();
    bench.assign(0, 1);
    bench.read(0, 0, 1);
    let _ = bench.turn();
    bench.on(Event::Stop);
    for (seconds, over) in [(30, false), (11, true)] {
        bench.now += Duration::from_secs(seconds);
        bench.on(Event::Timer);
        assert_eq!(bench.turn().is_break(), over);
    }
    assert!(bench.machine.is_committing());
}

/// A revocation is acknowledged once the work in process is committed, not before.
#[test]
fn a_revocation_waits_for_work_and_its_commit() {
    let mut bench = Bench::new();
    bench.assign(0, 1);
    bench.read(0, 0, 1);
    let _ = bench.turn();
    bench.on(Event::Committed { left_out: Vec::new() });
    let _ = bench.turn();
    let started = bench.started();
    let (guard, drained) = crate::member::DrainGuard::new();
    bench.on(Event::Revoking { partitions: vec![id(0)], guard });
    let acknowledged = |bench: &Bench| bench.commands.iter().any(|one| matches!(one, Command::AcknowledgeRevoke(_)));
    let _ = bench.turn();
    assert!(!acknowledged(&bench));
    for one in started {
        bench.publish(one);
    }
    let _ = bench.turn();
    assert!(bench.machine.is_committing() && !acknowledged(&bench));
    bench.on(Event::Committed { left_out: Vec::new() });
    let _ = bench.turn();
    assert!(acknowledged(&bench));
    bench.commands.clear();
    assert!(drained.try_recv().is_err(), "the guard is dropped with its command");
}

const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// A topic pauses after two rejections in a row; two are tried after a pause.
const BREAKER: RejectBreaker =
    RejectBreaker { window: 2, share: 1.0, probes: 2, first_pause: FIRST_PAUSE, max_pause: FIRST_PAUSE };

/// A machine that has this topic and another, with so many records of each.
fn two_topics(records: i64) -> Bench {
    let mut bench = Bench { machine: machine(Some(BREAKER)), ..Bench::new() };
    for topic in ["t", "other"] {
        let partition = PartitionId { topic: topic.into(), partition: 0 };
        let committed = Some(OwnerMark::Owned);
        bench.on(Event::Assigned(vec![Assignment { partition, epoch: 1, start: 0, end: 99, committed }]));
    }
    for offset in 0..records {
        bench.read_of("t", 0, offset, 1);
        bench.read_of("other", 0, offset, 1);
    }
    let _ = bench.turn();
    if bench.machine.is_committing() {
        bench.on(Event::Committed { left_out: Vec::new() });
        let _ = bench.turn();
    }
    bench
}

/// Ends what was started: of topic `t` as rejected, of the other as published. How many of each.
fn end_started(bench: &mut Bench, fault: Fault) -> (usize, usize) {
    let (mut rejected, mut published) = (0, 0);
    for (queue, record) in bench.started() {
        if &*queue.partition.topic == "t" {
            rejected += 1;
            let cause = Cause { code: "bad", fault, sender: None };
            let ending = Ending::Done { outputs: Arc::default(), outcome: Outcome::Rejected(cause) };
            bench.on(Event::Processed { queue, record, ending });
        } else {
            published += 1;
            bench.publish((queue, record));
        }
    }
    let _ = bench.turn();
    (rejected, published)
}

/// All of one topic is rejected: it pauses, the other topic goes on, and what was finished is
/// committed. After the pause two records are tried.
#[test]
fn a_pause_stops_one_topic_and_no_commit() {
    let mut bench = two_topics(20);
    let (rejected, mut others) = end_started(&mut bench, Fault::Unknown);
    assert!(rejected >= BREAKER.window, "as many as pause it");
    let paused = |bench: &Bench| bench.machine.paused_topics().map(|topic| &**topic).collect::<Vec<_>>().join(" ");
    assert_eq!(paused(&bench), "t");
    for _ in 0..8 {
        let (rejected, published) = end_started(&mut bench, Fault::Unknown);
        assert_eq!(rejected, 0, "nothing of a paused topic starts");
        others += published;
    }
    assert_eq!(others, 20, "all of the other topic");
    assert!(bench.commits_in_time(), "of both topics");
    bench.on(Event::Committed { left_out: Vec::new() });
    assert_eq!(bench.machine.next_timer().map(|due| due > bench.now), Some(true), "the pause ends by itself");
    bench.now += FIRST_PAUSE;
    bench.on(Event::Timer);
    let _ = bench.turn();
    assert_eq!(end_started(&mut bench, Fault::Unknown), (2, 0), "the probes");
    assert_eq!((paused(&bench).as_str(), bench.started().len()), ("t", 0), "rejected too: paused again");
    bench.now += FIRST_PAUSE;
    bench.on(Event::Timer);
    let _ = bench.turn();
    for one in bench.started() {
        bench.publish(one);
    }
    let _ = bench.turn();
    assert_eq!(paused(&bench), "");
    assert!(bench.started().len() > BREAKER.probes, "as any other topic");
}

/// However much of a topic is garbage, it is read on.
#[test]
fn what_only_senders_can_cause_pauses_nothing() {
    let mut bench = two_topics(20);
    let mut ended = (0, 0);
    for _ in 0..10 {
        let (rejected, published) = end_started(&mut bench, Fault::Sender);
        ended = (ended.0 + rejected, ended.1 + published);
    }
    assert_eq!((ended, bench.machine.paused_topics().count()), ((20, 20), 0));
}

/// A paused topic goes and comes back: it begins anew.
#[test]
fn a_pause_ends_with_the_topics_last_partition() {
    let mut bench = two_topics(20);
    end_started(&mut bench, Fault::Unknown);
    bench.commands.clear();
    bench.on(Event::Lost(vec![id(0)]));
    assert!(bench.commands.iter().any(|one| matches!(one, Command::ResumeTopic(topic) if &**topic == "t")));
    assert_eq!(bench.machine.paused_topics().count(), 0);
}

/// A partition with which two owners died runs its records alone, one over all partitions. Where
/// its topic is paused none of them runs, so that suspects of other topics need not wait for it.
#[test]
fn a_paused_topic_keeps_no_suspect_of_another_waiting() {
    let mut bench = two_topics(20);
    end_started(&mut bench, Fault::Unknown);
    for topic in ["t", "suspect"] {
        let partition = PartitionId { topic: topic.into(), partition: 1 };
        let committed = Some(OwnerMark::Quarantine { records: 5, until: 9 });
        bench.on(Event::Assigned(vec![Assignment { partition, epoch: 2, start: 0, end: 9, committed }]));
        bench.read_of(topic, 1, 0, 2);
    }
    let mut started = Vec::new();
    for _ in 0..8 {
        bench.now += INTERVAL;
        let _ = bench.turn();
        let batch = bench.started();
        started.extend(batch.iter().map(|(queue, _)| queue.partition.to_string()));
        for one in batch {
            bench.publish(one);
        }
        if bench.machine.is_committing() {
            bench.on(Event::Committed { left_out: Vec::new() });
        }
    }
    assert!(started.iter().any(|partition| partition.starts_with("suspect")), "{started:?}");
    assert!(!started.iter().any(|partition| partition.starts_with("t/")), "{started:?}");
}

#[cfg(not(feature = "chaos"))]
#[test]
fn no_rule_is_broken_in_a_normal_build() {
    assert_eq!(Rules::in_force(), Rules::default());
}
