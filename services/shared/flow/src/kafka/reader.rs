//! Reads one topic from a start on, and follows it: a thread that polls, and a bounded channel.
//!
//! **Where the end is.** Offsets do not tell, since transaction markers lie behind the last record.
//! librdkafka says "end of partition" once when it gets there, and says it again after a seek. So
//! the thread seeks, every few seconds and when asked, in the partitions that were at their end;
//! when each has said so since, everything that was committed when it began has been read. A broker
//! that does not answer says nothing, and the reader grows old, as it must.
//!
//! **A topic that is deleted and made again** is read from its beginning, by another client: see
//! [`topic_id`](super::topic_id).

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::client::{self, Logs, flow_error};
use super::convert::Records;
use super::topic_id::{Line, TopicId};
use super::{admin, bounded, member, topic_id};
use crate::config::KafkaConfig;
use crate::error::FlowError;
use crate::log::{ReadStart, Reader};
use crate::values::Record;

/// How long one poll waits for a record.
const POLL: Duration = Duration::from_millis(50);
/// How often to look where the end is now.
const RECHECK: Duration = Duration::from_secs(2);
/// How long a client may say nothing while the end is looked for. One that gave up its brokers
/// says nothing for ever: see [`restart`](super::restart).
const SILENCE_TIMEOUT: Duration = Duration::from_secs(15);
/// What is read ahead; a record may have 2 MiB.
const AHEAD: usize = 64;

enum Item {
    Record(Record),
    EndReached(Instant),
    Failed(FlowError),
}

pub(super) struct KafkaReader {
    items: Receiver<Item>,
    end_reached: Option<Instant>,
    /// To tell at once of the first end that is reached after this.
    tell_end: Option<Instant>,
    recheck: Arc<AtomicBool>,
}

impl KafkaReader {
    /// Opens it. Blocks: call it where that is allowed.
    pub(super) fn open(
        config: &KafkaConfig,
        observer: &BaseConsumer<Logs>,
        topic: &str,
        start: ReadStart,
    ) -> Result<Self, FlowError> {
        let (consumer, next) = start_consumer(config, observer, topic, start)?;
        let (items, received) = mpsc::channel(AHEAD);
        let recheck = Arc::new(AtomicBool::new(false));
        let asked = Instant::now();
        let pending = next.keys().copied().collect();
        let follower = Follower {
            config: config.clone(),
            topic: topic.to_owned(),
            consumer,
            items,
            recheck: Arc::clone(&recheck),
            next,
            at_end: HashSet::new(),
            asked,
            heard: asked,
            pending,
        };
        drop(member::spawn("precis-read", move || follower.run())?);
        Ok(Self { items: received, end_reached: None, tell_end: Some(asked), recheck })
    }
}

#[async_trait]
impl Reader for KafkaReader {
    async fn next(&mut self, wait: Duration) -> Result<Option<Record>, FlowError> {
        let deadline = Instant::now() + wait;
        loop {
            // An expired wait still gives what is there.
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.items.recv()).await {
                Err(_) => return Ok(None),
                Ok(None) => return Err(FlowError::Closed),
                Ok(Some(Item::Record(record))) => return Ok(Some(record)),
                Ok(Some(Item::EndReached(at))) => {
                    self.end_reached = Some(at);
                    if self.tell_end.take_if(|asked| at >= *asked).is_some() {
                        return Ok(None);
                    }
                }
                Ok(Some(Item::Failed(error))) => return Err(error),
            }
        }
    }

    fn end_reached(&self) -> Option<Instant> {
        self.end_reached
    }

    fn recheck_end(&mut self) {
        self.tell_end = Some(Instant::now());
        self.recheck.store(true, Ordering::Release);
    }
}

/// A consumer that reads all partitions of a topic, and the next offset of each.
fn start_consumer(
    config: &KafkaConfig,
    observer: &BaseConsumer<Logs>,
    topic: &str,
    start: ReadStart,
) -> Result<(BaseConsumer<Lines>, HashMap<i32, i64>), FlowError> {
    let partitions = admin::names(observer)?.into_iter().find(|(name, _)| name == topic);
    let (_, partitions) = partitions.ok_or_else(|| FlowError::UnknownTopic { topic: topic.to_owned() })?;
    let consumer = create(config, topic, None)?;
    let mut next = HashMap::new();
    let mut starts = TopicPartitionList::new();
    for partition in partitions {
        let (low, high) = admin::ends_of(observer, topic, partition)?;
        let from = if start == ReadStart::End { high } else { low };
        starts.add_partition_offset(topic, partition, Offset::Offset(from)).map_err(|error| failed(&error))?;
        next.insert(partition, from);
    }
    consumer.assign(&starts).map_err(|error| failed(&error))?;
    Ok((consumer, next))
}

/// Starts a client. `known`: which topic it goes on with.
fn create(config: &KafkaConfig, topic: &str, known: Option<TopicId>) -> Result<BaseConsumer<Lines>, FlowError> {
    let known = known.map_or_else(OnceLock::new, OnceLock::from);
    let lines = Lines { topic: topic.to_owned(), known, is_recreated: AtomicBool::new(false) };
    topic_id::with_lines(client::reader(config)?).create_with_context(lines).map_err(|error| failed(&error))
}

fn failed(error: &KafkaError) -> FlowError {
    flow_error("opening a reader", error)
}

