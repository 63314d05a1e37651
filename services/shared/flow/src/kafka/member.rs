//! A member of a group on Kafka: a poll thread that reads and a commit thread that writes
//! transactions.
//!
//! They share the [`Ownership`] and the ids of the topics that are read. The commit thread asks the
//! consumer that there is at the moment for the group's metadata, fresh for every transaction
//! (KIP-447), so that the broker refuses a member that it has given up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use precis_base::lock::locked;
use precis_chaos::{Sabotage, sabotaged};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{info, warn};

use super::begin::TopicsRead;
use super::bounded::Step;
use super::convert::metadata;
use super::ownership::Ownership;
use super::poll::Consumers;
use super::rebalance::{Callbacks, MemberContext};
use super::topic_id::TopicIds;
use super::transaction::{Offsets, Renewed};
use super::{client, poll, topic_id};
use crate::config::KafkaConfig;
use crate::error::FlowError;
use crate::member::{Committer, JoinRequest, MemberEvent, Membership, PartitionCommit, Transaction};
use crate::values::{Output, PartitionId, Subscription};

/// How often an idle commit thread looks whether its client is still good for anything.
const IDLE_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Joins. Blocks: call it where that is allowed.
pub(super) fn join(config: &KafkaConfig, request: JoinRequest) -> Result<Membership, FlowError> {
    check_budgets(config, &request)?;
    let id = transactional_id(config, &request.group);
    let transaction_timeout = Duration::from_millis(config.transaction_timeout_ms.into());
    // Before anything is read: what an older run of this instance left open is over then, one way
    // or the other.
    let step = Step::default();
    let producer = Renewed::start(client::transactional(config, &id)?, transaction_timeout, step.clone())?;
    let (events, received) = mpsc::unbounded_channel();
    let ownership = Arc::new(Ownership::default());
    let topics_read = Arc::new(TopicsRead::default());
    let context = Arc::new(MemberContext {
        group: request.group.clone(),
        ownership: Arc::clone(&ownership),
        events: events.clone(),
        heartbeat: request.heartbeat,
        revoke_patience: request.drain_budget + transaction_timeout,
        closing: AtomicBool::new(false),
        reassigned: AtomicBool::new(false),
        topic_ids: TopicIds::open(config)?,
        topics_read: Arc::clone(&topics_read),
        reading: Mutex::default(),
        joining: Mutex::default(),
    });
    let current = Arc::default();
    let consumers = Consumers {
        config: topic_id::with_lines(client::member(config, &request.group)?),
        topics: topic_patterns(&request.subscription),
        context: Arc::clone(&context),
        current: Arc::clone(&current),
    };
    let consumer = consumers.start()?;
    info!(group = request.group, transactional_id = id, "joining");
    let (commands, received_commands) = channel();
    let commits = Commits { producer, ownership, topics_read, consumer: current, events };
    let committing = spawn("precis-commit", move || commits.run(&received_commands))?;
    let intake = request.intake;
    let polling = spawn("precis-poll", move || poll::run(&consumers, consumer, &intake))?;
    let committer = KafkaCommitter {
        commands: Mutex::new(Some(commands)),
        context,
        step,
        threads: Mutex::new(Some([committing, polling])),
    };
    Ok(Membership { events: received, committer: Arc::new(committer) })
}

/// A revocation may not outlast the group's timeout, or it is pointless: the partitions are gone
/// before it ends.
fn check_budgets(config: &KafkaConfig, request: &JoinRequest) -> Result<(), FlowError> {
    let needed = request.drain_budget + Duration::from_millis(config.transaction_timeout_ms.into());
    if needed < Duration::from_millis(config.max_poll_interval_ms.into()) {
        return Ok(());
    }
    let problem = format!(
        "kafka.max_poll_interval_ms: {} must exceed group {}'s drain budget and transaction_timeout_ms together, {}",
        config.max_poll_interval_ms,
        request.group,
        needed.as_millis()
    );
    Err(FlowError::Config { problems: vec![problem] })
}

fn transactional_id(config: &KafkaConfig, group: &str) -> String {
    let instance = config.instance_id.clone().unwrap_or_else(|| format!("{:016x}", rand::random::<u64>()));
    format!("{}.{group}.{instance}", config.transactional_id_prefix)
}

/// Names as they are; a prefix as the regular expression that librdkafka takes anything to be that
/// starts with `^`.
fn topic_patterns(subscription: &Subscription) -> Vec<String> {
    let escaped = |prefix: &String| {
        let literal =
            |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c.to_string() } else { format!("\\{c}") };
        format!("^{}.*", prefix.chars().map(literal).collect::<String>())
    };
    subscription.topics.iter().cloned().chain(subscription.prefixes.iter().map(escaped)).collect()
}

