//! The loop against a log that answers when it is told to: orders that no real log can be made to
//! take at will.
#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use async_trait::async_trait;
use precis_telemetry::Health;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::config::{EmbeddedConfig, LogConfig};
use crate::member::{Assignment, DrainGuard, Epoch, OwnerMark, Transaction};
use crate::stage::processor::{Rejection, Scope, StageError};
use crate::values::{Headers, Output, PartitionId, Record, Subscription};

/// What the log answers: the partitions that were left out.
type Answer = Result<Vec<PartitionId>, FlowError>;
type Reply = oneshot::Sender<Answer>;

/// Hands every transaction to the test, which answers.
struct Asks(mpsc::UnboundedSender<(Transaction, Reply)>);

#[async_trait]
impl Committer for Asks {
    async fn commit(&self, transaction: Transaction) -> Answer {
        let (reply, result) = oneshot::channel();
        self.0.send((transaction, reply)).map_err(|_| FlowError::Closed)?;
        result.await.unwrap_or(Err(FlowError::Closed))
    }

    async fn close(&self, _deadline: Duration) {}
}

/// Notes what starts and what is rejected; a record whose value says so waits for ever, or fails so
/// that its next try is far away.
#[derive(Default)]
struct Notes {
    started: Mutex<Vec<String>>,
    rejected: Mutex<Vec<String>>,
}

#[async_trait]
impl Processor for Notes {
    async fn process(&self, delivery: &Delivery) -> Result<Vec<Output>, StageError> {
        self.started.lock().unwrap().push(delivery.record.position().to_string());
        match delivery.record.value.as_deref() {
            Some(b"wait") => std::future::pending::<()>().await,
            Some(b"away") => return Err(StageError::dependency("away", "for ever")),
            Some(b"later") => {
                let after = Some(Duration::from_hours(1));
                let (scope, code, message) = (Scope::Record, "later", "not now".to_owned());
                return Err(StageError::Retry { scope, code, message, after });
            }
            _ => {}
        }
        Ok(vec![Output::to("out").value(delivery.record.position().to_string())])
    }

    async fn rejected(&self, delivery: &Delivery, _rejection: &Rejection) -> Result<Vec<Output>, StageError> {
        self.rejected.lock().unwrap().push(delivery.record.position().to_string());
        Ok(Vec::new())
    }
}

/// A running stage, and both ends of its log.
struct Bench {
    notes: Arc<Notes>,
    intake: Arc<Intake>,
    events: mpsc::UnboundedSender<MemberEvent>,
    transactions: mpsc::UnboundedReceiver<(Transaction, Reply)>,
    _stage: AbortOnDropHandle<()>,
    _directory: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let embedded = EmbeddedConfig { path: directory.path().join("log.db") };
        let log = crate::open(&LogConfig { embedded, ..LogConfig::default() }).await.unwrap();
        let hour = Duration::from_hours(1);
        let config = StageConfig {
            // Whatever waits for one of these waits longer than the test does.
            backoff: hour,
            max_backoff: hour,
            drain_budget: hour,
            ..StageConfig::new("test", "test", Subscription::topics(["in"]))
        };
        let (notes, intake) = (Arc::new(Notes::default()), Intake::new(100, 1_000_000));
        let (asks, transactions) = mpsc::unbounded_channel();
        let (events, received) = mpsc::unbounded_channel();
        let stage = Stage::new(log, config, notes.clone(), Arc::clone(&intake), Arc::new(Asks(asks)));
        let running: JoinHandle<()> = tokio::spawn(async move {
            let component = Health::new().register("test", STALL_TIMEOUT);
            stage.run(received, &component, &Heartbeat::new(), &CancellationToken::new()).await.unwrap();
        });
        let stage = AbortOnDropHandle::new(running);
        Self { notes, intake, events, transactions, _stage: stage, _directory: directory }
    }

    /// Opened already: so every transaction is one of records.
    fn assign(&self, partition: i32, epoch: Epoch) {
        let assignment =
            Assignment { partition: id(partition), epoch, start: 0, end: 0, committed: Some(OwnerMark::Owned) };
        self.events.send(MemberEvent::Assigned(vec![assignment])).unwrap();
    }

    fn record(&self, partition: i32, offset: i64, epoch: Epoch, value: &str) {
        self.keyed(partition, offset, epoch, value, "key");
    }

    fn keyed(&self, partition: i32, offset: i64, epoch: Epoch, value: &str, key: &str) {
        let record = Record {
            topic: "in".into(),
            partition,
            offset,
            timestamp_ms: 0,
            key: Some(key.as_bytes().to_vec()),
            value: Some(value.as_bytes().to_vec()),
            headers: Headers::new(),
        };
        self.intake.take(&record.topic, Load::of(&record));
        self.events.send(MemberEvent::Record { record, epoch }).unwrap();
    }

    /// The next transaction: its parts by partition and next offset, and the way to answer it.
    async fn transaction(&mut self) -> (Vec<(i32, i64)>, Reply) {
        let next = tokio::time::timeout(Duration::from_secs(5), self.transactions.recv()).await;
        let (transaction, reply) = next.expect("the stage has something to commit").unwrap();
        let parts = transaction.parts.iter().map(|part| (part.partition.partition, part.next_offset));
        let mut parts: Vec<_> = parts.collect();
        parts.sort_unstable();
        (parts, reply)
    }

    /// Lets the stage do what it has to do now.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    fn started(&self) -> Vec<String> {
        self.notes.started.lock().unwrap().clone()
    }

    fn rejected(&self) -> Vec<String> {
        self.notes.rejected.lock().unwrap().clone()
    }
}

