#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::error::FlowError;
use crate::member::{Assignment, OwnerMark};
use crate::stage::live::Live;
use crate::stage::processor::Delivery;
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
        let record = Record {
            topic: "t".into(),
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

#[cfg(not(feature = "chaos"))]
#[test]
fn no_rule_is_broken_in_a_normal_build() {
    assert_eq!(Rules::in_force(), Rules::default());
}