/// Reads the log lines of a reader's client.
struct Lines {
    topic: String,
    /// The topic that is read.
    known: OnceLock<TopicId>,
    /// Another topic has the name now.
    is_recreated: AtomicBool,
}

impl ClientContext for Lines {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Debug => {
                if let Some(Line::Id { topic, id, .. }) = Line::read(facility, message)
                    && topic == self.topic
                    && *self.known.get_or_init(|| id.clone()) != id
                {
                    self.is_recreated.store(true, Ordering::Release);
                }
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {}
            _ => Logs.log(level, facility, message),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Logs.error(error, reason);
    }
}

impl ConsumerContext for Lines {}

/// The thread's side.
struct Follower {
    config: KafkaConfig,
    topic: String,
    consumer: BaseConsumer<Lines>,
    items: Sender<Item>,
    recheck: Arc<AtomicBool>,
    /// The next offset to read, by partition.
    next: HashMap<i32, i64>,
    /// Partitions that reported their end and gave nothing since.
    at_end: HashSet<i32>,
    /// When the present look for the end began, and who has not answered since.
    asked: Instant,
    pending: HashSet<i32>,
    /// When the client last said something, or could not.
    heard: Instant,
}

impl Follower {
    fn run(mut self) {
        let mut records = Records::default();
        while !self.items.is_closed() {
            self.look_for_end();
            let polled = self.consumer.poll(POLL);
            if self.consumer.context().is_recreated.load(Ordering::Acquire) {
                drop(polled);
                self.start_again();
                continue;
            }
            if matches!(polled, None | Some(Err(_)))
                && !self.pending.is_empty()
                && self.heard.elapsed() > SILENCE_TIMEOUT
            {
                drop(polled);
                self.replace_client();
                continue;
            }
            let item = match polled {
                None => continue,
                Some(Ok(message)) => {
                    self.heard = Instant::now();
                    let record = records.record(&message);
                    self.at_end.remove(&record.partition);
                    self.next.insert(record.partition, record.offset + 1);
                    Item::Record(record)
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.heard = Instant::now();
                    self.at_end.insert(partition);
                    if !self.pending.remove(&partition) || !self.pending.is_empty() {
                        continue;
                    }
                    Item::EndReached(self.asked)
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                    Item::Failed(flow_error("reading", &error))
                }
                Some(Err(error)) => {
                    debug!(topic = self.topic, %error, "the reader reports an error and goes on");
                    continue;
                }
            };
            if self.items.blocking_send(item).is_err() {
                return;
            }
            self.heard = Instant::now();
        }
    }

    /// Goes on where this client came to, with another one.
    fn replace_client(&mut self) {
        self.heard = Instant::now();
        let mut starts = TopicPartitionList::new();
        let started = self
            .next
            .iter()
            .try_for_each(|(partition, next)| {
                starts
                    .add_partition_offset(&self.topic, *partition, Offset::Offset(*next))
                    .map_err(|error| failed(&error))
            })
            .and_then(|()| create(&self.config, &self.topic, self.consumer.context().known.get().cloned()))
            .and_then(|consumer| consumer.assign(&starts).map_err(|error| failed(&error)).map(|()| consumer));
        let ended = started.and_then(|consumer| bounded::end(std::mem::replace(&mut self.consumer, consumer)));
        match ended {
            Ok(()) => {
                info!(topic = self.topic, "the brokers say nothing: the reader has another Kafka client");
                // Each tells its end anew.
                self.at_end.clear();
                self.asked = Instant::now();
                self.pending = self.next.keys().copied().collect();
            }
            Err(error) => debug!(topic = self.topic, %error, "cannot start another client yet"),
        }
    }

    /// Reads the topic that has the name now, from its beginning.
    fn start_again(&mut self) {
        let started = client::observer(&self.config, None).and_then(|observer| {
            let observer: BaseConsumer<Logs> =
                observer.create_with_context(Logs).map_err(|error| flow_error("starting a client", &error))?;
            start_consumer(&self.config, &observer, &self.topic, ReadStart::Beginning)
        });
        match started {
            Ok((consumer, next)) => {
                warn!(topic = self.topic, "the topic was deleted and made again: it is read from its beginning");
                self.consumer = consumer;
                self.asked = Instant::now();
                self.pending = next.keys().copied().collect();
                self.at_end.clear();
                self.next = next;
            }
            Err(error) => {
                debug!(topic = self.topic, %error, "cannot read the topic that was made again yet");
                std::thread::sleep(POLL);
            }
        }
    }

    /// Begins a look for the end, when the last one is over and old enough.
    fn look_for_end(&mut self) {
        if !self.pending.is_empty() {
            return;
        }
        let asked_for = self.recheck.swap(false, Ordering::AcqRel);
        if !asked_for && self.asked.elapsed() < RECHECK {
            return;
        }
        self.asked = Instant::now();
        self.heard = self.asked;
        self.pending = self.next.keys().copied().collect();
        for partition in self.at_end.drain() {
            let next = self.next.get(&partition).copied().unwrap_or_default();
            // Zero: do not wait for it; its answer is the end that it reports.
            if let Err(error) = self.consumer.seek(&self.topic, partition, Offset::Offset(next), Duration::ZERO) {
                debug!(topic = self.topic, partition, %error, "cannot look for the end");
            }
        }
    }
}