fn id(partition: i32) -> PartitionId {
    PartitionId { topic: "in".into(), partition }
}

fn refused() -> Answer {
    Err(FlowError::RecordTooLarge { topic: "out".to_owned(), size_bytes: 2, limit_bytes: Some(1) })
}

#[tokio::test]
async fn a_refused_record_frees_no_other_of_its_key() {
    let mut bench = Bench::new().await;
    bench.assign(0, 1);
    bench.record(0, 0, 1, "go");
    bench.record(0, 1, 1, "wait");
    bench.record(0, 2, 1, "go");
    let (parts, reply) = bench.transaction().await;
    assert_eq!(parts, [(0, 1)]);
    reply.send(refused()).unwrap();
    let (_, reply) = bench.transaction().await;
    reply.send(Ok(Vec::new())).unwrap();
    bench.settle().await;
    assert_eq!(bench.rejected(), ["in/0/0"]);
    assert_eq!(bench.started(), ["in/0/0", "in/0/1"], "the third waits for the second");
}

#[tokio::test]
async fn what_is_left_of_a_refused_transaction_is_not_to_blame() {
    let mut bench = Bench::new().await;
    bench.assign(0, 1);
    bench.assign(1, 2);
    bench.record(0, 0, 1, "go");
    bench.record(1, 0, 2, "go");
    let (parts, reply) = bench.transaction().await;
    assert_eq!(parts, [(0, 1), (1, 1)]);
    // The loss is heard before the refusal.
    bench.events.send(MemberEvent::Lost(vec![id(0)])).unwrap();
    bench.settle().await;
    reply.send(refused()).unwrap();
    let (parts, reply) = bench.transaction().await;
    assert_eq!((parts, bench.rejected()), (vec![(1, 1)], Vec::new()));
    reply.send(Ok(Vec::new())).unwrap();
}

#[tokio::test]
async fn a_refused_record_of_a_lost_partition_is_left_alone() {
    let mut bench = Bench::new().await;
    bench.assign(0, 1);
    bench.assign(1, 2);
    bench.record(0, 0, 1, "go");
    let (_, reply) = bench.transaction().await;
    bench.events.send(MemberEvent::Lost(vec![id(0)])).unwrap();
    bench.settle().await;
    reply.send(refused()).unwrap();
    bench.record(1, 0, 2, "go");
    let (parts, _) = bench.transaction().await;
    assert_eq!((parts, bench.rejected()), (vec![(1, 1)], Vec::new()));
}

#[tokio::test]
async fn a_partition_that_comes_back_during_its_drain_is_processed() {
    let mut bench = Bench::new().await;
    bench.assign(0, 1);
    bench.record(0, 0, 1, "go");
    let (_, reply) = bench.transaction().await;
    let (guard, _drained) = DrainGuard::new();
    bench.events.send(MemberEvent::Revoking { partitions: vec![id(0)], guard }).unwrap();
    bench.settle().await;
    // The log waited no longer, and the partition came back before the answer to the commit.
    bench.assign(0, 2);
    bench.settle().await;
    reply.send(Ok(vec![id(0)])).unwrap();
    bench.settle().await;
    bench.record(0, 0, 2, "go");
    let (parts, _) = bench.transaction().await;
    assert_eq!((parts, bench.started()), (vec![(0, 1)], vec!["in/0/0".to_owned(); 2]));
}

#[tokio::test]
async fn a_revocation_waits_for_no_next_try() {
    let mut bench = Bench::new().await;
    bench.assign(0, 1);
    for (offset, value) in ["go", "away", "later", "go"].into_iter().enumerate() {
        bench.keyed(0, offset as i64, 1, value, &format!("key {offset}"));
    }
    bench.settle().await;
    let (guard, drained) = DrainGuard::new();
    bench.events.send(MemberEvent::Revoking { partitions: vec![id(0)], guard }).unwrap();
    // One of what is done, and one that says that nobody works there any more.
    for _ in 0..2 {
        let (parts, reply) = bench.transaction().await;
        assert_eq!(parts, [(0, 1)], "what was done before those that wait");
        reply.send(Ok(Vec::new())).unwrap();
    }
    bench.settle().await;
    assert_eq!(drained.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
    assert_eq!(bench.intake.holding(), Load::default(), "nothing is held of what is left to the next owner");
    assert!(bench.intake.admits("in"), "and nobody here waits for what is away");
}

/// As when a topic is deleted while a transaction holds its offsets: the brokers refuse it, then
/// its partitions are lost.
#[tokio::test(start_paused = true)]
async fn an_abort_whose_partition_went_holds_up_no_other() {
    let mut bench = Bench::new().await;
    bench.assign(0, 1);
    bench.record(0, 0, 1, "go");
    let (_, reply) = bench.transaction().await;
    let detail = "unknown topic or partition".to_owned();
    reply.send(Err(FlowError::Unavailable { doing: "sending offsets", detail })).unwrap();
    bench.events.send(MemberEvent::Lost(vec![id(0)])).unwrap();
    // Over the pause that follows an abort.
    tokio::time::sleep(crate::stage::JOIN_BACKOFF * 2).await;
    let committed = Some(OwnerMark::Released);
    let assignment = Assignment { partition: id(1), epoch: 2, start: 0, end: 0, committed };
    bench.events.send(MemberEvent::Assigned(vec![assignment])).unwrap();
    bench.record(1, 0, 2, "go");
    let (parts, _) = bench.transaction().await;
    assert_eq!(parts, [(1, 0)], "that somebody works there, before the first record starts");
}