/// Starts a thread; the receiver ends with it.
pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<oneshot::Receiver<()>, FlowError> {
    let (ended, receiver) = oneshot::channel();
    let body = move || {
        run();
        // Nobody may be waiting any more.
        let _ = ended.send(());
    };
    match std::thread::Builder::new().name(name.to_owned()).spawn(body) {
        Ok(_) => Ok(receiver),
        Err(error) => Err(FlowError::Unavailable { doing: "starting a thread", detail: error.to_string() }),
    }
}

type Reply = oneshot::Sender<Result<Vec<PartitionId>, FlowError>>;

struct KafkaCommitter {
    /// `None` once closed: the commit thread ends when it is gone.
    commands: Mutex<Option<Sender<(Transaction, Reply)>>>,
    context: Arc<MemberContext>,
    step: Step,
    threads: Mutex<Option<[oneshot::Receiver<()>; 2]>>,
}

#[async_trait]
impl Committer for KafkaCommitter {
    async fn commit(&self, transaction: Transaction) -> Result<Vec<PartitionId>, FlowError> {
        let (reply, result) = oneshot::channel();
        let sent = {
            let commands = locked(&self.commands);
            commands.as_ref().is_some_and(|commands| commands.send((transaction, reply)).is_ok())
        };
        if !sent {
            return Err(FlowError::Closed);
        }
        self.step.wait_for(&self.context.group, result).await.unwrap_or(Err(FlowError::Closed))
    }

    async fn close(&self, deadline: Duration) {
        self.context.closing.store(true, Ordering::Release);
        drop(locked(&self.commands).take());
        let threads = locked(&self.threads).take();
        let Some([committing, polling]) = threads else { return };
        let ended = async { tokio::join!(committing, polling) };
        if timeout(deadline, ended).await.is_err() {
            warn!(group = self.context.group, "leaving the group takes too long: left to the broker");
        }
    }
}

impl Drop for KafkaCommitter {
    fn drop(&mut self) {
        self.context.closing.store(true, Ordering::Release);
    }
}

/// The commit thread's side.
struct Commits {
    producer: Renewed,
    ownership: Arc<Ownership>,
    topics_read: Arc<TopicsRead>,
    /// The poll thread's: only it may drop the last one. None while the poll thread replaces it,
    /// and then nothing is owned.
    consumer: Arc<Mutex<Weak<BaseConsumer<Callbacks>>>>,
    events: UnboundedSender<MemberEvent>,
}

impl Commits {
    fn run(mut self, commands: &Receiver<(Transaction, Reply)>) {
        loop {
            match commands.recv_timeout(IDLE_POLL_INTERVAL) {
                Ok((transaction, reply)) => {
                    // The stage may have given up on it: the result is in the log all the same.
                    let _ = reply.send(self.commit(&transaction));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(error) = self.producer.check("writing") {
                        let _ = self.events.send(MemberEvent::Failed(error));
                        return;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<Vec<PartitionId>, FlowError> {
        // Before the lock: it may take a while, and revocations wait for the lock.
        let producer = self.producer.ready()?;
        // Before the lock, so that it is dropped after it: were this the last one, dropping it
        // would leave the group, and that takes the lock.
        let consumer = locked(&self.consumer).upgrade();
        let owned = self.ownership.for_transaction();
        let (parts, stale): (Vec<&PartitionCommit>, Vec<&PartitionCommit>) = transaction
            .parts
            .iter()
            .partition(|part| owned.get(&part.partition) == Some(&part.epoch) || sabotaged(Sabotage::EpochCheckOff));
        let stale = stale.into_iter().map(|part| part.partition.clone()).collect();
        if parts.is_empty() {
            return Ok(stale);
        }
        let consumer = consumer.ok_or(FlowError::Closed)?;
        let mut next = TopicPartitionList::new();
        for part in &parts {
            let (topic, partition) = (&part.partition.topic, part.partition.partition);
            next.add_partition_offset(topic, partition, Offset::Offset(part.next_offset))
                .map_err(|error| client::flow_error("naming offsets", &error))?;
            if let Some(mut element) = next.find_partition(topic, partition) {
                let topic_id = self.topics_read.get(&part.partition);
                element.set_metadata(metadata(part.mark, topic_id.as_ref()));
            }
        }
        let member = consumer
            .group_metadata()
            .ok_or_else(|| FlowError::Internal { detail: "the consumer has no group".to_owned() })?;
        let outputs = parts.iter().flat_map(|part| part.outputs.iter()).flat_map(|of_record| of_record.iter());
        let outputs: Vec<&Output> = outputs.collect();
        let abandon = || self.ownership.should_abandon();
        if sabotaged(Sabotage::OffsetsOutside) {
            producer.run(&outputs, None, &abandon)?;
            let committed = consumer.commit(&next, CommitMode::Sync);
            return committed.map(|()| stale).map_err(|error| client::flow_error("committing offsets", &error));
        }
        producer.run(&outputs, Some(Offsets { next, member }), &abandon)?;
        Ok(stale)
    }
}
